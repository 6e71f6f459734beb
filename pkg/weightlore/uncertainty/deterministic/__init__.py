"""One network, one pass: heads that say how sure they are.

The names of the sub-package, one line each.
"""
