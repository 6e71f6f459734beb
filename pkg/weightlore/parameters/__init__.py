"""The parameters of a network as one vector theta, and back.

Everything that happens to a network in this package happens to theta, a vector of shape (P,), or to a group of it.

The names of the sub-package, one line each.
"""

from weightlore.parameters.groups import Group as Group
from weightlore.parameters.groups import Kind as Kind
from weightlore.parameters.groups import kind_of as kind_of
from weightlore.parameters.layouts import ParameterLayout as ParameterLayout
from weightlore.parameters.layouts import Slot as Slot
from weightlore.parameters.layouts import layout as layout
from weightlore.parameters.placing import call as call
from weightlore.parameters.placing import flatten as flatten
from weightlore.parameters.placing import places_of as places_of
from weightlore.parameters.placing import replaced as replaced
