"""What a sheet says of corruptions and of training against them before it asks about them."""

__all__ = ["HARDENED", "WORST"]

WORST = (
    "The worst corruption a makes a . g largest, with ||a||_p <= epsilon and n entries at most that are not "
    "zero; g is the gradient of the loss."
)
HARDENED = (
    "Training against corruption makes (1 - alpha) L(theta) + alpha max_a L(theta + a) small, over a with "
    "||a||_p <= epsilon and at most n of the P entries that are not zero. The step puts in the a that is worst to "
    "first order and holds it constant."
)
