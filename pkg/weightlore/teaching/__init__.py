"""What the notebooks teach with: figures, exercises, claims and notebook tools. Needs the extra ``book``."""

from weightlore.teaching.budgets import budget as budget
from weightlore.teaching.claims import Claim as Claim
from weightlore.teaching.comparison import compare as compare
from weightlore.teaching.cover import draw_cover as draw_cover
from weightlore.teaching.cover import draw_logo as draw_logo
from weightlore.teaching.describe import Description as Description
from weightlore.teaching.describe import describe as describe
from weightlore.teaching.exercises import check as check
from weightlore.teaching.figures import CurveFigure as CurveFigure
from weightlore.teaching.figures import Flipbook as Flipbook
from weightlore.teaching.figures import ImageFigure as ImageFigure
from weightlore.teaching.figures import Knob as Knob
from weightlore.teaching.frontiers import Frontier as Frontier
from weightlore.teaching.frontiers import stored_frontier as stored_frontier
from weightlore.teaching.frontiers import stored_frontiers as stored_frontiers
from weightlore.teaching.ledgers import ledger as ledger
from weightlore.teaching.notebooks import canonical as canonical
from weightlore.teaching.notebooks import execute as execute
from weightlore.teaching.notebooks import freeze as freeze
from weightlore.teaching.reliability import reliability_picture as reliability_picture
from weightlore.teaching.showing import use_style as use_style
from weightlore.teaching.strip import Strip as Strip
from weightlore.teaching.strip import strip as strip
from weightlore.teaching.style import palette as palette
from weightlore.teaching.timings import stored_race as stored_race
