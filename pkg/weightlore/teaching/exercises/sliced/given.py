"""What a sheet says of codes and their penalty before it asks about them."""

__all__ = ["CODES", "THROUGH"]

CODES = (
    "The code q of a weight has digits b_k, k = 0 the least significant, four of base 4 if nothing else is "
    "said. The penalty is alpha / (K P) times the sum of all digits, K for each of P weights, and |W| = q step."
)
THROUGH = (
    " In its gradient floors count as the identity and higher digits as constants (they are detached); |b| has "
    "no slope at 0."
)
