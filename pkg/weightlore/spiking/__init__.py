"""Networks that spike: neurons, layers, and what happens over time.

The names of the sub-package, one line each.
"""

from weightlore.spiking.network import SpikingLayer as SpikingLayer
from weightlore.spiking.network import SpikingNetwork as SpikingNetwork
from weightlore.spiking.neurons import Neuron as Neuron
from weightlore.spiking.neurons import if_step as if_step
from weightlore.spiking.neurons import leak_for as leak_for
from weightlore.spiking.neurons import lif_step as lif_step
from weightlore.spiking.records import Record as Record
from weightlore.spiking.simulation import simulate as simulate
