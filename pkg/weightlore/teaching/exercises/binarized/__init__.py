"""The exercises of the chapter on binary weights and spikes; references are computed by ``binary`` and ``spiking``."""

from weightlore.teaching.exercises.binarized.binary import BEST_SCALE as BEST_SCALE
from weightlore.teaching.exercises.binarized.binary import CLOSEST as CLOSEST
from weightlore.teaching.exercises.binarized.exits import CHOSEN_LEVEL as CHOSEN_LEVEL
from weightlore.teaching.exercises.binarized.exits import EXIT_STEP as EXIT_STEP
from weightlore.teaching.exercises.binarized.latency import PIPELINE as PIPELINE
from weightlore.teaching.exercises.binarized.latency import STEPPED as STEPPED
from weightlore.teaching.exercises.binarized.neurons import FEWEST_STEPS as FEWEST_STEPS
from weightlore.teaching.exercises.binarized.neurons import HARD_RATE as HARD_RATE
from weightlore.teaching.exercises.binarized.neurons import SPIKE_TRAIN as SPIKE_TRAIN
from weightlore.teaching.exercises.binarized.neurons import ZERO_MEAN as ZERO_MEAN
from weightlore.teaching.exercises.binarized.slopes import CENTERING as CENTERING
from weightlore.teaching.exercises.binarized.slopes import GRADIENT as GRADIENT
from weightlore.teaching.exercises.binarized.spiking import ABSORB as ABSORB
from weightlore.teaching.exercises.binarized.spiking import BREAK_EVEN as BREAK_EVEN
from weightlore.teaching.exercises.binarized.storage import KEPT as KEPT
from weightlore.teaching.exercises.binarized.storage import STORAGE as STORAGE
