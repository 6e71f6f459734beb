"""Which layers of a network have weights of one bit, and what such a weight must be.

binary_layers      names of all fully connected and convolutional layers but first and last
require_weight     a weight is finite, floating, of shape (O, I, ...)
require_channels   centering over the input channels leaves something of it
"""

from collections.abc import Sequence

from torch import Tensor, nn

from weightlore.errors import ParameterError, require_finite

__all__ = ["binary_layers", "require_channels", "require_weight"]


def binary_layers(model: nn.Module, names: Sequence[str] | None = None) -> tuple[str, ...]:
    """Return the names of the layers to be binarized: all fully connected and convolutional ones but first and last.

    Args:
        model: any tree of modules, in the order in which they compute.
        names: of ``nn.Linear`` and ``nn.Conv2d`` layers instead, as in ``model.named_modules()``.

    Returns:
        Names in the order of the model; a layer that stands in several places counts once.

    Raises:
        ParameterError: if there is no layer between first and last, or a name belongs to no such layer.

    Example:
        >>> binary_layers(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2)))
        ('2',)

    Source: [lu2020binary], binary-weight training
    """
    known = [name for name, module in model.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    if names is None:
        if len(known) < 3:
            raise ParameterError(
                f"first and last layer stay real, and the model has {len(known)} layers nn.Linear or nn.Conv2d; "
                "use a deeper model, or name the layers to be binarized"
            )
        return tuple(known[1:-1])
    wrong = [name for name in names if name not in known]
    if wrong or not names:
        raise ParameterError(
            f"{', '.join(map(repr, wrong)) or 'no name'} was given, but the layers nn.Linear and nn.Conv2d of this "
            f"model are {', '.join(map(repr, known)) or 'none'}"
        )
    return tuple(name for name in known if name in set(names))


def require_weight(weight: Tensor, what: str = "a latent weight") -> Tensor:
    """Return the tensor if it can be the weight of a layer: finite, floating, of shape (O, I, ...).

    Args:
        weight: to be checked.
        what: how the caller calls it.

    Raises:
        ParameterError: if it cannot.

    Source: ours
    """
    if not isinstance(weight, Tensor) or weight.ndim < 2 or not weight.is_floating_point() or weight.numel() == 0:
        came = f"{weight.dtype} of shape {tuple(weight.shape)}" if isinstance(weight, Tensor) else type(weight).__name__
        raise ParameterError(f"{what} must be a floating tensor of shape (O, I, ...) with entries, got {came}")
    return require_finite(what, weight)


def require_channels(weight: Tensor, what: str = "the weight") -> None:
    """Check that centering over the input channels leaves something.

    Args:
        weight: shape (O, I, ...).
        what: how the caller calls it.

    Raises:
        ParameterError: if I is 1.

    Source: ours, because the mean of one number is that number
    """
    if weight.shape[1] == 1:
        raise ParameterError(
            f"{what} of shape {tuple(weight.shape)} has one input channel, and centering would set it to zero; "
            "leave the layer real by naming the others, or binarize without centering (center=False)"
        )
