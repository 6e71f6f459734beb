"""A second component that judges what a network says: its gradients, a helper network, a confidence branch.

The names of the sub-package, one line each.
"""
