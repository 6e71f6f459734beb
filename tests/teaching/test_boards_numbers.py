"""What is computed for a board is right: how far honest forecasters are off, the effect needed, the steps of spikes."""

import re

import pytest
import torch
from scipy import stats
from tests.contracts.files import ROOT

from weightlore.bitslice import predicted_bits
from weightlore.spiking import if_step
from weightlore.teaching.boards import board
from weightlore.teaching.boards.binarized import spikes
from weightlore.teaching.boards.crossed import needed
from weightlore.teaching.boards.uncertain import by_chance
from weightlore.teaching.ledgers import ledger


def said(chapter):
    """The words of a board, without its marks."""
    return re.sub(r"<[^>]+>|\u200b", "", board(chapter).svg)


@pytest.mark.parametrize(("right", "examples"), [(0.9, 540), (0.7, 100)])
def test_oracle_an_honest_forecaster_is_off_as_the_binomial_law_says(right, examples):
    count = torch.arange(examples + 1, dtype=torch.float64)
    law = torch.from_numpy(stats.binom(examples, right).pmf(count.numpy()))
    exact = float((law * (count / examples - right).abs()).sum())
    assert by_chance(right, examples) == pytest.approx(exact, rel=0.01)


@pytest.mark.parametrize("cells", [1, 87])
def test_oracle_an_effect_of_the_needed_size_has_an_interval_that_ends_at_zero(cells):
    gains = torch.randn(10, dtype=torch.float64, generator=torch.Generator().manual_seed(7))
    gains = (gains - gains.mean()) / gains.std() + needed(cells)
    level = 1 - 0.05 / cells
    low, high = stats.t.interval(level, 9, loc=float(gains.mean()), scale=float(gains.std()) / 10**0.5)
    assert low == pytest.approx(0, abs=1e-9)
    assert high > 0


def test_property_more_questions_need_larger_effects_and_more_pairs_smaller_ones():
    assert needed(1) < needed(30) < needed(87)
    assert needed(1, pairs=20) < needed(1, pairs=10)


def fired(current, steps, reset):
    """The steps in which a neuron with a threshold of ten tenths fires."""
    potential, found = torch.zeros(1), []
    for step in range(1, steps + 1):
        potential, spike = if_step(potential, torch.tensor([float(current)]), threshold=10.0, reset=reset)
        found += [step] * int(spike)
    return found


def test_oracle_the_neuron_on_the_board_is_that_of_the_package():
    assert spikes() == fired(3, 12, "subtract") == [4, 7, 10]


def test_oracle_the_answers_of_the_exams_on_slices_and_spikes():
    page = (ROOT / "book" / "instructors" / "6_binarized.md").read_text("utf-8")
    soft, hard = fired(7, 5, "subtract"), fired(7, 5, "zero")
    assert f"spikes in steps {', '.join(map(str, soft))}; rate 0.7. Hard: steps {hard[0]} and {hard[1]};" in page
    page = (ROOT / "book" / "instructors" / "5_sliced.md").read_text("utf-8")
    found = predicted_bits(0.1, rows=64, active=0.3, first=1.7, second=3.2)
    assert f"= {found.mean:.2f}$" in page
    assert f"= {found.mean + 3 * found.spread:.1f}$: {found.bits} bits" in page


def test_oracle_the_boards_say_the_numbers_of_their_chapters():
    assert "1 1/64" in said("5_sliced")
    assert "1 5/16" in said("5_sliced")
    assert "63 of 255" in said("5_sliced")
    assert "128 \N{MULTIPLICATION SIGN} 3 = 384" in said("5_sliced")
    assert "0.010" in said("3_uncertain")
    assert "18/20" in said("3_uncertain")
    assert "64/4.5 = 14" in said("6_binarized")


def test_oracle_all_pairs_of_the_sliced_network_lie_on_the_side_of_loss():
    gains = [pair["value"] for pair in ledger("7_crossed")["sliced-chipped"]["values"].values()]
    other = [pair["value"] for pair in ledger("7_crossed")["transferred-adapted"]["values"].values()]
    assert max(gains) < 0
    assert min(other) < 0 < max(other)
