"""The exercises of the chapter on binary weights and spikes; references are computed by ``binary`` and ``spiking``."""

from weightlore.teaching.exercises.binarized.spiking import ABSORB as ABSORB
from weightlore.teaching.exercises.binarized.spiking import BREAK_EVEN as BREAK_EVEN
from weightlore.teaching.exercises.binarized.spiking import FEWEST_STEPS as FEWEST_STEPS
from weightlore.teaching.exercises.binarized.spiking import HARD_RATE as HARD_RATE
from weightlore.teaching.exercises.binarized.spiking import SPIKE_TRAIN as SPIKE_TRAIN
from weightlore.teaching.exercises.binarized.spiking import ZERO_MEAN as ZERO_MEAN
