"""Which examples to label next.

The names of the sub-package, one line each.
"""

from weightlore.uncertainty.active.acquisition import acquire as acquire
from weightlore.uncertainty.active.batches import Batch as Batch
from weightlore.uncertainty.active.batches import batch_bald as batch_bald
from weightlore.uncertainty.active.rounds import ActiveLearning as ActiveLearning
from weightlore.uncertainty.active.rounds import Round as Round
from weightlore.uncertainty.active.rounds import run as run
