"""The exercises of the chapter on uncertainty; references are computed by ``weightlore.uncertainty``."""

from weightlore.teaching.exercises.uncertain.calibration import BINNED_ERROR as BINNED_ERROR
from weightlore.teaching.exercises.uncertain.calibration import CONSTANT_PARTS as CONSTANT_PARTS
from weightlore.teaching.exercises.uncertain.calibration import NOISE_FLOOR as NOISE_FLOOR
from weightlore.teaching.exercises.uncertain.calibration import STRETCH as STRETCH
from weightlore.teaching.exercises.uncertain.calibration import TEMPERATURE_SLOPE as TEMPERATURE_SLOPE
from weightlore.teaching.exercises.uncertain.calibration import TWO_EXPERTS as TWO_EXPERTS
from weightlore.teaching.exercises.uncertain.conformal import ADDED_UP as ADDED_UP
from weightlore.teaching.exercises.uncertain.conformal import HOW_MANY as HOW_MANY
from weightlore.teaching.exercises.uncertain.conformal import MOVE_ENDS as MOVE_ENDS
from weightlore.teaching.exercises.uncertain.conformal import THRESHOLD as THRESHOLD
from weightlore.teaching.exercises.uncertain.ensembles import ADD_ONE as ADD_ONE
from weightlore.teaching.exercises.uncertain.ensembles import MEAN_GAIN as MEAN_GAIN
from weightlore.teaching.exercises.uncertain.ensembles import OWN_NUMBERS as OWN_NUMBERS
from weightlore.teaching.exercises.uncertain.ensembles import RESTARTS as RESTARTS
from weightlore.teaching.exercises.uncertain.judging import INTERVAL_FINE as INTERVAL_FINE
from weightlore.teaching.exercises.uncertain.judging import MOST_ANSWERS as MOST_ANSWERS
from weightlore.teaching.exercises.uncertain.measures import SAME_TOTAL as SAME_TOTAL
from weightlore.teaching.exercises.uncertain.measures import TWO_ONE_ONE as TWO_ONE_ONE
from weightlore.teaching.exercises.uncertain.measures import VOTES as VOTES
