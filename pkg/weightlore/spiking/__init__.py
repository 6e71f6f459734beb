"""Networks that spike: neurons, layers, and what happens over time.

The names of the sub-package, one line each.
"""

from weightlore.spiking.encoding import constant as constant
from weightlore.spiking.encoding import poisson as poisson
from weightlore.spiking.encoding import time_to_first_spike as time_to_first_spike
from weightlore.spiking.exits import Decision as Decision
from weightlore.spiking.exits import Exit as Exit
from weightlore.spiking.exits import early_exit as early_exit
from weightlore.spiking.exits import evidence as evidence
from weightlore.spiking.levels import Level as Level
from weightlore.spiking.levels import choose_level as choose_level
from weightlore.spiking.network import SpikingLayer as SpikingLayer
from weightlore.spiking.network import SpikingNetwork as SpikingNetwork
from weightlore.spiking.neurons import Neuron as Neuron
from weightlore.spiking.operations import Cost as Cost
from weightlore.spiking.operations import Energy as Energy
from weightlore.spiking.operations import Operations as Operations
from weightlore.spiking.operations import break_even as break_even
from weightlore.spiking.operations import energy as energy
from weightlore.spiking.operations import fan_out as fan_out
from weightlore.spiking.operations import operations as operations
from weightlore.spiking.records import Record as Record
from weightlore.spiking.reference import step_by_step as step_by_step
from weightlore.spiking.simulation import simulate as simulate
from weightlore.spiking.stepping import if_step as if_step
from weightlore.spiking.stepping import leak_for as leak_for
from weightlore.spiking.stepping import lif_step as lif_step
from weightlore.spiking.surrogates import arctan as arctan
from weightlore.spiking.surrogates import fast_sigmoid as fast_sigmoid
from weightlore.spiking.surrogates import rectangle as rectangle
from weightlore.spiking.surrogates import sigmoid as sigmoid
from weightlore.spiking.surrogates import surrogate_gradient as surrogate_gradient
from weightlore.spiking.surrogates import triangle as triangle
from weightlore.spiking.unrolling import SpikingClassifier as SpikingClassifier
from weightlore.spiking.unrolling import Unrolled as Unrolled
from weightlore.spiking.unrolling import unroll as unroll
