"""Tables that compare methods: each number is the measure that it names, and what cannot be compared is refused."""

import json
import math
from dataclasses import astuple
from pathlib import Path

import pytest
import torch

from weightlore.data import Split, digits, shift
from weightlore.errors import DataError, ParameterError
from weightlore.networks import healthy
from weightlore.uncertainty import CategoricalPrediction, ranking
from weightlore.uncertainty.calibration import brier_score, ece_noise_floor, expected_calibration_error
from weightlore.uncertainty.evaluate import (
    cost_table,
    family_table,
    markdown_table,
    ood_benchmark,
    selective_benchmark,
    shift_benchmark,
    shifted_images,
    uncertainties,
)
from weightlore.uncertainty.measures import nll_categorical
from weightlore.uncertainty.ood import MaxSoftmax

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "family_costs.json"


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def members(x: torch.Tensor) -> CategoricalPrediction:
    net = healthy("mlp")
    with torch.no_grad():
        z = net(x)
    noise = torch.randn(5, *z.shape, generator=seeded(), dtype=z.dtype)
    return CategoricalPrediction.from_logits(z + noise)


def alone(x: torch.Tensor) -> CategoricalPrediction:
    with torch.no_grad():
        return CategoricalPrediction.from_logits(healthy("mlp")(x))


def test_oracle_the_table_of_detection_is_that_of_single_reports():
    inside, far, near = torch.rand(50, 3, generator=seeded()), 3 + torch.rand(20, 3), 0.2 + torch.rand(30, 3)
    scores = {"size": lambda x: x.sum(1), "least": lambda x: -x.amin(1)}
    rows = ood_benchmark(scores, inside, {"far": far, "near": near})
    assert [(row.score, row.outside) for row in rows] == [
        ("size", "far"),
        ("size", "near"),
        ("least", "far"),
        ("least", "near"),
    ]
    positive = torch.arange(80) >= 50
    report = ranking.detection_report(scores["size"](torch.cat([inside, near])).double(), positive)
    assert rows[1].auroc == report.auroc
    assert rows[1].auprc == report.auprc_positive
    assert rows[1].false_alarms == report.fpr_at_95_tpr
    assert rows[1].share == pytest.approx(30 / 80)
    assert (rows[0].auroc, rows[0].false_alarms) == (1.0, 0.0)
    assert rows[2].auroc == 0.0  # a score in the wrong direction is not turned around


def test_property_a_detector_of_the_package_fits_into_the_table():
    detector = MaxSoftmax(healthy("mlp"))
    inside = digits("test").x
    rows = ood_benchmark(
        {"softmax": detector.score}, inside, {"noise": torch.rand(200, 64, generator=seeded()).double()}
    )
    assert 0.5 < rows[0].auroc < 1


def test_error_absent_or_broken_sets_are_named():
    x = torch.rand(5, 2)
    with pytest.raises(ParameterError, match="natural_patches"):
        ood_benchmark({"sum": lambda x: x.sum(1)}, x, {})
    with pytest.raises(ParameterError, match="'far' holds no inputs"):
        ood_benchmark({"sum": lambda x: x.sum(1)}, x, {"far": x[:0]})
    with pytest.raises(ParameterError, match="'log' is not finite for 5 of 5 inputs of 'far'"):
        ood_benchmark({"log": lambda x: x.sum(1).log()}, x, {"far": -x - 1})
    with pytest.raises(ParameterError, match="one number for each of 5 inputs"):
        ood_benchmark({"all": lambda x: x}, x, {"far": x})


def test_oracle_selective_rows_are_the_measures_they_name():
    data = digits("test")
    rows = {(row.method, row.score): row for row in selective_benchmark({"five": members, "one": alone}, data)}
    assert set(rows) == {
        *(("five", score) for score in uncertainties()),
        *(("one", score) for score in ("1 - max", "entropy")),
    }
    said = members(data.x)
    wrong = ranking.mistakes(said, data.y)
    row, score = rows["five", "mutual information"], said.mutual_information()
    assert row.accuracy == pytest.approx(1 - float(wrong.double().mean()))
    assert row.auroc == pytest.approx(float(ranking.auroc(score, wrong)))
    assert row.aurc == pytest.approx(float(ranking.aurc(score, wrong.double())))
    assert row.excess == pytest.approx(float(ranking.excess_aurc(score, wrong.double())))
    kept = score.argsort(stable=True)[: round(0.8 * len(data))]
    assert row.kept_error == pytest.approx(float(wrong[kept].double().mean()), abs=0.003)
    everything = selective_benchmark({"one": alone}, data, keep=1.0)[0]
    assert everything.kept_error == pytest.approx(1 - everything.accuracy)


@pytest.mark.parametrize(("keep", "error"), [(0.2, 0), (0.5, 1 / 3), (0.6, 1 / 3), (0.61, 1 / 4), (1.0, 2 / 5)])
def test_oracle_what_is_kept_is_the_least_share_that_is_enough(keep, error):
    sure = torch.tensor([0.95, 0.9, 0.85, 0.8, 0.75], dtype=torch.float64)
    said = CategoricalPrediction(torch.stack([sure, 1 - sure], 1)[None])
    data = Split(torch.zeros(5, 1), torch.tensor([0, 0, 1, 0, 1]))
    rows = selective_benchmark({"one": lambda x: said}, data, keep=keep)
    assert [row.kept_error for row in rows] == pytest.approx([error, error])


def test_limit_a_method_without_mistakes_has_no_curve_to_draw():
    data = digits("test")
    right = torch.nn.functional.one_hot(data.y, 10).double() * 0.9 + 0.01
    row = selective_benchmark({"perfect": lambda x: CategoricalPrediction(right[None])}, data)
    assert row == ()  # the same certainty everywhere: nothing is ranked
    varied = right * torch.linspace(0.8, 1, len(data), dtype=torch.float64)[:, None]
    varied = varied + (1 - varied.sum(1, keepdim=True)) / 10
    row = selective_benchmark({"perfect": lambda x: CategoricalPrediction(varied[None])}, data)[0]
    assert math.isnan(row.auroc)
    assert (row.accuracy, row.aurc, row.kept_error) == (1.0, 0.0, 0.0)


def test_error_selective_tables_need_methods_labels_and_a_share():
    data = digits("test")
    with pytest.raises(ParameterError, match="a method and an example"):
        selective_benchmark({}, data)
    with pytest.raises(ParameterError, match="from 0 to 9"):
        selective_benchmark({"one": alone}, Split(data.x, data.y + 1))
    with pytest.raises(ParameterError, match="a method and an example"):
        selective_benchmark({"one": alone}, data[:0])
    for keep in (0.0, 1.01):
        with pytest.raises(ParameterError, match="share of the examples"):
            selective_benchmark({"one": alone}, data, keep=keep)


def test_limit_one_example_is_legal():
    rows = selective_benchmark({"five": members}, digits("test")[:1])
    assert len(rows) == 3
    assert all(row.aurc == row.kept_error == 1 - row.accuracy and row.excess == 0 for row in rows)


def test_oracle_shift_rows_are_the_measures_they_name():
    data = digits("test")[:100]
    sets = shifted_images(data, ("rotation", "gaussian_noise"), severities=(0, 3))
    assert torch.equal(sets["rotation"][0].x, data.x)
    assert torch.equal(sets["gaussian_noise"][3].x, shift(data.x, "gaussian_noise", 3, generator=seeded()))
    with pytest.warns(UserWarning, match="bins"):
        rows = shift_benchmark({"five": members}, sets)
    assert [(row.shift, row.severity) for row in rows] == [
        ("rotation", 0),
        ("rotation", 3),
        ("gaussian_noise", 0),
        ("gaussian_noise", 3),
    ]
    said = members(sets["rotation"][3].x)
    with pytest.warns(UserWarning, match="bins"):
        ece = expected_calibration_error(said, data.y)
    assert rows[1].ece == pytest.approx(float(ece))
    assert rows[1].nll == pytest.approx(float(nll_categorical(said, data.y)))
    assert rows[1].brier == pytest.approx(float(brier_score(said, data.y)))
    assert rows[1].noise_floor == pytest.approx(float(ece_noise_floor(said)))
    assert rows[1].confidence == pytest.approx(float(said.mean.amax(1).mean()))
    assert rows[0].accuracy > rows[1].accuracy


def test_error_shift_tables_need_something_to_compare():
    sets = shifted_images(digits("test")[:5], ("rotation",), severities=(1,))
    with pytest.raises(ParameterError, match="got none"):
        shift_benchmark({}, sets)
    with pytest.raises(ParameterError, match="got none"):
        shift_benchmark({"one": alone}, {"rotation": {}})
    with pytest.raises(ParameterError, match="severity 1 is empty"):
        shift_benchmark({"one": alone}, {"rotation": {1: sets["rotation"][1][:0]}})


def test_property_costs_in_the_package_are_those_measured():
    rows = {row.method: row for row in cost_table()}
    assert [row.prediction for row in cost_table()] == sorted(row.prediction for row in rows.values())
    assert astuple(rows["one network"])[1:] == (1.0, 1.0, 1.0)
    assert rows["ensemble"].stored == 5
    races = {race["name"]: race["contestants"] for race in json.loads(RESULTS.read_text("utf-8"))["races"]}
    assert {name: (row.training, row.prediction) for name, row in rows.items()} == {
        name: (races["training"][name]["ratio"], entry["ratio"]) for name, entry in races["prediction"].items()
    }


def test_oracle_numbers_that_are_stored_are_those_of_the_networks():
    """Counted on the networks themselves: 64-64-32-10, in units of its parameters."""
    rows = {row.method: row.stored for row in cost_table()}
    one = sum(p.numel() for p in healthy("mlp").parameters())
    last = sum(p.numel() for p in healthy("mlp").readout.parameters())
    sides = [
        (layer.in_features + 1, layer.out_features) for layer in healthy("mlp").modules() if hasattr(layer, "bias")
    ]
    assert len(sides) == 3
    counted = {
        "one network": 1,
        "views": 1,
        "dropout that stays on": 1,
        "variational": 2,
        "ensemble": 5,
        "Mahalanobis": 1 + (10 * 32 + 32 * 33 / 2) / one,  # means and one symmetric matrix
        "Laplace, last layer": 1 + last * (last + 1) / 2 / one,
        "Laplace, Kronecker": 1 + sum(a**2 + b**2 for a, b in sides) / one,
    }
    assert {name: rows[name] for name in counted} == pytest.approx(counted, abs=0.005)


def test_error_a_file_without_costs(tmp_path):
    with pytest.raises(DataError, match="python -m benchmarks family_costs"):
        cost_table(tmp_path / "none.json")
    (tmp_path / "odd.json").write_text('{"rows": [{"method": "x"}]}')
    with pytest.raises(DataError, match="no measured costs"):
        cost_table(tmp_path / "odd.json")
    (tmp_path / "own.json").write_text('{"rows": [{"method": "x", "training": 1, "prediction": 2, "stored": 3}]}')
    assert cost_table(tmp_path / "own.json")[0].stored == 3


def test_property_families_have_every_field_and_the_table_shows_them():
    rows = family_table()
    assert len({row.family for row in rows}) == len(rows) == 8
    assert all(all(astuple(one)) for one in rows)
    lines = markdown_table(("family", "limit")).splitlines()
    assert lines[0] == "| family | limit |"
    assert lines[2] == f"| {rows[0].family} | {rows[0].limit} |"
    assert len(lines) == 10
    with pytest.raises(KeyError):
        markdown_table(("price",))
