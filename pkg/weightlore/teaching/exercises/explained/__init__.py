"""The exercises of the chapter on explanations; references are computed by ``weightlore.attribution``."""

from weightlore.teaching.exercises.explained.attributions import BIASLESS as BIASLESS
from weightlore.teaching.exercises.explained.attributions import GUIDED as GUIDED
from weightlore.teaching.exercises.explained.attributions import SILENT as SILENT
from weightlore.teaching.exercises.explained.corrections import SKEWED as SKEWED
from weightlore.teaching.exercises.explained.corrections import UNMASKED as UNMASKED
from weightlore.teaching.exercises.explained.corrections import WITHOUT_FACTOR as WITHOUT_FACTOR
from weightlore.teaching.exercises.explained.paths import ENOUGH as ENOUGH
from weightlore.teaching.exercises.explained.paths import PIECES as PIECES
from weightlore.teaching.exercises.explained.paths import TRAPEZOID as TRAPEZOID
from weightlore.teaching.exercises.explained.sensitivity import OPPOSITE as OPPOSITE
from weightlore.teaching.exercises.explained.sensitivity import STILL_TRAINED as STILL_TRAINED
from weightlore.teaching.exercises.explained.useless import USELESS as USELESS
