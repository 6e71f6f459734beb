"""Samplers that follow the posterior over the parameters, and diagnostics of their chains.

The names of the sub-package, one line each.
"""
