"""What stands on the boards of chapters 0, 1, 2 and 4, and the answers of their exams, computed another way."""

import math
import re
from pathlib import Path

import pytest
import torch
from scipy import stats
from torch import nn

from weightlore.attribution import gradient, inflated_correlation, integrated_gradients, skewed_correlation
from weightlore.corruption import Budget, closed_form, cosine_tail, expected_best
from weightlore.networks import mlp
from weightlore.parameters import layout
from weightlore.teaching.boards import board
from weightlore.transfer import PTU

PAGES = Path(__file__).parents[2] / "book" / "instructors"


def answer(chapter, number):
    """The model answer to an exam question, as it stands on the page."""
    page = (PAGES / f"{chapter}.md").read_text("utf-8")
    exam = page.partition("## Three exam questions")[2].partition("## More questions")[0]
    return re.findall(r"^\*Model answer\.\* (.*?)(?=^\*\*\d|\Z)", exam, re.M | re.S)[number - 1]


def test_oracle_the_line_of_chapter_0_is_flat_at_two_votes_and_not_halved_at_the_third():
    near, far, at_length = map(float, re.findall(r"\d\.\d\d", board("0_healthy").alt))
    assert near == far == 0.97
    assert 0.485 < at_length < 0.9, "half of the accuracy outlives a step as long as theta"


def test_oracle_entries_and_lengths_of_the_exam_on_theta():
    parts = layout(mlp((3, 4, 2), generator=torch.Generator().manual_seed(0)))
    theta = torch.arange(parts.size)
    place = int(parts.split(theta)["readout.weight"][1, 2])
    assert f"= {parts.size}$" in answer("0_healthy", 1)
    assert f"= {place}$" in answer("0_healthy", 1)
    shortest = min(math.hypot(3 * c, 4 / c) for c in torch.linspace(0.5, 2, 3001).tolist())
    assert f"{shortest:.2f}" in answer("0_healthy", 2)
    assert f"{math.hypot(6, 2):.2f}" in answer("0_healthy", 2)


def test_oracle_worst_changes_and_chance_of_the_exam_on_corruption():
    slope, said = torch.tensor([2.0, -6.0, 3.0], dtype=torch.float64), answer("1_corrupted", 1)
    for p, n in ((2, 3), (2, 2), (math.inf, 2), (1, 3)):
        worst = closed_form(slope, Budget(0.5, p=p, n=n))
        told = ", ".join(f"{v:.3f}".rstrip("0").rstrip(".").replace("-0.000", "0") for v in worst.vector.tolist())
        assert f"({told})" in said
        assert f"{float(worst.first_order_gain):.3g}"[:4] in said
    said = answer("1_corrupted", 2)
    assert f"{math.sqrt(2 * math.log(1000) / 40_000):.4f}" in said
    assert f"{expected_best(1000, 40_000):.4f}" in said
    assert f"{math.sqrt(2 * math.log(1e6) / 40_000):.3f}" in said


def test_oracle_tries_until_a_tenth_of_the_worst():
    tries = 1 / float(cosine_tail(torch.tensor(0.1), 6570))
    assert 1e15 < tries < 1e16
    assert tries / 1e6 / (365.25 * 86400) == pytest.approx(142, abs=1), "years at a million a second"
    best, single = re.findall(r"0\.\d{3}", board("1_corrupted").alt)
    assert float(best) == pytest.approx(expected_best(3000, 6570), abs=5e-4)
    assert float(single) == pytest.approx(math.sqrt(2 / math.pi / 6570), abs=5e-4)


def test_oracle_a_neuron_an_interval_and_a_control_of_the_exam_on_transfer():
    unit = PTU(1, torch.relu, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        unit.inject.fill_(-1.0)
        found = []
        for z, r in ((0.0, 1.0), (1.0, 0.0), (1.0, 1.0), (0.25, 0.5)):
            unit.force(z, r)
            found.append(float(unit(torch.ones(1, 1).double(), torch.full((1, 1), 2.0).double())))
    assert found == [1.0, 2.0, 1.0, 1.125]
    assert "1.125" in answer("2_transferred", 1)
    ahead = torch.tensor([0.05, 0.02, -0.01, 0.04, 0.03])
    half = stats.t.ppf(0.975, 4) * float(ahead.std()) / 5**0.5
    assert f"= {half:.4f}$" in answer("2_transferred", 3)
    assert f"from {float(ahead.mean()) - half:.3f} to {float(ahead.mean()) + half:.3f}" in answer("2_transferred", 3)
    assert f"= {(5000 - 900 - 5) / 54:.1f}$" in answer("2_transferred", 3)
    assert "2.78 for five draws and 2.26 for ten" in board("2_transferred").alt


class Bent(nn.Module):
    """The function of the first question on explanations."""

    def forward(self, x):
        return torch.relu(2 * x[:, :1] - x[:, 1:]) + 1


def test_oracle_maps_and_ties_of_the_exam_on_explanations():
    x, start, model = torch.ones(1, 2), torch.tensor([[0.0, 1.0]]), Bent().eval()
    whole = integrated_gradients(model, x, 0, baseline=start, rule="midpoint", nodes=1000).values
    assert torch.allclose(whole, torch.tensor([[1.0, 0.0]]), atol=1e-3)
    assert gradient(model, x, 0).values.tolist() == [[2.0, -1.0]]
    assert "$(2, -1)$" in answer("4_explained", 1)
    assert "$A = (1, 0)$" in answer("4_explained", 1)
    said = answer("4_explained", 2)
    assert f"{float(inflated_correlation(0.6, 0.0)):.3f}" in said
    assert float(inflated_correlation(0.6, 0.3875)) == pytest.approx(0.95, abs=1e-6)
    assert "= 0.39$" in said


def test_oracle_the_board_of_chapter_4_has_the_numbers_of_the_notebook():
    alt = board("4_explained").alt
    assert "absolute, all pixels 0.91, active 0.44; signed -0.02 and -0.02" in alt
    assert "0.86" in alt
    assert "0.985" in alt
    assert f"{float(skewed_correlation(0.81, 0.2, 0.2)):.2f}" in board("4_explained").svg
