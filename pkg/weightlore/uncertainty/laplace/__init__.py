"""A Gaussian around the trained parameters: curvature, its structures, predictions and evidence.

The names of the sub-package, one line each.
"""
