"""Theta brought to another task: units that blend the layers of a source and a target network, and what else is done.

The names of the sub-package, one line each. The equations of the unit are our formulation; see ``unit``.
"""

from weightlore.transfer.gates import GateCost as GateCost
from weightlore.transfer.gates import GateKind as GateKind
from weightlore.transfer.gates import parameter_count as parameter_count
from weightlore.transfer.gates import parameter_table as parameter_table
from weightlore.transfer.unit import PTU as PTU
from weightlore.transfer.vocabularies import translated as translated
from weightlore.transfer.vocabularies import translation as translation
