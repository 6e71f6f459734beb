"""Whether a confidence of 90 % is right nine times in ten: measures with their noise, training losses, and repairs afterwards.

The names of the sub-package, one line each.
"""
