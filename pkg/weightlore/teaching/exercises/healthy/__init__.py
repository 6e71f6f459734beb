"""The exercises of the chapter on the healthy network: counting, symmetries, and how far a random direction leads."""

from weightlore.teaching.exercises.healthy.numbers import COUNT as COUNT
from weightlore.teaching.exercises.healthy.numbers import HALF as HALF
from weightlore.teaching.exercises.healthy.symmetries import PERMUTE as PERMUTE
from weightlore.teaching.exercises.healthy.symmetries import RESCALE as RESCALE
