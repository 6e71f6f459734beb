"""The strengths of the authors on pictures of clothes; nothing is said of methods at equal accuracy."""

import pytest
import torch

from weightlore.bitslice import FixedPoint, Recipe, frontier, l1_penalty, slice_l1_penalty
from weightlore.data import Split, fetch
from weightlore.networks import mlp
from weightlore.training import sgd


@pytest.mark.slow
@pytest.mark.usefixtures("mirror")
def test_property_at_the_authors_strengths_slice_l1_leaves_fewer_digits():
    train = fetch("fashion-mnist")["train"]
    scaled = Split(train.x.flatten(1).float(), train.y)
    scaled = Split((scaled.x - scaled.x[:10_000].mean()) / scaled.x[:10_000].std(), scaled.y)
    points = frontier(
        lambda generator: FixedPoint(mlp((784, 100, 10), generator=generator, dtype=torch.float32)),
        scaled[:10_000],
        {"l1": (l1_penalty, (10.0,)), "slice": (slice_l1_penalty, (0.5,))},
        validation=scaled[50_000:52_000],
        seeds=(0, 1, 2),
        recipe=Recipe(8, 8, 10.0, 0.01, 64, sgd(0.02, momentum=0.9)),
    )
    by_seed = {(p.method, p.seed): p for p in points}
    for seed in (0, 1, 2):
        l1, slices = by_seed["l1", seed], by_seed["slice", seed]
        assert all(b < a for a, b in zip(l1.slices[1:], slices.slices[1:], strict=True))
        assert l1.density >= 1.5 * slices.density
