"""Figures with knobs: results computed beforehand, drawn in the browser, the same in Jupyter and in a page."""

from weightlore.teaching.figures.curve import CurveFigure as CurveFigure
from weightlore.teaching.figures.flipbook import Flipbook as Flipbook
from weightlore.teaching.figures.image import ImageFigure as ImageFigure
from weightlore.teaching.figures.knob import Knob as Knob
from weightlore.teaching.figures.packing import values_of_state as values_of_state
