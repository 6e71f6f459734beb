"""One source, several editions: what students get, what the teacher keeps, slides, and sheets that are graded."""

from weightlore.teaching.editions.elsewhere import Elsewhere as Elsewhere
from weightlore.teaching.editions.instructor import instructor as instructor
from weightlore.teaching.editions.student import student as student
from weightlore.teaching.editions.tags import TAGS as TAGS
from weightlore.teaching.editions.tags import contradictions as contradictions
from weightlore.teaching.editions.tags import require_tags as require_tags
