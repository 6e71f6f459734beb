"""Which examples to label next.

The names of the sub-package, one line each.
"""
