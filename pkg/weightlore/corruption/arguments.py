"""What kind of thing an argument is: a number, a count.

A wrong kind would otherwise end in an error of Python's, far from where it was given.

    is_real(value)              a real number, and no truth value
    require_real(name, value)   or an error
    require_whole(name, value)  the same for integers
"""

import numbers

from weightlore.errors import ParameterError

__all__ = ["is_real", "require_real", "require_whole"]


def is_real(value: object) -> bool:
    """Return whether a value is a real number; ``True`` and ``False`` are none.

    Args:
        value: anything.

    Source: ours
    """
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def require_real(name: str, value: object) -> None:
    """Check that an argument is a real number, in whatever range.

    Args:
        name: of the argument.
        value: what came.

    Raises:
        ParameterError: if it is not.

    Source: ours
    """
    if not is_real(value):
        raise ParameterError(f"{name} must be a number, got {value!r} of type {type(value).__name__}")


def require_whole(name: str, value: object) -> None:
    """Check that an argument is an integer, in whatever range; ``True`` and ``False`` are none.

    Args:
        name: of the argument.
        value: what came.

    Raises:
        ParameterError: if it is not.

    Source: ours
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise ParameterError(f"{name} must be an integer, got {value!r} of type {type(value).__name__}")
