"""Searches over settings and architectures: who is trained how, and who is chosen."""

import pytest
import torch
from torch import nn

from weightlore.data import Split, digits
from weightlore.errors import ParameterError
from weightlore.networks import mlp
from weightlore.parameters import flatten
from weightlore.uncertainty.ensembles import HyperDeepEnsemble, ensemble_search
from weightlore.uncertainty.measures import nll_categorical


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def blobs(n=60, seed=0):
    y = torch.arange(n) % 2
    return Split(torch.randn(n, 2, generator=seeded(seed), dtype=torch.float64) + 1.5 * y[:, None], y)


def width(generator):
    return int(torch.randint(2, 6, (), generator=generator))


class Training:
    """Untrained networks are candidates too; remembers what it was asked for."""

    def __init__(self):
        self.asked, self.first = [], []

    def __call__(self, setting, generator):
        net = mlp((2, setting, 2), generator=generator)
        self.asked.append(setting)
        self.first.append(float(flatten(net)[0]))
        return net


def test_property_every_setting_has_its_seeds_and_the_path_never_rises():
    train, validation = Training(), blobs()
    found = HyperDeepEnsemble.search(width, train, validation, candidates=4, seeds=3, members=6, generator=seeded())
    assert isinstance(found, HyperDeepEnsemble)
    assert len(train.asked) == 12
    assert train.asked[:4] == train.asked[4:8] == train.asked[8:]
    assert list(found.pool) == train.asked
    assert len(set(train.first)) == 12, "every training has a seed of its own"
    assert bool((found.selection.path.diff() <= 0).all())
    assert [found.pool[number] for number in found.selection.distinct] == list(found.settings)
    said = found.predict(validation.x)
    assert said.members == len(found.selection.chosen)
    value = float(nll_categorical(said.mean, validation.y).mean())
    assert value == pytest.approx(float(found.selection.path[-1]), rel=1e-10)


def test_property_a_network_that_was_chosen_twice_counts_twice():
    validation = blobs()
    for seed in range(20):
        found = HyperDeepEnsemble.search(
            width, Training(), validation, candidates=4, seeds=1, members=8, generator=seeded(seed)
        )
        if len(found.networks) < len(found.selection.chosen):
            break
    said = found.predict(validation.x).probs
    repeated = next(number for number in found.selection.chosen if found.selection.chosen.count(number) > 1)
    places = [place for place, number in enumerate(found.selection.chosen) if number == repeated]
    assert len(places) > 1
    assert torch.equal(said[places[0]], said[places[1]])


def test_property_preselection_gives_seeds_to_the_promising_settings_only():
    train = Training()
    found = HyperDeepEnsemble.search(
        width, train, blobs(), candidates=5, seeds=4, members=3, preselected=2, generator=seeded()
    )
    extra = train.asked[5:]
    assert len(extra) in (3, 6)
    assert extra[: len(extra) // 3] == extra[len(extra) // 3 : 2 * len(extra) // 3]
    assert len(found.pool) == 5 + len(extra)


def test_property_more_candidates_change_no_training_that_was_there():
    one, other = Training(), Training()
    options = {"seeds": 1, "members": 2}
    HyperDeepEnsemble.search(lambda g: 3, one, blobs(), candidates=2, generator=seeded(), **options)
    HyperDeepEnsemble.search(lambda g: 3, other, blobs(), candidates=5, generator=seeded(), **options)
    assert one.first == other.first[:2]


def test_property_an_architecture_search_chooses_each_network_once():
    train, validation = Training(), blobs()
    found = ensemble_search(width, train, validation, pool=7, members=4, generator=seeded(1))
    assert len(train.asked) == 7
    assert len(set(found.selection.chosen)) == len(found.selection.chosen) == len(found.networks)
    assert bool((found.selection.path.diff() <= 0).all())
    assert [net.layers[0].out_features for net in found.networks] == list(found.settings)
    again = ensemble_search(width, Training(), validation, pool=7, members=4, generator=seeded(1))
    assert again.selection.chosen == found.selection.chosen
    assert torch.equal(again.predict(validation.x).probs, found.predict(validation.x).probs)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda v: ensemble_search(width, Training(), v, pool=0, generator=seeded()), "settings must be a whole"),
        (lambda v: ensemble_search(width, Training(), v, members=0, generator=seeded()), "members must be a whole"),
        (lambda v: ensemble_search(width, Training(), v[[]], generator=seeded()), "at least one example"),
        (lambda v: ensemble_search(width, Training(), Split(v.x, v.x), generator=seeded()), "class numbers y"),
        (lambda v: ensemble_search(width, lambda w, g: w, v, generator=seeded()), "is a network"),
        (
            lambda v: ensemble_search(width, Training(), v.to(dtype=torch.float32), generator=seeded()),
            "validation are torch.float32",
        ),
        (
            lambda v: HyperDeepEnsemble.search(width, Training(), v, seeds=0, generator=seeded()),
            "seeds must be a whole number",
        ),
        (lambda v: ensemble_search(width, lambda w, g: Pair(), v, generator=seeded()), "chooses among classifiers"),
        (lambda v: ensemble_search(width, Training(), digits("test")[:5], generator=seeded()), "batches of shape"),
    ],
)
def test_error_arguments(call, message):
    with pytest.raises(ParameterError, match=message):
        call(blobs())


class Pair(nn.Module):
    """Regresses."""

    def __init__(self):
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1, dtype=torch.float64))

    def forward(self, x):
        return x[:, :1], 1 + x[:, :1] ** 2
