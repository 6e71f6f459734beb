"""What an input has to say about an output, and how much of that depends on the parameters.

The names of the sub-package, one line each.
"""

from weightlore.attribution.deep_lift import deep_lift as deep_lift
from weightlore.attribution.grad_cam import class_activation_map as class_activation_map
from weightlore.attribution.grad_cam import grad_cam as grad_cam
from weightlore.attribution.grad_cam import guided_grad_cam as guided_grad_cam
from weightlore.attribution.gradients import gradient as gradient
from weightlore.attribution.gradients import gradient_times_input as gradient_times_input
from weightlore.attribution.guided import deconvnet as deconvnet
from weightlore.attribution.guided import guided_backprop as guided_backprop
from weightlore.attribution.guided import passed_back as passed_back
from weightlore.attribution.operations import Call as Call
from weightlore.attribution.operations import Ruled as Ruled
from weightlore.attribution.outputs import Attribution as Attribution
from weightlore.attribution.outputs import Method as Method
from weightlore.attribution.outputs import Output as Output
from weightlore.attribution.outputs import chosen as chosen
from weightlore.attribution.outputs import frozen as frozen
from weightlore.attribution.outputs import input_gradient as input_gradient
from weightlore.attribution.outputs import pulled_back as pulled_back
from weightlore.attribution.outputs import require as require
from weightlore.attribution.outputs import scores as scores
from weightlore.attribution.relevance import lrp_epsilon as lrp_epsilon
from weightlore.attribution.smoothing import noise_spread as noise_spread
from weightlore.attribution.smoothing import noisy_gradients as noisy_gradients
from weightlore.attribution.smoothing import smooth_grad as smooth_grad
from weightlore.attribution.smoothing import smooth_grad_squared as smooth_grad_squared
from weightlore.attribution.smoothing import var_grad as var_grad
