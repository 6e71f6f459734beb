"""Networks that spike: neurons, layers, and what happens over time.

The names of the sub-package, one line each.
"""

from weightlore.spiking.exits import Decision as Decision
from weightlore.spiking.exits import Exit as Exit
from weightlore.spiking.exits import early_exit as early_exit
from weightlore.spiking.exits import evidence as evidence
from weightlore.spiking.levels import Level as Level
from weightlore.spiking.levels import choose_level as choose_level
from weightlore.spiking.network import SpikingLayer as SpikingLayer
from weightlore.spiking.network import SpikingNetwork as SpikingNetwork
from weightlore.spiking.neurons import Neuron as Neuron
from weightlore.spiking.neurons import if_step as if_step
from weightlore.spiking.neurons import leak_for as leak_for
from weightlore.spiking.neurons import lif_step as lif_step
from weightlore.spiking.records import Record as Record
from weightlore.spiking.reference import step_by_step as step_by_step
from weightlore.spiking.simulation import simulate as simulate
