"""The exercises of the chapter on transfer; references are computed by ``weightlore.transfer``."""

from weightlore.teaching.exercises.transferred.corners import CORNERS as CORNERS
from weightlore.teaching.exercises.transferred.corners import OUTSIDE as OUTSIDE
from weightlore.teaching.exercises.transferred.gating import DIAGONAL_GATE as DIAGONAL_GATE
from weightlore.teaching.exercises.transferred.gating import GATE_GRADIENT as GATE_GRADIENT
from weightlore.teaching.exercises.transferred.restraints import HARD_GATE as HARD_GATE
from weightlore.teaching.exercises.transferred.restraints import LEASH as LEASH
from weightlore.teaching.exercises.transferred.transfer import CONTROL as CONTROL
from weightlore.teaching.exercises.transferred.transfer import TWO_WAYS as TWO_WAYS
from weightlore.teaching.exercises.transferred.transfer import VERDICT as VERDICT
from weightlore.teaching.exercises.transferred.unit import AWAKE as AWAKE
from weightlore.teaching.exercises.transferred.unit import GATE_COST as GATE_COST
