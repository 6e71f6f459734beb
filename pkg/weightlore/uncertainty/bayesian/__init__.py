"""Layers whose weights are distributions, and dropout that stays on: a posterior in one network.

The names of the sub-package, one line each.
"""
