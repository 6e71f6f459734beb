"""The gradient of a score with respect to the input, with its sign.

gradient               g = df/dx
gradient_times_input   x * g, zero wherever x is
"""

from torch import Tensor, nn

from weightlore.attribution.outputs import Attribution, Output, input_gradient

__all__ = ["gradient", "gradient_times_input"]


def gradient(model: nn.Module, x: Tensor, target: int | Tensor, *, output: Output = "logit") -> Attribution:
    """Return the gradient of the score with respect to the input, signed.

        A = df/dx

    Other packages return its absolute value under the name of saliency; here that is a choice of who looks at it.

    Args:
        model: in eval mode; returns logits, shape (N, C).
        x: inputs, shape (N, ...).
        target: one class, or one for each example, shape (N,), int64.
        output: whether f is the logit or the probability.

    Returns:
        The attribution, in units of the score per unit of the input, with no completeness.

    Raises:
        ParameterError: as ``input_gradient``.

    Source: [simonyan2014deep], section 3; [baehrens2010explain]
    """
    return Attribution(input_gradient(model, x, target, output), None, output)


def gradient_times_input(model: nn.Module, x: Tensor, target: int | Tensor, *, output: Output = "logit") -> Attribution:
    """Return the gradient times the input.

        A = x df/dx

    For a logit of a network of ReLU, maxima and linear layers without biases it adds up to f(x) (Euler's theorem) and
    is the integrated gradient from a baseline of zero; with biases it does not.

    Args:
        model: in eval mode; returns logits, shape (N, C).
        x: inputs, shape (N, ...).
        target: one class, or one for each example, shape (N,), int64.
        output: whether f is the logit or the probability.

    Returns:
        The attribution, in units of the score, with no completeness in general.

    Raises:
        ParameterError: as ``input_gradient``.

    Source: [shrikumar2017deeplift], gradient times input
    """
    return Attribution(x.detach() * input_gradient(model, x, target, output), None, output)
