"""Where uncertainty comes from: the five factors as functions, exact decompositions, and models whose posterior is known.

The names of the sub-package, one line each.
"""
