"""Training: one loop, evaluation, optimizers, and a progress bar."""

from weightlore.training.evaluation import Evaluation as Evaluation
from weightlore.training.evaluation import cross_entropy as cross_entropy
from weightlore.training.evaluation import evaluate as evaluate
from weightlore.training.evaluation import in_mode as in_mode
from weightlore.training.loop import Callback as Callback
from weightlore.training.loop import History as History
from weightlore.training.loop import fit as fit
from weightlore.training.optimizers import MakeOptimizer as MakeOptimizer
from weightlore.training.optimizers import Schedule as Schedule
from weightlore.training.optimizers import adam as adam
from weightlore.training.optimizers import cosine as cosine
from weightlore.training.optimizers import sgd as sgd
from weightlore.training.progress import progress as progress
from weightlore.training.run import Epoch as Epoch
from weightlore.training.run import Step as Step
