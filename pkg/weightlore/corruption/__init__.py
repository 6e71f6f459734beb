"""Harm to theta: random, worst and measured corruption, and training that resists it.

The names of the sub-package, one line each.
"""

from weightlore.corruption.budgets import Budget as Budget
from weightlore.corruption.budgets import Corruption as Corruption
from weightlore.corruption.budgets import closed_form as closed_form
from weightlore.corruption.budgets import first_order_gain as first_order_gain
from weightlore.corruption.budgets import largest as largest
from weightlore.corruption.draws import RandomKind as RandomKind
from weightlore.corruption.draws import random as random
from weightlore.corruption.draws import random_support as random_support
from weightlore.corruption.law import cosine_density as cosine_density
from weightlore.corruption.law import cosine_tail as cosine_tail
from weightlore.corruption.law import expected_best as expected_best
from weightlore.corruption.law import expected_efficiency as expected_efficiency
from weightlore.corruption.moments import TraceEstimate as TraceEstimate
from weightlore.corruption.moments import expected_change as expected_change
from weightlore.corruption.moments import mean_square as mean_square
from weightlore.corruption.moments import random_efficiency as random_efficiency
from weightlore.corruption.moments import trace_estimate as trace_estimate
from weightlore.corruption.trials import Trials as Trials
from weightlore.corruption.trials import random_trials as random_trials
