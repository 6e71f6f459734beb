"""Pruning and the three phases: masks that hold, nothing charged is nothing changed, and runs that go on."""

import copy
import math

import pytest
import torch
from torch import nn

from weightlore.bitslice import (
    FixedPoint,
    Recipe,
    charged_step,
    fit_phase,
    fit_three_phases,
    l1,
    l1_penalty,
    masked,
    none_penalty,
    nonzero_ratios,
    prune,
    slice_l1_penalty,
)
from weightlore.data import digits
from weightlore.errors import ParameterError
from weightlore.networks import mlp, resnet20
from weightlore.parameters import flatten
from weightlore.training import adam, cross_entropy, evaluate, fit, sgd

DATA, VALIDATION = digits("train")[:256], digits("validation")
QUICK = Recipe(pretrain_epochs=3, finetune_epochs=3, pretrain_strength=1.0, optimizer=sgd(0.05, momentum=0.9))


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def small(seed=0):
    return FixedPoint(mlp((64, 8, 10), generator=seeded(seed)))


def test_oracle_prune_by_hand():
    model = resnet20(width=2, generator=seeded())
    with torch.no_grad():
        model.stem_norm.weight[0] = 0.001
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    masks = prune(model, 0.05)
    for name, p in model.named_parameters():
        assert torch.equal(masks[name], (before[name].abs() >= 0.05).to(p.dtype))
        assert torch.equal(p, before[name] * masks[name])
    assert masks["stem_norm.weight"].tolist() == [0, 1], "gains of normalization are pruned too"
    assert set(prune(model, 0.0, group="weight")) < set(masks)
    assert all(bool(mask.all()) for mask in prune(model, 0.0).values()), "zero prunes nothing"


@pytest.mark.parametrize("optimizer", [sgd(0.1, momentum=0.9), sgd(0.1, weight_decay=0.01), adam(0.01)])
@pytest.mark.parametrize("penalty", [None, l1_penalty(1.0), slice_l1_penalty(0.5)])
def test_property_pruned_entries_stay_exactly_zero(optimizer, penalty):
    model = small()
    masks = prune(model, 0.1)
    start = flatten(model)
    fit(
        model,
        DATA,
        step=charged_step(penalty),
        generator=seeded(),
        epochs=2,
        optimizer=masked(optimizer, model, masks),
    )
    gone = torch.cat([masks[name].flatten() for name, _ in model.named_parameters()]) == 0
    assert gone.any()
    assert bool((flatten(model)[gone] == 0).all())
    assert float((flatten(model) != start)[~gone].double().mean()) > 0.7, (
        "others move, but for pixels that are always dark"
    )


@pytest.mark.parametrize("method", [l1_penalty, slice_l1_penalty, none_penalty])
def test_property_strength_zero_is_plain_training_bit_for_bit(method):
    one, other = small(), small()
    fit(one, DATA, step=charged_step(method(0.0)), generator=seeded(), epochs=2)
    fit(other, DATA, generator=seeded(), epochs=2)
    assert torch.equal(flatten(one), flatten(other))
    assert charged_step(None) is cross_entropy


def test_oracle_the_l1_penalty_of_a_model_counts_every_parameter():
    model = resnet20(width=2, generator=seeded())
    theta = flatten(model)
    assert l1_penalty(20.0)(model).item() == pytest.approx(l1(theta, 20.0).item(), rel=1e-5)
    weights = torch.cat([p.detach().flatten() for n, p in model.named_parameters() if p.ndim > 1])
    assert l1_penalty(20.0, group="weight")(model).item() == pytest.approx(l1(weights, 20.0).item(), rel=1e-5)


def test_oracle_a_phase_is_fit_and_goes_back_to_the_best_epoch():
    model, states, scores = small(), [], []

    def keep(epoch):
        states.append(copy.deepcopy(model.state_dict()))
        scores.append(100 * epoch.validation_accuracy + 100 - nonzero_ratios(model).mean)

    phase = fit_phase(
        model,
        DATA,
        l1_penalty(3.0),
        validation=VALIDATION,
        generator=seeded(),
        epochs=6,
        recipe=QUICK,
        callbacks=[keep],
    )
    other = small()
    history = fit(
        other,
        DATA,
        step=charged_step(l1_penalty(3.0)),
        generator=seeded(),
        epochs=6,
        optimizer=QUICK.optimizer,
        schedule=None,
        validation=VALIDATION,
    )
    assert phase.history == history
    best = max(range(6), key=scores.__getitem__)
    assert phase.epoch == best + 1
    assert all(torch.equal(value, states[best][name]) for name, value in model.state_dict().items())
    assert phase.accuracy == evaluate(model, VALIDATION).accuracy == history.validation_accuracy[best]
    assert phase.ratios.mean == nonzero_ratios(model).mean


def test_oracle_three_phases_are_train_prune_train():
    one, other, generator = small(), small(), seeded(4)
    penalty = slice_l1_penalty(0.3)
    found = fit_three_phases(one, DATA, penalty, validation=VALIDATION, generator=seeded(4), recipe=QUICK)
    first = fit_phase(other, DATA, l1_penalty(1.0), validation=VALIDATION, generator=generator, epochs=3, recipe=QUICK)
    masks = prune(other, 0.01)
    accuracy, ratios = evaluate(other, VALIDATION).accuracy, nonzero_ratios(other).mean
    last = fit_phase(
        other, DATA, penalty, masks=masks, validation=VALIDATION, generator=generator, epochs=3, recipe=QUICK
    )
    assert torch.equal(flatten(one), flatten(other))
    assert found.pretrained.history == first.history
    assert found.finetuned.history == last.history
    assert (found.pruned_accuracy, found.pruned.mean) == (accuracy, ratios)
    assert not one.training


def test_property_slice_l1_empties_the_slices():
    ends = {}
    for name, penalty in {"none": None, "slice": slice_l1_penalty(0.5)}.items():
        model = small()
        fit(model, DATA, step=charged_step(penalty), generator=seeded(), epochs=20, optimizer=QUICK.optimizer)
        ends[name] = nonzero_ratios(model)
    assert ends["slice"].mean < 0.7 * ends["none"].mean
    assert bool((ends["slice"].slices[1:] < 0.7 * ends["none"].slices[1:]).all()), "all but the least significant"


@pytest.mark.parametrize("stop", [1, 2, 4, 5])
def test_property_an_interrupted_run_goes_on_bit_for_bit(tmp_path, stop):
    """Stopped in either training, before the best epoch was noted or after."""
    whole, model, seen = small(), small(), []
    options = {"validation": VALIDATION, "recipe": QUICK}
    expected = fit_three_phases(whole, DATA, slice_l1_penalty(0.5), generator=seeded(4), **options)

    def interrupt(epoch):
        seen.append(epoch)
        if len(seen) == stop:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_three_phases(
            model,
            DATA,
            slice_l1_penalty(0.5),
            generator=seeded(4),
            callbacks=[interrupt],
            checkpoint=tmp_path,
            **options,
        )
    if stop in (1, 4):  # as if the interruption had come before the first best epoch of the phase was written
        (tmp_path / f"{'pretrain' if stop == 1 else 'finetune'}.pt.best").unlink()
    again = small()
    found = fit_three_phases(again, DATA, slice_l1_penalty(0.5), generator=seeded(4), checkpoint=tmp_path, **options)
    assert torch.equal(flatten(again), flatten(whole))
    assert found.finetuned.epoch == expected.finetuned.epoch
    assert found.pretrained.epoch == expected.pretrained.epoch
    assert found.finetuned.accuracy == evaluate(again, VALIDATION).accuracy


@pytest.mark.parametrize("threshold", [-0.1, math.inf, math.nan])
def test_error_threshold(threshold):
    with pytest.raises(ParameterError, match="finite and >= 0"):
        prune(small(), threshold)


def test_error_masks_and_models():
    with pytest.raises(ParameterError, match="prune it first"):
        masked(sgd(0.1), small(), {"nothing": torch.ones(1)})
    with pytest.raises(ParameterError, match=r"shape \(2,\), the model shape"):
        masked(sgd(0.1), small(), {"model.readout.bias": torch.ones(2)})
    plain = nn.Linear(3, 2)
    with pytest.raises(ParameterError, match=r"train FixedPoint\(model\)"):
        slice_l1_penalty(1.0)(plain)
    with pytest.raises(ParameterError, match="a model in fixed point"):
        fit_phase(plain, DATA, None, validation=VALIDATION, generator=seeded(), epochs=1)
    for method in (l1_penalty, slice_l1_penalty, none_penalty):
        with pytest.raises(ParameterError, match="finite number >= 0, got -1"):
            method(-1.0)
