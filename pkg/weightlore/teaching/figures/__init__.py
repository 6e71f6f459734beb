"""Figures with knobs: results computed beforehand, drawn in the browser, the same in Jupyter and in a page."""

from weightlore.teaching.figures.curve import CurveFigure as CurveFigure
from weightlore.teaching.figures.knob import Knob as Knob
