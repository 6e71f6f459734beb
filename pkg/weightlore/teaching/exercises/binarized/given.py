"""What a sheet says of a spiking neuron before it asks about one."""

__all__ = ["NEURON"]

NEURON = (
    "In each step the current is added to the potential. A neuron that has reached its threshold spikes once, "
    "and the threshold is subtracted."
)
