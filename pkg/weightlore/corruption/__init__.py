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
