"""The exercises of the chapter on crossed fates: what ten pairs of twins say, and what they do not."""

from weightlore.teaching.exercises.crossed.twins import CHANCE as CHANCE
from weightlore.teaching.exercises.crossed.twins import EFFECT as EFFECT
from weightlore.teaching.exercises.crossed.twins import PAIRED as PAIRED
from weightlore.teaching.exercises.crossed.twins import TOGETHER as TOGETHER
from weightlore.teaching.exercises.crossed.wagers import ALL_ONE_WAY as ALL_ONE_WAY
from weightlore.teaching.exercises.crossed.wagers import PAIRS_NEEDED as PAIRS_NEEDED
from weightlore.teaching.exercises.crossed.wagers import WAGER as WAGER
