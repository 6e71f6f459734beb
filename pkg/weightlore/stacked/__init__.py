"""Many copies of one network at once: run them, differentiate through them, evaluate them.

The names of the sub-package, one line each.
"""

from weightlore.stacked.evaluation import Evaluations as Evaluations
from weightlore.stacked.evaluation import evaluate_thetas as evaluate_thetas
from weightlore.stacked.network import StackedNetwork as StackedNetwork
from weightlore.stacked.network import call_stacked as call_stacked
