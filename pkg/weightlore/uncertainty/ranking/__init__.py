"""Whether the uncertain cases are the wrong ones: curves and areas over a ranking, with ties counted once.

The names of the sub-package, one line each.
"""
