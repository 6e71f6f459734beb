"""Variants of the exercises for a class: the same questions with other numbers, drawn from a private seed."""

from weightlore.teaching.variants.drawing import variant as variant
from weightlore.teaching.variants.exams import Exam as Exam
from weightlore.teaching.variants.exams import Question as Question
from weightlore.teaching.variants.exams import exam as exam
from weightlore.teaching.variants.fairness import faults as faults
from weightlore.teaching.variants.families import Variants as Variants
from weightlore.teaching.variants.families import families as families
from weightlore.teaching.variants.reasons import Reason as Reason
from weightlore.teaching.variants.reasons import Rubric as Rubric
from weightlore.teaching.variants.reasons import reasons as reasons
from weightlore.teaching.variants.reasons import rubrics as rubrics
from weightlore.teaching.variants.seeds import class_seed as class_seed
from weightlore.teaching.variants.sheets import write_exam as write_exam
