"""Sets and intervals that hold the truth as often as promised, for exchangeable data.

The names of the sub-package, one line each.
"""
