"""How uncertain a set of class probabilities is: entropies, divergences and votes.

The names of the sub-package, one line each.
"""
