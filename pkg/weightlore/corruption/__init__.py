"""Harm to theta: random, worst and measured corruption, and training that resists it.

The names of the sub-package, one line each.
"""

from weightlore.corruption.attacks import ascent as ascent
from weightlore.corruption.attacks import project as project
from weightlore.corruption.attacks import projected_ascent as projected_ascent
from weightlore.corruption.averaging import Path as Path
from weightlore.corruption.averaging import averaged_step as averaged_step
from weightlore.corruption.bounds import ErrorBound as ErrorBound
from weightlore.corruption.bounds import QuadraticOptimum as QuadraticOptimum
from weightlore.corruption.bounds import curvature as curvature
from weightlore.corruption.bounds import error_bound as error_bound
from weightlore.corruption.bounds import quadratic_optimum as quadratic_optimum
from weightlore.corruption.budgets import Budget as Budget
from weightlore.corruption.budgets import Corruption as Corruption
from weightlore.corruption.budgets import closed_form as closed_form
from weightlore.corruption.budgets import first_order_gain as first_order_gain
from weightlore.corruption.budgets import largest as largest
from weightlore.corruption.damage import Indicator as Indicator
from weightlore.corruption.damage import indicator as indicator
from weightlore.corruption.damage import indicators as indicators
from weightlore.corruption.draws import RandomKind as RandomKind
from weightlore.corruption.draws import random as random
from weightlore.corruption.draws import random_support as random_support
from weightlore.corruption.law import cosine_density as cosine_density
from weightlore.corruption.law import cosine_tail as cosine_tail
from weightlore.corruption.law import expected_best as expected_best
from weightlore.corruption.law import expected_efficiency as expected_efficiency
from weightlore.corruption.losses import Loss as Loss
from weightlore.corruption.losses import Measurement as Measurement
from weightlore.corruption.losses import at_rest as at_rest
from weightlore.corruption.losses import hessian_vector as hessian_vector
from weightlore.corruption.losses import loss_gradient as loss_gradient
from weightlore.corruption.losses import measure as measure
from weightlore.corruption.moments import TraceEstimate as TraceEstimate
from weightlore.corruption.moments import expected_change as expected_change
from weightlore.corruption.moments import mean_square as mean_square
from weightlore.corruption.moments import random_efficiency as random_efficiency
from weightlore.corruption.moments import trace_estimate as trace_estimate
from weightlore.corruption.resistance import ResistantGradients as ResistantGradients
from weightlore.corruption.resistance import fit_resistant as fit_resistant
from weightlore.corruption.resistance import resistant_gradients as resistant_gradients
from weightlore.corruption.resistance import resistant_step as resistant_step
from weightlore.corruption.sharpness import asam_step as asam_step
from weightlore.corruption.sharpness import awp_step as awp_step
from weightlore.corruption.sharpness import rescale as rescale
from weightlore.corruption.sharpness import sam_step as sam_step
from weightlore.corruption.trials import Trials as Trials
from weightlore.corruption.trials import random_trials as random_trials
