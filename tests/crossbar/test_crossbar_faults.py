"""Faults: rates, limits, lines, and more faults that contain fewer."""

import itertools
import math
from dataclasses import fields

import pytest
import torch
from scipy import stats

from weightlore.crossbar.cells import Cells
from weightlore.crossbar.faults import Faults, faulted
from weightlore.errors import ParameterError

CELLS = Cells(5.0, 100.0)


def an_array(generator, shape=(100, 120)):
    """Conductances strictly inside the range, so that a stuck cell shows."""
    return 10 + 80 * torch.rand(shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(("off", "on"), [(0.1, 0.0), (0.0, 0.02), (0.07, 0.03), (0.5, 0.5)])
def test_oracle_rates_are_binomial(off, on, generator):
    held = faulted(an_array(generator), Faults(off=off, on=on), CELLS, generator=generator)
    for value, rate in ((5.0, off), (100.0, on)):
        count = int((held == value).sum())
        assert abs(count - rate * 12_000) <= 3 * math.sqrt(12_000 * rate * (1 - rate))
    touched = (held == 5.0) | (held == 100.0)
    assert abs(int(touched.sum()) - (off + on) * 12_000) <= 3 * math.sqrt(12_000 * (off + on) * max(1 - off - on, 0))


def test_oracle_counts_over_many_chips_have_the_binomial_law(generator):
    written = an_array(generator, (4, 5))
    counts = [int((faulted(written, Faults(off=0.3), CELLS, generator=generator) == 5).sum()) for _ in range(1500)]
    observed = torch.bincount(torch.tensor(counts).clamp(2, 10), minlength=11)[2:]
    law = stats.binom(20, 0.3)
    expected = [law.cdf(2), *(law.pmf(k) for k in range(3, 10)), law.sf(9)]
    assert stats.chisquare(observed.numpy(), 1500 * torch.tensor(expected).numpy()).pvalue > 0.01


def test_oracle_stuck_cells_are_independent_of_their_neighbors(generator):
    stuck = faulted(an_array(generator), Faults(off=0.2), CELLS, generator=generator) == 5
    for beside in (stuck[:, 1:] & stuck[:, :-1], stuck[1:] & stuck[:-1]):
        assert abs(float(beside.double().mean()) - 0.04) < 3 * math.sqrt(0.04 * 0.96 / beside.numel())


@pytest.mark.parametrize("kind", ["dead_rows", "dead_columns"])
def test_oracle_dead_lines_are_whole_and_binomial(kind, generator):
    written = an_array(generator, (20, 100, 120))
    held = faulted(written, Faults(**{kind: 0.1}), CELLS, generator=generator)
    dead = held == 0
    lines = dead.all(dim=-2 if kind == "dead_rows" else -1)  # a word line crosses all bit lines
    expected = lines.unsqueeze(-2 if kind == "dead_rows" else -1).expand_as(dead)
    assert torch.equal(dead, expected)
    assert abs(int(lines.sum()) - 0.1 * lines.numel()) < 3 * math.sqrt(lines.numel() * 0.09)
    assert torch.equal(held[~dead], written[~dead])
    assert not torch.equal(lines[0], lines[1])  # each array has its own


@pytest.mark.parametrize("faults", [None, Faults()])
def test_property_without_faults_nothing_changes(faults, generator):
    written = an_array(generator)
    held = faulted(written, faults, CELLS, generator=generator)
    assert torch.equal(held, written)
    assert held.data_ptr() != written.data_ptr()


@pytest.mark.parametrize(
    ("faults", "value"),
    [
        (Faults(off=1.0), 5.0),
        (Faults(on=1.0), 100.0),
        (Faults(dead_rows=1.0), 0.0),
        (Faults(dead_columns=1.0), 0.0),
        (Faults(on=1.0, dead_rows=1.0), 0.0),
    ],
)
def test_limit_everything_broken(faults, value, generator):
    held = faulted(an_array(generator), faults, CELLS, generator=generator)
    assert torch.equal(held, torch.full_like(held, value))


@pytest.mark.parametrize("kind", [field.name for field in fields(Faults)])
def test_property_more_faults_contain_fewer(kind, generator):
    written = an_array(generator)
    broken = [
        faulted(written, Faults(**{kind: rate}), CELLS, generator=torch.Generator().manual_seed(5)) != written
        for rate in (0.02, 0.1, 0.3)
    ]
    for fewer, more in itertools.pairwise(broken):
        assert bool((more | ~fewer).all())
        assert int(more.sum()) > int(fewer.sum())


def test_property_same_seed_same_chip_other_seed_other_chip(generator):
    written, faults = an_array(generator), Faults(0.1, 0.1, 0.05, 0.05)
    chips = [faulted(written, faults, CELLS, generator=torch.Generator().manual_seed(s)) for s in (1, 1, 2)]
    assert torch.equal(chips[0], chips[1])
    assert not torch.equal(chips[0], chips[2])


def test_property_single_precision_has_the_faults_of_double(generator):
    written, faults = an_array(generator), Faults(0.1, 0.1, 0.05, 0.05)
    single, double = (
        faulted(each, faults, CELLS, generator=torch.Generator().manual_seed(1)) for each in (written.float(), written)
    )
    assert single.dtype == torch.float32
    assert torch.equal(single, double.float())


def test_property_only_the_generator_moves(generator):
    written, state = an_array(generator), torch.get_rng_state()
    before = written.clone()
    faulted(written, Faults(0.5, 0.1, 0.1, 0.1), CELLS, generator=generator)
    assert torch.equal(written, before)
    assert torch.equal(torch.get_rng_state(), state)


def test_limit_no_cells(generator):
    assert faulted(torch.zeros(0, 3), Faults(off=0.5), CELLS, generator=generator).shape == (0, 3)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Faults(off=-0.1), "off is a probability"),
        (lambda: Faults(on=1.1), "on is a probability"),
        (lambda: Faults(dead_rows=math.nan), "dead_rows is a probability"),
        (lambda: Faults(off=0.6, on=0.6), r"off \+ on must be <= 1"),
        (lambda: faulted(torch.ones(3), Faults(), CELLS, generator=torch.Generator()), "add a bit line"),
        (lambda: faulted(-torch.ones(3, 3), Faults(), CELLS, generator=torch.Generator()), "takes a cell of its own"),
    ],
)
def test_error_faults_say_what_is_wrong(make, says):
    with pytest.raises(ParameterError, match=says):
        make()
