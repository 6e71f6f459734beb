"""The exercises of the chapter on bit slices; references are computed by ``weightlore.bitslice`` and ``crossbar``."""

from weightlore.teaching.exercises.sliced.arrays import CONVERTER_BITS as CONVERTER_BITS
from weightlore.teaching.exercises.sliced.arrays import LINE_SUMS as LINE_SUMS
from weightlore.teaching.exercises.sliced.arrays import SATURATE as SATURATE
from weightlore.teaching.exercises.sliced.changes import EQUAL_FORCE as EQUAL_FORCE
from weightlore.teaching.exercises.sliced.changes import LEARNED_STEP as LEARNED_STEP
from weightlore.teaching.exercises.sliced.changes import PRUNED_STEP as PRUNED_STEP
from weightlore.teaching.exercises.sliced.deployment import CUT_OFF as CUT_OFF
from weightlore.teaching.exercises.sliced.deployment import EXPECTED_SUM as EXPECTED_SUM
from weightlore.teaching.exercises.sliced.deployment import SATURATED as SATURATED
from weightlore.teaching.exercises.sliced.deployment import WHOLE_CHIP as WHOLE_CHIP
from weightlore.teaching.exercises.sliced.forces import DETACH as DETACH
from weightlore.teaching.exercises.sliced.forces import FORCE as FORCE
from weightlore.teaching.exercises.sliced.forces import UPHILL as UPHILL
from weightlore.teaching.exercises.sliced.lines import FULLEST_LINE as FULLEST_LINE
from weightlore.teaching.exercises.sliced.lines import TALLER as TALLER
from weightlore.teaching.exercises.sliced.periphery import PEDESTAL as PEDESTAL
from weightlore.teaching.exercises.sliced.periphery import SERIES as SERIES
from weightlore.teaching.exercises.sliced.periphery import SHIFT_AND_ADD as SHIFT_AND_ADD
from weightlore.teaching.exercises.sliced.slices import DIGITS as DIGITS
from weightlore.teaching.exercises.sliced.slices import RECODING as RECODING
