"""Wires: closed forms of ladders, Kirchhoff's laws, power, three solvers that agree, and what cannot be solved."""

import itertools
import math

import pytest
import torch

from weightlore.crossbar import wires_relaxation, wires_transfer
from weightlore.crossbar.wires import Wires, solve_wires, transfer_matrix, voltage_map
from weightlore.crossbar.wires_circuit import CellCurve, ladder
from weightlore.errors import ParameterError

METHODS = ("nodal", "transfer", "relaxation")
SHAPES = [(1, 1), (1, 6), (6, 1), (2, 9), (9, 4), (17, 16)]
LINES = {"row": 3.0, "column": 5.0, "driver": 20.0, "sense": 40.0}


def array(rows, columns, *lead, seed=0, largest=100.0):
    generator = torch.Generator().manual_seed(seed)
    shape = (*lead, rows, columns)
    return (0.01 + 0.99 * torch.rand(shape, generator=generator, dtype=torch.float64)) * largest


def inputs(rows, *lead, seed=1):
    return torch.rand((*lead, rows), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def series(*ohms):
    return 1e6 / sum(ohms)  # uA at one volt


@pytest.mark.parametrize("method", METHODS)
def test_oracle_one_cell_is_resistors_in_series(method):
    wires = Wires(**LINES, method=method)
    found = solve_wires(torch.tensor([[50.0]]).double(), torch.tensor([1.0]).double(), wires)
    assert found.item() == pytest.approx(series(20 + 3, 1e6 / 50, 40 + 5), rel=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_oracle_two_cells_on_a_word_line_are_a_ladder(method):
    cells = torch.tensor([[80.0, 30.0]]).double()
    wires = Wires(**LINES, method=method, tolerance=1e-14)
    near, far = 1e6 / 80 + 45, 3 + 1e6 / 30 + 45  # Ohm seen from node 0
    node = 1 / (1 + 23 * (1 / near + 1 / far))
    found = solve_wires(cells, torch.ones(1).double(), wires)
    torch.testing.assert_close(found, 1e6 * node / torch.tensor([near, far], dtype=torch.float64), rtol=1e-11, atol=0)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("length", [5, 40])
def test_oracle_a_uniform_line_attenuates_as_a_hyperbolic_cosine(method, length):
    """Node k of an open ladder of n has cosh((n - k - 1/2) a) / cosh((n + 1/2) a) ..., with 2 cosh a = 2 + r g."""
    r, g = 10.0, 100.0  # Ohm and uS, with bit lines that are next to nothing
    wires = Wires(row=r, column=1e-7, method=method, tolerance=1e-14)
    a = math.acosh(1 + r * g * 1e-6 / 2)
    nodes = torch.tensor(
        [math.cosh((length - k - 0.5) * a) / math.cosh((length + 0.5) * a) for k in range(length)], dtype=torch.float64
    )
    row = solve_wires(torch.full((1, length), g).double(), torch.ones(1).double(), wires)
    torch.testing.assert_close(row, g * nodes, rtol=2e-8, atol=0)


@pytest.mark.parametrize("method", METHODS)
def test_oracle_a_single_column_mirrors_a_single_row(method):
    """What R sources at one volt each send down a bit line follows from one source at its end, by reciprocity."""
    cells = array(1, 7)
    row = solve_wires(cells, torch.ones(1).double(), Wires(**LINES, method=method, tolerance=1e-14))
    turned = Wires(row=5.0, column=3.0, driver=40.0, sense=20.0, method=method, tolerance=1e-14)
    column = transfer_matrix(cells.flip(-1).mT, turned)
    torch.testing.assert_close(row, column.flip(0).squeeze(1), rtol=1e-11, atol=0)


@pytest.mark.parametrize("method", ["nodal", "relaxation"])
@pytest.mark.parametrize(("rows", "columns"), SHAPES)
def test_property_kirchhoff_holds_at_every_node(method, rows, columns):
    cells, volts = array(rows, columns), inputs(rows)
    found = voltage_map(cells, volts, Wires(**LINES, method=method, tolerance=1e-13))
    through = cells * (found.word - found.bit)
    along = torch.cat([volts[:, None], found.word], 1).diff(dim=1).neg() * 1e6 / LINES["row"]
    along[:, 0] *= 3 / 23
    down = torch.cat([found.bit, torch.zeros(1, columns)]).diff(dim=0).neg() * 1e6 / LINES["column"]
    down[-1] *= 5 / 45
    beyond, above = torch.zeros(rows, 1), torch.zeros(1, columns)
    word = along - torch.cat([along[:, 1:], beyond], 1) - through
    bit = down - torch.cat([above, down[:-1]]) - through
    assert max(word.abs().max(), bit.abs().max()) < 1e-10 * along.abs().max()
    torch.testing.assert_close(down[-1], solve_wires(cells, volts, Wires(**LINES, method=method)), rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize(("rows", "columns"), SHAPES)
def test_property_power_in_is_power_lost(rows, columns):
    cells, volts = array(rows, columns), inputs(rows)
    found = voltage_map(cells, volts, Wires(**LINES))
    into = (volts - found.word[:, 0]) * 1e6 / 23
    lost = (cells * (found.word - found.bit) ** 2).sum() + (into**2).sum() * 23e-6
    lost += (found.word.diff(dim=1) ** 2).sum() * 1e6 / 3 + (found.bit.diff(dim=0) ** 2).sum() * 1e6 / 5
    lost += (found.bit[-1] ** 2).sum() * 1e6 / 45
    assert (volts @ into).item() == pytest.approx(lost.item(), rel=1e-10)


@pytest.mark.parametrize("method", METHODS)
def test_limit_wires_of_no_length_are_ideal(method):
    cells, volts = array(9, 5), inputs(9, 4)
    loss = [
        (solve_wires(cells, volts, Wires(row=r, column=r, method=method)) / (volts @ cells) - 1).abs().max().item()
        for r in (1e-1, 1e-3, 1e-5)
    ]
    assert loss[2] < 1e-7
    assert loss[0] / loss[1] == pytest.approx(100, rel=0.01)  # of first order in r


def test_property_currents_fall_with_resistance_where_all_cells_are_on():
    cells, volts = torch.full((12, 7), 100.0).double(), torch.ones(12).double()
    currents = [solve_wires(cells, volts, Wires(row=r, column=r)) for r in (0.1, 0.5, 2.0, 10.0, 50.0)]
    assert all(bool((more < less).all()) for less, more in itertools.pairwise(currents))


@pytest.mark.parametrize("name", ["row", "column", "driver", "sense"])
def test_property_each_resistance_matters(name):
    cells, volts = array(6, 4), inputs(6)
    less, more = Wires(**LINES), Wires(**(LINES | {name: 2 * LINES[name]}))
    assert solve_wires(cells, volts, more).sum() < 0.9999 * solve_wires(cells, volts, less).sum()


@pytest.mark.parametrize(("rows", "columns"), [*SHAPES, (24, 40)])
@pytest.mark.parametrize("method", ["transfer", "relaxation"])
def test_oracle_solvers_agree_with_the_nodes(method, rows, columns):
    cells, volts = array(rows, columns), inputs(rows, 5) - 0.4
    reference = solve_wires(cells, volts, Wires(**LINES, method="nodal"))
    found = solve_wires(cells, volts, Wires(**LINES, method=method))
    bound = 1e-12 if method == "transfer" else 1e-9
    assert (found - reference).abs().max() < bound * reference.abs().max()


@pytest.mark.parametrize(("rows", "columns"), SHAPES)
def test_property_the_matrix_superposes_what_the_nodes_give(rows, columns):
    cells, volts = array(rows, columns), inputs(rows, 7) - 0.5
    matrix = transfer_matrix(cells, Wires(**LINES))
    direct = solve_wires(cells, volts, Wires(**LINES, method="nodal"))
    assert (volts @ matrix - direct).abs().max() < 1e-12 * direct.abs().max()
    units = transfer_matrix(cells, Wires(**LINES, method="nodal"))
    assert (matrix - units).abs().max() < 1e-12 * units.max()
    assert bool((matrix >= 0).all())
    assert bool((matrix.sum(0) <= cells.sum(0)).all())


@pytest.mark.parametrize(("rows", "columns"), SHAPES)
def test_property_reciprocity_from_rows_and_from_columns(rows, columns):
    circuit = Wires(**LINES).circuit(array(rows, columns, 3))
    by_rows = wires_transfer.eliminated(circuit)
    by_columns = wires_transfer.eliminated(circuit.mirrored()).mT.flip((-2, -1))
    assert (by_rows - by_columns).abs().max() < 1e-12 * by_rows.max()


@pytest.mark.parametrize("size", [4, 7])
def test_property_uniform_cells_mirror(size):
    matrix = transfer_matrix(torch.full((size, size), 70.0).double(), Wires(row=8.0, column=8.0))
    torch.testing.assert_close(matrix, matrix.mT.flip((-2, -1)), rtol=1e-12, atol=0)
    assert not torch.allclose(matrix, matrix.mT, rtol=1e-4)  # the corners near driver and sense differ


@pytest.mark.parametrize("method", METHODS)
def test_property_leading_dimensions_broadcast(method):
    cells, volts, wires = array(5, 3, 4, 1), inputs(5, 4, 6), Wires(**LINES, method=method)
    found = solve_wires(cells, volts, wires)
    assert found.shape == (4, 6, 3)
    for t, b in ((0, 0), (3, 5), (1, 4)):
        torch.testing.assert_close(found[t, b], solve_wires(cells[t, 0], volts[t, b], wires), rtol=1e-9, atol=0)
    assert solve_wires(cells[:, 0], volts[:, 0], wires).shape == (4, 3)
    torch.testing.assert_close(
        solve_wires(cells[:, 0], volts[0, 0], wires)[2], solve_wires(cells[2, 0], volts[0, 0], wires)
    )
    assert transfer_matrix(cells, wires).shape == cells.shape


def test_property_an_example_does_not_depend_on_its_mates():
    cells, volts = array(20, 11), inputs(20, 6) * torch.tensor([1.0, 9.0, 0.0, 1e-3, 2.0, 5.0])[:, None]
    wires = Wires(row=20.0, column=20.0, method="relaxation")
    together = solve_wires(cells, volts, wires)
    alone = torch.stack([solve_wires(cells, one, wires) for one in volts])
    assert torch.equal(together, alone)
    assert torch.equal(together[2], torch.zeros(11).double())


def test_property_results_do_not_depend_on_how_many_are_relaxed_together(monkeypatch):
    cells, volts, wires = array(6, 5), inputs(6, 7, 2), Wires(row=20.0, column=20.0, method="relaxation")
    together = solve_wires(cells, volts, wires)
    monkeypatch.setattr(wires_relaxation, "BLOCK", 100)  # one of seven at a time
    assert torch.equal(solve_wires(cells, volts, wires), together)
    assert solve_wires(cells, volts[:0], wires).shape == (0, 2, 5)
    curved = solve_wires(cells, volts, wires, curve=CellCurve(3.0, 8.0))
    assert torch.equal(curved[4], solve_wires(cells, volts[4], wires, curve=CellCurve(3.0, 8.0)))


def test_property_more_sweeps_come_closer():
    cells, volts = array(48, 32), inputs(48, 2)
    exact = solve_wires(cells, volts, Wires(row=5.0, column=5.0, method="nodal"))
    error = [
        ((solve_wires(cells, volts, Wires(row=5.0, column=5.0, method="relaxation", sweeps=k)) / exact - 1).abs().max())
        for k in (1, 2, 4, 8)
    ]
    assert error == sorted(error, reverse=True)
    assert error[0] > 0.01
    assert error[3] < 1e-4


@pytest.mark.parametrize("settings", [{"method": m} for m in METHODS] + [{"method": "relaxation", "sweeps": 2}])
def test_oracle_gradients_are_those_of_finite_differences(settings):
    wires = Wires(row=500.0, column=300.0, driver=100.0, sense=70.0, tolerance=1e-13, **settings)
    cells, volts = array(4, 3, 2, 1).requires_grad_(), inputs(4, 2, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda g, v: solve_wires(g, v, wires), (cells, volts))


def test_oracle_gradients_of_curved_cells():
    wires = Wires(row=500.0, column=300.0, method="relaxation", tolerance=1e-13)
    cells, volts = array(3, 4).requires_grad_(), inputs(3, 2).requires_grad_()
    bend = [torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in (4.0, 30.0)]
    found = torch.autograd.gradcheck(
        lambda g, v, a, b: solve_wires(g, v, wires, curve=CellCurve(a, b)), (cells, volts, *bend)
    )
    assert found


def test_oracle_one_curved_cell_solves_its_cubic():
    wires = Wires(row=2000.0, column=3000.0, method="relaxation", tolerance=1e-14)
    current = solve_wires(torch.tensor([[50.0]]).double(), torch.ones(1).double(), wires, curve=CellCurve(7.0, 20.0))
    over = 1 - current.item() * 5000e-6
    assert current.item() == pytest.approx(50 * over + 7 * over**2 + 20 * over**3, rel=1e-12)


def test_oracle_curved_cells_obey_kirchhoff_and_straight_ones_are_linear():
    cells, volts, wires = array(9, 14), inputs(9, 2), Wires(row=30.0, column=30.0, method="relaxation", tolerance=1e-13)
    curve = CellCurve(quadratic=array(9, 14, seed=3, largest=5.0), cubic=40.0)
    found = voltage_map(cells, volts, wires, curve=curve)
    through = curve.current(cells, found.word - found.bit)
    into = (volts - found.word[..., 0]) * 1e6 / 30
    torch.testing.assert_close(into, through.sum(-1), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(solve_wires(cells, volts, wires, curve=curve), through.sum(-2), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(solve_wires(cells, volts, wires, curve=CellCurve()), solve_wires(cells, volts, wires))
    assert bool((through.sum(-2) > solve_wires(cells, volts, wires)).all())


def test_oracle_a_ladder_is_a_tridiagonal_system():
    cells, feed = array(1, 6)[0], inputs(6)
    found = torch.stack(ladder(list(cells), 0.02, 0.003).voltages(list(feed), torch.tensor(0.7, dtype=torch.float64)))
    matrix = torch.diag(cells)
    for k in range(5):
        matrix[k : k + 2, k : k + 2] += torch.tensor([[1, -1], [-1, 1]]).double() / 0.003
    matrix[0, 0] += 1 / 0.02
    right = feed.clone()
    right[0] += 0.7 / 0.02
    torch.testing.assert_close(found, torch.linalg.solve(matrix, right), rtol=1e-12, atol=0)


@pytest.mark.parametrize("method", METHODS)
def test_limit_empty_batch_and_cells_that_are_off(method):
    wires = Wires(method=method)
    assert solve_wires(array(4, 3), torch.empty(0, 4).double(), wires).shape == (0, 3)
    assert torch.equal(solve_wires(torch.zeros(4, 3).double(), inputs(4), wires), torch.zeros(3).double())
    assert torch.equal(solve_wires(array(4, 3), torch.zeros(4).double(), wires), torch.zeros(3).double())


@pytest.mark.parametrize("method", METHODS)
def test_property_single_precision_and_what_was_given_stay(method):
    cells, volts, wires = array(4, 6).float(), inputs(4).float(), Wires(**LINES, method=method)
    kept = cells.clone(), volts.clone()
    found = solve_wires(cells, volts, wires)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, solve_wires(cells.double(), volts.double(), wires).float())
    assert torch.equal(cells, kept[0])
    assert torch.equal(volts, kept[1])


def test_property_warm_wires_resist_more():
    cells, volts = array(16, 8), inputs(16)
    warm = solve_wires(cells, volts, Wires(row=2.0, column=3.0, temperature=400.0))
    torch.testing.assert_close(warm, solve_wires(cells, volts, Wires(row=2.902, column=4.353)), rtol=1e-12, atol=0)


def test_error_relaxation_that_does_not_converge_tells_its_residual(monkeypatch):
    monkeypatch.setattr(wires_relaxation, "MOST_SWEEPS", 3)
    volts = torch.tensor([[1.0], [0.0], [1.0]]).double().expand(3, 40)
    with pytest.raises(ParameterError, match=r"after 3 sweeps the residual is \d.*e-.* in 2 of 3 examples.*transfer"):
        solve_wires(array(40, 30), volts, Wires(row=50.0, column=50.0, method="relaxation"))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"row": 0.0}, "wires=None"),
        ({"column": 0.0}, "wires=None"),
        ({"row": -1.0}, "> 0 Ohm"),
        ({"column": math.nan}, "finite"),
        ({"column": math.inf}, "finite"),
        ({"row": "1"}, "finite number"),
        ({"driver": -1.0}, "driver is a resistance"),
        ({"sense": -1e-9}, "sense is a resistance"),
        ({"method": "spice"}, "one of transfer, nodal, relaxation"),
        ({"sweeps": 0, "method": "relaxation"}, ">= 1 or None"),
        ({"sweeps": 1.5, "method": "relaxation"}, ">= 1 or None"),
        ({"sweeps": 2}, "method='relaxation' only"),
        ({"tolerance": 0.0}, "in \\(0, 1\\)"),
        ({"temperature": 290.0}, "300 K up"),
    ],
)
def test_error_wires_that_cannot_be(settings, words):
    with pytest.raises(ParameterError, match=words):
        Wires(**settings)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("cells", "volts", "words"),
    [
        (torch.empty(0, 3), torch.empty(0), "at least one row"),
        (torch.empty(3, 0), torch.ones(3), "at least one row"),
        (torch.ones(3), torch.ones(3), "conductance must be a floating tensor"),
        (torch.ones(3, 2, dtype=torch.int64), torch.ones(3), "floating"),
        (torch.ones(3, 2), torch.ones(3, dtype=torch.int64), "voltages must be a floating"),
        (torch.ones(3, 2), 1.0, "got float"),
        (torch.ones(3, 2), torch.ones(2), r"voltages of shape \(\.\.\., 3\)"),
        (torch.ones(4, 3, 2), torch.ones(5, 3), "T, 1, R, C"),
        (-torch.ones(3, 2), torch.ones(3), ">= 0 uS, got -1"),
        (torch.full((3, 2), math.nan), torch.ones(3), "6 of 6 entries"),
        (torch.ones(3, 2), torch.tensor([1.0, math.inf, 0.0]), "1 of 3 entries"),
    ],
)
def test_error_arrays_that_cannot_be(method, cells, volts, words):
    with pytest.raises(ParameterError, match=words):
        solve_wires(cells, volts, Wires(method=method))
    with pytest.raises(ParameterError, match=words):
        voltage_map(cells, volts, Wires(method=method))


@pytest.mark.parametrize("method", METHODS)
def test_error_a_matrix_of_what_is_no_array(method):
    for cells in (torch.ones(3), torch.empty(0, 2), torch.ones(3, 2, dtype=torch.int32), 5.0):
        with pytest.raises(ParameterError, match="conductance"):
            transfer_matrix(cells, Wires(method=method))


def test_error_curved_cells():
    cells, volts = array(3, 2), inputs(3)
    for method in ("transfer", "nodal"):
        with pytest.raises(ParameterError, match="method='relaxation'"):
            solve_wires(cells, volts, Wires(method=method), curve=CellCurve(1.0))
    with pytest.raises(ParameterError, match="must not fall"):
        solve_wires(cells, volts, Wires(method="relaxation"), curve=CellCurve(-500.0))
    with pytest.raises(ParameterError, match="finite"):
        CellCurve(cubic=math.nan)
