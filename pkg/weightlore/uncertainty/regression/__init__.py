"""Scores of predicted numbers: intervals, quantiles, densities and samples.

The names of the sub-package, one line each.
"""
