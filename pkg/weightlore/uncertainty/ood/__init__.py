"""Scores that say how unlike the training data an input is, from logits, features or gradients of a trained network.

The names of the sub-package, one line each.
"""
