"""Errors at the public border: what was expected, what came, what to do.

``ParameterError`` is raised for an argument that cannot be used, ``MissingExtra`` for an optional library that is not
installed, ``DataError`` for a data file that is absent or not what it should be.
"""

from collections.abc import Collection
from typing import get_args

import torch
from torch import Tensor

__all__ = ["DataError", "MissingExtra", "ParameterError", "require_finite", "require_option"]


class ParameterError(ValueError):
    """An argument is out of range, of the wrong shape or not finite; the message says what was expected.

    Source: ours
    """


class MissingExtra(ImportError):
    """An optional library is missing; the message names the extra that brings it.

    Args:
        library: import name of the library.
        extra: the extra of weightlore that installs it.

    Example:
        >>> str(MissingExtra("numba", "fast"))
        'numba is not installed. It comes with the extra "fast": pip install "weightlore[fast]"'

    Source: ours
    """

    def __init__(self, library: str, extra: str) -> None:
        super().__init__(
            f'{library} is not installed. It comes with the extra "{extra}": pip install "weightlore[{extra}]"'
        )
        self.library, self.extra = library, extra

    def __reduce__(self) -> tuple[type["MissingExtra"], tuple[str, str]]:
        return type(self), (self.library, self.extra)  # so that worker processes can hand it on


class DataError(OSError):
    """A data file is absent, incomplete or not the pinned one; the message says which command mends it.

    Source: ours
    """


def require_finite(what: str, tensor: Tensor) -> Tensor:
    """Return the tensor if all its entries are finite.

    Args:
        what: how the caller calls the tensor, for the message.
        tensor: any shape.

    Raises:
        ParameterError: if an entry is NaN or infinite; the message counts them.

    Source: ours
    """
    if bool(torch.isfinite(tensor.detach().sum())):  # a twentieth of the time; NaN and infinity stay in any sum
        return tensor
    finite = torch.isfinite(tensor)
    if not bool(finite.all()):  # else finite numbers whose sum is not
        bad = int((~finite).sum())
        raise ParameterError(
            f"{what} must be finite, but {bad} of its {tensor.numel()} entries are NaN or infinite; "
            "look for what made them: a missing value, a division by zero, too high a learning rate"
        )
    return tensor


def require_option(name: str, value: object, options: object) -> None:
    """Check that an argument is one of the values of a ``Literal``, or one of some names.

    Args:
        name: of the argument.
        value: what came.
        options: the ``Literal``, or a collection of names, such as a mapping from them.

    Raises:
        ParameterError: if it is none of them; the message lists all.

    Source: ours
    """
    allowed = tuple(options) if isinstance(options, Collection) else get_args(options)
    if value not in allowed:
        raise ParameterError(f"{name} is one of {', '.join(map(repr, allowed))}, got {value!r}")
