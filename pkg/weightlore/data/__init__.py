"""Data: the digits that come with the package, toy sets, image shifts, and sets that are fetched when asked for."""

from weightlore.data.digits import digits as digits
from weightlore.data.digits import digits_indices as digits_indices
from weightlore.data.split import Split as Split
