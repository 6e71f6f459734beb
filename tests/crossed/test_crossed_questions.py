"""Each question against another way to its number."""

import copy

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from tests.crossed.crossed_networks import made, seeded
from torch import nn

from weightlore.attribution import integrated_gradients
from weightlore.bitslice import quantize
from weightlore.corruption import Budget
from weightlore.corruption import random as draw
from weightlore.crossed import (
    QUESTIONS,
    adapted,
    agrees,
    ask,
    attacked,
    chipped,
    each,
    miscalibrated,
    nonzero_digits,
    rounded,
    settles,
    shaken,
    surprised,
    surviving,
    tells_apart,
    turned,
    untouched,
)
from weightlore.crossed.reading import EXPLAINED, NODES, TURNED
from weightlore.crossed.surviving import ATTACKED, SHAKEN, TRIALS
from weightlore.data import Split, digits, natural_patches
from weightlore.errors import ParameterError
from weightlore.networks import Chain, mlp
from weightlore.parameters import flatten, replaced
from weightlore.uncertainty.ensembles import PooledNetwork

TEST = digits()


def right(network, data=TEST):
    """Accuracy in percent, counted."""
    return 100 * float((network(data.x).argmax(1) == data.y).double().mean())


def moved(network, vector):
    with replaced(network, flatten(network) + vector):
        return right(network)


def test_oracle_untouched_counts_right_answers():
    assert untouched(made("healthy")) == pytest.approx(right(made("healthy")))


def test_property_ten_steps_harm_more_than_chance_and_stay_within_the_budget(monkeypatch):
    network = made("healthy")
    length = ATTACKED * float(flatten(network).norm())
    chance = [moved(network, draw(6570, Budget(length), generator=seeded(s), dtype=torch.float64)) for s in range(5)]
    assert attacked(network) < min(chance) - 5
    monkeypatch.setattr(surviving, "ATTACKED", 0.0)
    assert attacked(network) == pytest.approx(right(network))


def test_oracle_shaken_is_the_mean_over_copies_one_by_one():
    network, generator = made("healthy"), seeded(3)
    budget = Budget(SHAKEN * float(flatten(network).norm()))
    found = [moved(network, draw(6570, budget, generator=generator, dtype=torch.float64)) for _ in range(TRIALS)]
    assert shaken(network, generator=seeded(3)) == pytest.approx(np.mean(found))


def test_property_tuning_teaches_turned_digits():
    network = made("healthy")
    before = right(network, turned(TEST, surviving.TURNED))
    assert adapted(network, generator=seeded()) > before + 20


def test_oracle_rounding_is_sign_times_mean_magnitude():
    network = copy.deepcopy(made("healthy"))
    with torch.no_grad():
        for layer in (*network.layers, network.readout):
            layer.weight.copy_(torch.where(layer.weight >= 0, 1.0, -1.0) * layer.weight.abs().mean(1, keepdim=True))
    assert rounded(made("healthy")) == pytest.approx(right(network))
    assert rounded(made("binarized")) == pytest.approx(right(made("binarized")))


def test_limit_cells_that_miss_nothing_lose_next_to_nothing(monkeypatch):
    monkeypatch.setattr(surviving, "CHIPS", 1)
    monkeypatch.setattr(surviving, "MISSED", 0.0)
    assert abs(chipped(made("healthy"), generator=seeded())) < 0.6
    monkeypatch.setattr(surviving, "MISSED", 1.0)
    assert chipped(made("healthy"), generator=seeded()) < -20


def test_oracle_calibration_error_by_bins():
    data = turned(TEST, TURNED)
    sure, told = made("healthy")(data.x).softmax(1).max(1)
    number, hit = (sure.detach().numpy() * 15).astype(int).clip(0, 14), (told == data.y).numpy()
    gaps = [
        abs(hit[number == b].mean() - sure.detach().numpy()[number == b].mean()) * (number == b).mean()
        for b in range(15)
        if (number == b).any()
    ]
    assert miscalibrated(made("healthy")) == pytest.approx(sum(gaps), abs=1e-9)


def test_oracle_log_loss_is_that_of_torch():
    expected = nn.functional.cross_entropy(made("ensembled")(TEST.x), TEST.y)
    assert surprised(made("ensembled")) == pytest.approx(expected.item())


def test_oracle_area_is_the_share_of_pairs_in_order():
    network, patches = made("healthy"), natural_patches(len(TEST), generator=seeded(2))
    inside, outside = (network(x).softmax(1).amax(1) for x in (TEST.x, patches))
    share = (inside[:, None] > outside).double() + 0.5 * (inside[:, None] == outside)
    assert tells_apart(network, generator=seeded(2)) == pytest.approx(share.mean().item(), abs=1e-4)


@pytest.mark.parametrize("sign", ["signed", "abs"])
def test_oracle_agreement_is_spearman_on_active_pixels(sign):
    x, y = TEST.x[:EXPLAINED], TEST.y[:EXPLAINED]
    maps = [
        integrated_gradients(made(name), x, y, baseline=0.0, nodes=NODES, output="probability").values
        for name in ("healthy", "struck")
    ]
    maps = [one if sign == "signed" else one.abs() for one in maps]
    found = [spearmanr(a[image > 0], b[image > 0]).statistic for a, b, image in zip(*maps, x, strict=True)]
    assert agrees(made("struck"), made("healthy"), sign=sign) == pytest.approx(np.mean(found))
    assert agrees(made("struck"), made("struck"), sign=sign) == pytest.approx(1)


def test_oracle_nonzero_digits_are_counted_in_base_four():
    network = made("healthy")
    codes = [quantize(p.detach()).code.abs().flatten().tolist() for p in network.parameters() if p.ndim > 1]
    found = [(code >> shift) & 3 for each_ in codes for code in each_ for shift in (0, 2, 4, 6)]
    assert nonzero_digits(network) == pytest.approx(100 * np.mean(np.array(found) > 0))


def test_property_a_larger_margin_decides_sooner():
    network = made("healthy")
    assert 1 <= settles(network) <= 64
    assert settles(PooledNetwork([network, network])) == pytest.approx(settles(network))


def test_property_each_changes_every_member():
    pooled = PooledNetwork([mlp((4, 3), generator=seeded(s)) for s in (0, 1)])
    zeroed = each(pooled, lambda one: nn.utils.vector_to_parameters(0 * flatten(one), one.parameters()) or one)
    assert isinstance(zeroed, PooledNetwork)
    assert not flatten(zeroed).any()
    assert isinstance(each(pooled.members[0], lambda one: one), Chain)


@pytest.mark.parametrize("name", QUESTIONS)
def test_property_a_question_leaves_the_network_as_it_is_and_repeats_itself(name):
    network, healthy = made("struck"), made("healthy")
    before = flatten(network)
    one, two = (ask(name, network, healthy, generator=seeded(1)) for _ in range(2))
    assert one == two
    assert np.isfinite(one)
    assert torch.equal(before, flatten(network))
    assert not network.training


def test_property_turned_digits_keep_their_labels():
    found = turned(TEST, 5)
    assert torch.equal(found.y, TEST.y)
    assert not torch.equal(found.x, TEST.x)
    assert torch.equal(turned(Split(TEST.x, TEST.y), 0).x, TEST.x)


def test_error_what_a_question_cannot_read_is_said():
    with pytest.raises(ParameterError, match="sign is one of"):
        agrees(made("healthy"), made("struck"), sign="squared")
    with pytest.raises(ParameterError, match="severity"):
        turned(TEST, 6)


def test_error_an_unknown_question_is_refused_with_those_there_are():
    with pytest.raises(ParameterError, match=r"'accuracy', 'attacked', .*, got 'why'"):
        ask("why", made("healthy"), made("healthy"), generator=seeded())
