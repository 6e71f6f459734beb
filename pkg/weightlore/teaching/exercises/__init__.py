"""Exercises that say what is wrong with an answer; one module per chapter."""

from weightlore.teaching.exercises.checker import Diagnosis as Diagnosis
from weightlore.teaching.exercises.checker import Exercise as Exercise
from weightlore.teaching.exercises.checker import Reply as Reply
from weightlore.teaching.exercises.checker import check as check
from weightlore.teaching.exercises.checker import exercises as exercises
from weightlore.teaching.exercises.checker import judge as judge
