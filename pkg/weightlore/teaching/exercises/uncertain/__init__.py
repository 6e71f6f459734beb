"""The exercises of the chapter on uncertainty; references are computed by ``weightlore.uncertainty``."""

from weightlore.teaching.exercises.uncertain.judging import INTERVAL_FINE as INTERVAL_FINE
from weightlore.teaching.exercises.uncertain.judging import MOST_ANSWERS as MOST_ANSWERS
from weightlore.teaching.exercises.uncertain.measures import SAME_TOTAL as SAME_TOTAL
from weightlore.teaching.exercises.uncertain.measures import TWO_ONE_ONE as TWO_ONE_ONE
from weightlore.teaching.exercises.uncertain.measures import VOTES as VOTES
