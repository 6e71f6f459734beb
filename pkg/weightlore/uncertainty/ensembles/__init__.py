"""Several networks instead of one: how to get them, combine them, choose among them and distill them.

The names of the sub-package, one line each.
"""
