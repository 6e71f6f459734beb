"""Tables that compare methods: out-of-domain inputs, rejected predictions, shifts, costs, families.

The names of the sub-package, one line each.
"""

from weightlore.uncertainty.evaluate.costs import CostRow as CostRow
from weightlore.uncertainty.evaluate.costs import cost_table as cost_table
from weightlore.uncertainty.evaluate.families import FamilyRow as FamilyRow
from weightlore.uncertainty.evaluate.families import family_table as family_table
from weightlore.uncertainty.evaluate.families import markdown_table as markdown_table
from weightlore.uncertainty.evaluate.outside import OutsideRow as OutsideRow
from weightlore.uncertainty.evaluate.outside import ood_benchmark as ood_benchmark
from weightlore.uncertainty.evaluate.selective import SelectiveRow as SelectiveRow
from weightlore.uncertainty.evaluate.selective import selective_benchmark as selective_benchmark
from weightlore.uncertainty.evaluate.selective import uncertainties as uncertainties
from weightlore.uncertainty.evaluate.shifted import ShiftRow as ShiftRow
from weightlore.uncertainty.evaluate.shifted import shift_benchmark as shift_benchmark
from weightlore.uncertainty.evaluate.shifted import shifted_images as shifted_images
