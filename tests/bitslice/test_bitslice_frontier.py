"""Frontiers: a study is its parts, goes on where it stopped, pairs its methods, and never looks at test data."""

import dataclasses
import json

import pytest
import torch

from weightlore.bitslice import (
    FixedPoint,
    Point,
    Recipe,
    bitline_loads,
    chosen,
    density_at,
    fit_three_phases,
    frontier,
    l1_penalty,
    none_penalty,
    pareto,
    slice_l1_penalty,
)
from weightlore.data import Split, digits
from weightlore.errors import DataError, ParameterError
from weightlore.networks import mlp
from weightlore.training import adam, evaluate, sgd

DATA, VALIDATION, TEST = digits("train")[:256], digits("validation"), digits("test")
QUICK = Recipe(pretrain_epochs=2, finetune_epochs=2, pretrain_strength=1.0, optimizer=sgd(0.05, momentum=0.9))
METHODS = {"l1": (l1_penalty, (1.0, 3.0)), "slice": (slice_l1_penalty, (0.5,))}


def make(generator):
    return FixedPoint(mlp((64, 8, 10), generator=generator))


def study(**options):
    settings = {"methods": METHODS, "validation": VALIDATION, "seeds": (0, 1), "recipe": QUICK, "test": TEST}
    settings |= options
    return frontier(make, DATA, settings.pop("methods"), **settings)


def point(accuracy, density, method="m", strength=1.0, seed=0):
    slices = (density, density, density, density)
    return Point(method, strength, seed, 1, accuracy, None, slices, density, (1, 1, 1, 1))


def test_oracle_a_point_is_the_end_of_three_phases():
    found = {(p.method, p.seed): p for p in study(seeds=(3,), methods={"slice": (slice_l1_penalty, (0.5,))})}
    generator = torch.Generator().manual_seed(3)
    model = make(generator)
    recipe = dataclasses.replace(QUICK, finetune_epochs=1)
    first = fit_three_phases(model, DATA, None, validation=VALIDATION, generator=generator, recipe=recipe)
    pruned = found["pruned", 3]
    assert pruned.validation_accuracy == first.pruned_accuracy
    assert pruned.slices == tuple(first.pruned.slices.tolist())
    assert pruned.epoch == 0
    assert found["slice", 3].density < pruned.density
    assert found["slice", 3].epoch in (1, 2)


def test_property_a_study_goes_on_and_grows(tmp_path):
    file, told = tmp_path / "study.json", []

    def interrupt(new):
        told.append(new)
        if len(told) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        study(file=file, progress=interrupt)
    assert len(json.loads(file.read_text())["points"]) == 3
    rest = []
    points = study(file=file, progress=rest.append)
    assert len(rest) == len(points) - 3 == 5
    assert points == study()
    assert study(file=file, progress=rest.append) == points
    assert len(rest) == 5, "nothing was trained again"
    more = study(file=file, methods={"none": (none_penalty, (0.0,))}, seeds=(1,), progress=rest.append)
    assert [(p.method, p.seed) for p in more] == [("pruned", 1), ("none", 1)]
    assert len(rest) == 6
    kept = sorted(p.name for p in (tmp_path / "study").rglob("*.pt"))
    assert kept == ["pretrain.pt"] * 2


def test_property_methods_are_paired_and_test_data_change_nothing_but_their_column():
    none = study(methods={"a": (none_penalty, (0.0,)), "b": (lambda a: l1_penalty(0.0), (0.0,))}, seeds=(1,))
    assert none[1].slices == none[2].slices
    assert none[1].validation_accuracy == none[2].validation_accuracy
    wrong = Split(TEST.x, (TEST.y + 1) % 10)
    for one, other in zip(study(seeds=(0,)), study(seeds=(0,), test=wrong), strict=True):
        assert dataclasses.replace(one, test_accuracy=None) == dataclasses.replace(other, test_accuracy=None)
        assert one.test_accuracy != other.test_accuracy


def test_property_loads_are_of_the_trained_matrices():
    (pruned,) = study(seeds=(0,), methods={"none": (none_penalty, ())}, rows=16)
    assert len(pruned.largest_loads) == 4
    assert all(0 < load <= 16 * 3 for load in pruned.largest_loads)
    whole = study(seeds=(0,), methods={"none": (none_penalty, ())}, rows=64)[0]
    assert all(a >= b for a, b in zip(whole.largest_loads, pruned.largest_loads, strict=True))
    model = make(torch.Generator().manual_seed(0))
    assert bitline_loads(model.codes()["readout.weight"].code, rows=16).shape == (4, 2, 1, 10)
    model.train()(DATA.x)
    assert evaluate(model, VALIDATION).count == len(VALIDATION)


def test_oracle_pareto_by_comparing_all():
    generator = torch.Generator().manual_seed(0)
    cloud = [point(float(a), float(d)) for a, d in torch.rand(60, 2, generator=generator)]
    front = pareto(cloud)

    def beaten(p):
        return any(
            q.validation_accuracy >= p.validation_accuracy
            and q.density <= p.density
            and (q.validation_accuracy > p.validation_accuracy or q.density < p.density)
            for q in cloud
        )

    assert set(front) == {p for p in cloud if not beaten(p)}
    assert [p.density for p in front] == sorted(p.density for p in front)


def test_property_density_between_points():
    points = [point(0.9, 2.0), point(0.95, 4.0), point(0.94, 9.0)]
    assert density_at(points, 0.9) == pytest.approx(2.0)
    assert density_at(points, 0.925) == pytest.approx(3.0)
    assert density_at(points, 0.95) == pytest.approx(4.0)
    assert density_at(points, 0.925, slice_number=2) == pytest.approx(3.0)
    assert density_at(points, 0.89) is None
    assert density_at(points, 0.96) is None
    assert density_at([], 0.5) is None


def test_property_the_chosen_strength_is_the_emptiest_that_loses_little():
    points = [
        point(0.96, 9.0, "none", 0.0),
        *(
            point(a, d, "m", s, seed)
            for seed in (0, 1)
            for a, d, s in [(0.959, 5.0, 1.0), (0.956, 3.0, 2.0), (0.9, 1.0, 3.0)]
        ),
    ]
    assert chosen(points, "m") == 2.0
    assert chosen(points, "m", lost=0.002) == 1.0
    assert chosen(points, "m", lost=0.1) == 3.0
    assert chosen(points, "m", lost=0.0) is None


def test_error_files_of_other_studies(tmp_path):
    file = tmp_path / "study.json"
    study(file=file, seeds=(0,), methods={"none": (none_penalty, ())})
    with pytest.raises(ParameterError, match=r"rows 128 -> 64.*give another file"):
        study(file=file, seeds=(0,), rows=64)
    with pytest.raises(ParameterError, match="threshold"):
        study(file=file, seeds=(0,), recipe=dataclasses.replace(QUICK, threshold=0.1))
    with pytest.raises(ParameterError, match=r"optimizer \['SGD', .*0\.05"):
        study(file=file, seeds=(0,), recipe=dataclasses.replace(QUICK, optimizer=sgd(0.02, momentum=0.9)))
    with pytest.raises(ParameterError, match=r"schedule None -> \[\[1\.0, 0\.5\], \[1\.0, 0\.5\]\]"):
        study(file=file, seeds=(0,), recipe=dataclasses.replace(QUICK, schedule=lambda e, epochs: 1 - e / epochs))
    with pytest.raises(ParameterError, match=r"optimizer .*SGD.* -> \['Adam"):
        study(file=file, seeds=(0,), recipe=dataclasses.replace(QUICK, optimizer=adam(0.01)))
    for broken in ("{", "{}", '{"format": 1, "settings": {}, "points": [1]}'):
        file.write_text(broken)
        with pytest.raises(DataError, match="delete it to start afresh"):
            study(file=file, seeds=(0,))


def test_error_nothing_to_study():
    with pytest.raises(ParameterError, match="at least one entry"):
        study(seeds=())
    with pytest.raises(ParameterError, match="at least one entry"):
        study(methods={})
    with pytest.raises(ParameterError, match="no point of method 'x'"):
        chosen([point(0.9, 1.0)], "x")
    with pytest.raises(ParameterError, match="lost is a share"):
        chosen([point(0.9, 1.0)], "m", lost=-1)
