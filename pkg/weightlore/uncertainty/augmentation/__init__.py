"""One network, several views of each input: averages over augmentations.

The names of the sub-package, one line each.
"""
