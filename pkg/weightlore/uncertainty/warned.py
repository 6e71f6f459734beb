"""What can be computed but should be looked at: one class of warnings, so that all of them can be silenced or raised.

warnings.warn("what is odd, and what to do", UncertaintyWarning, stacklevel=2)
warnings.simplefilter("error", UncertaintyWarning)      turns each into an error
"""

__all__ = ["UncertaintyWarning"]


class UncertaintyWarning(UserWarning):
    """A number was computed as asked, but it may not mean what it seems to; the message says why and what to do.

    Example:
        >>> issubclass(UncertaintyWarning, UserWarning)
        True

    Source: ours, because a disagreement of one member, or a temperature at its bound, is legal but no finding
    """
