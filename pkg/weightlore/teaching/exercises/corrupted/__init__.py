"""The exercises of the chapter on corrupted parameters; every reference is computed by ``weightlore.corruption``."""

from weightlore.teaching.exercises.corrupted.by_hand import BY_HAND as BY_HAND
from weightlore.teaching.exercises.corrupted.by_hand import BY_HAND_INF as BY_HAND_INF
from weightlore.teaching.exercises.corrupted.by_hand import N_FREE as N_FREE
from weightlore.teaching.exercises.corrupted.chance import LOTTERY as LOTTERY
from weightlore.teaching.exercises.corrupted.chance import TRACE as TRACE
from weightlore.teaching.exercises.corrupted.far import TOO_FAR as TOO_FAR
from weightlore.teaching.exercises.corrupted.hoelder import HOELDER as HOELDER
from weightlore.teaching.exercises.corrupted.hoelder import WORST_NORM as WORST_NORM
from weightlore.teaching.exercises.corrupted.steps import IS_SAM as IS_SAM
from weightlore.teaching.exercises.corrupted.steps import NORMALIZED as NORMALIZED
