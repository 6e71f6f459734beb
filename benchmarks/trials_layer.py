"""Corruption of one layer: what lies before it is the same for all copies, and computed once."""

from benchmarks import copies
from benchmarks.race import Race
from benchmarks.trials_cnn import noise, pooled_network

COPIES = 20


def races() -> list[Race]:
    return [_race("7", "last"), _race("3", "second convolutional"), _race("0", "first convolutional")]


def _race(layer: str, which: str) -> Race:
    model, data = pooled_network()
    offsets = noise(model, COPIES, layer)
    return Race(
        name=f"{which} layer",
        what=f"{COPIES} copies of the CNN with max pooling that differ in the {which} layer, 1000 images, float32",
        contestants={
            "copies and data loader": copies.data_loader(model, offsets, data, layer),
            "in place, batches of 125": copies.in_place(model, offsets, data, layer, rows=125),
            "vmap, batches of 125": copies.vectorized(model, offsets, data, layer, rows=125, copies=8),
            "evaluate_thetas": copies.stacked(model, offsets, data, layer),
        },
        candidate="evaluate_thetas",
        reference="copies and data loader",
        tolerance=1e-4,
        targets={"copies and data loader": 2.0},
    )
