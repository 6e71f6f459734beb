"""One source, several editions: what students get, what the teacher keeps, slides, and sheets that are graded."""

from weightlore.teaching.editions.course import write_course as write_course
from weightlore.teaching.editions.cutting import assign as assign
from weightlore.teaching.editions.cutting import cut as cut
from weightlore.teaching.editions.elsewhere import Elsewhere as Elsewhere
from weightlore.teaching.editions.instructor import instructor as instructor
from weightlore.teaching.editions.marks import Mark as Mark
from weightlore.teaching.editions.marks import announce_class as announce_class
from weightlore.teaching.editions.marks import award as award
from weightlore.teaching.editions.marks import mark as mark
from weightlore.teaching.editions.marks import reference as reference
from weightlore.teaching.editions.open_questions import OpenQuestion as OpenQuestion
from weightlore.teaching.editions.open_questions import open_questions as open_questions
from weightlore.teaching.editions.sheets import questions as questions
from weightlore.teaching.editions.sheets import sheet as sheet
from weightlore.teaching.editions.slides import slides as slides
from weightlore.teaching.editions.student import student as student
from weightlore.teaching.editions.tags import TAGS as TAGS
from weightlore.teaching.editions.tags import contradictions as contradictions
from weightlore.teaching.editions.tags import require_tags as require_tags
