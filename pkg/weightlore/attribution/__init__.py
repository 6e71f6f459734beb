"""What an input has to say about an output, and how much of that depends on the parameters.

The names of the sub-package, one line each.
"""

from weightlore.attribution.outputs import Attribution as Attribution
from weightlore.attribution.outputs import Method as Method
from weightlore.attribution.outputs import Output as Output
from weightlore.attribution.outputs import input_gradient as input_gradient
from weightlore.attribution.outputs import require as require
from weightlore.attribution.outputs import scores as scores
