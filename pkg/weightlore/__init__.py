"""Six fates of a neural network's parameters: methods of six papers, two hardware simulators, and how to teach them."""

__version__ = "0.1.0"
