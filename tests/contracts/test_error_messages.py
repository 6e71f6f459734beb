"""Contract 12: bad input is an error that says what to do; what the caller gave is left as it was."""

import copy
import math

import pytest
import torch
from tests.contracts import house
from tests.contracts.files import modules

from weightlore.corruption import (
    Budget,
    closed_form,
    curvature,
    error_bound,
    first_order_gain,
    hessian_vector,
    indicator,
    loss_gradient,
    measure,
    projected_ascent,
    random_trials,
)
from weightlore.corruption import random as draw
from weightlore.data import Split, digits, shift
from weightlore.errors import ParameterError
from weightlore.networks import healthy, mlp
from weightlore.parameters import call, flatten, layout, replaced
from weightlore.stacked import evaluate_thetas
from weightlore.training import evaluate, fit
from weightlore.transfer import PTUNet, gate_table


@pytest.mark.parametrize("path", modules())
def test_property_errors_are_ours(path):
    assert house.other_errors(path, modules()[path]) == []


@pytest.mark.parametrize(
    "text",
    [
        "def f(x):\n    assert x > 0",
        "def f(x):\n    raise ValueError('x must be positive, got ' + str(x))",
        "def f(x):\n    raise ParameterError('bad x')",
        "def f(x):\n    raise Exception(x)",
    ],
)
def test_property_an_error_that_says_nothing_is_found(text):
    assert house.other_errors("x.py", text)


def test_limit_an_error_that_is_turned_into_ours_passes():
    text = "def f(p):\n    with reading(p, 'a table'):\n        raise ValueError('two columns were expected')"
    assert house.other_errors("x.py", text) == []


NAN, SMALL = float("nan"), digits("validation")[:16]


def broken() -> torch.nn.Module:
    model = mlp((64, 4, 10), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        next(model.parameters())[0, 0] = NAN
    return model


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def poisoned() -> Split:
    x = SMALL.x.clone()
    x[0, 0] = math.inf
    return Split(x, SMALL.y)


def mislabeled(number: int) -> Split:
    y = SMALL.y.clone()
    y[3] = number
    return Split(SMALL.x, y)


BAD = {
    "closed_form of NaN": lambda: closed_form(torch.tensor([1.0, NAN]), Budget(1.0)),
    "closed_form of infinity": lambda: closed_form(torch.tensor([1.0, math.inf]), Budget(1.0)),
    "first_order_gain of NaN": lambda: first_order_gain(torch.tensor([NAN]), Budget(1.0)),
    "error_bound of NaN": lambda: error_bound(torch.tensor([NAN, 1.0]), Budget(1.0), smoothness=1.0),
    "budget below zero": lambda: Budget(-1.0),
    "budget of NaN": lambda: Budget(NAN),
    "norm below one": lambda: Budget(1.0, p=0.5),
    "no parameter": lambda: Budget(1.0, n=0),
    "draw of nothing": lambda: draw(0, Budget(1.0), generator=generator()),
    "gradient of a broken model": lambda: loss_gradient(broken(), SMALL),
    "ascent on a broken model": lambda: projected_ascent(broken(), SMALL, Budget(1.0), steps=2),
    "gradient on infinite data": lambda: loss_gradient(healthy(), poisoned()),
    "fit on infinite data": lambda: fit(mlp((64, 4, 10), generator=generator()), poisoned(), generator=generator()),
    "evaluate on infinite data": lambda: evaluate(healthy(), poisoned()),
    "measure on infinite data": lambda: measure(healthy(), poisoned()),
    "measure at NaN": lambda: measure(healthy(), SMALL, corruption=torch.full((6570,), NAN).double()),
    "indicator measured on infinite data": lambda: indicator(healthy(), poisoned(), Budget(1.0), gradient_data=SMALL),
    "evaluate on a class too many": lambda: evaluate(healthy(), mislabeled(10)),
    "evaluate on a class that torch ignores": lambda: evaluate(healthy(), mislabeled(-100)),
    "measure on a class too many": lambda: measure(healthy(), mislabeled(10)),
    "measure on a class that torch ignores": lambda: measure(healthy(), mislabeled(-100)),
    "gradient on a class too many": lambda: loss_gradient(healthy(), mislabeled(10)),
    "hessian on a class that torch ignores": lambda: hessian_vector(
        healthy(), mislabeled(-100), flatten(healthy()) * 0 + 1
    ),
    "fit on a class too many": lambda: fit(
        mlp((64, 4, 10), generator=generator()), mislabeled(10), generator=generator()
    ),
    "fit on a class that torch ignores": lambda: fit(
        mlp((64, 4, 10), generator=generator()), mislabeled(-100), generator=generator()
    ),
    "thetas on a class that torch ignores": lambda: evaluate_thetas(
        healthy(), flatten(healthy())[None], mislabeled(-100)
    ),
    "trials on infinite data": lambda: random_trials(
        healthy(), poisoned(), Budget(1.0), trials=2, generator=generator()
    ),
    "thetas on infinite data": lambda: evaluate_thetas(healthy(), flatten(healthy())[None], poisoned()),
    "thetas on NaN targets": lambda: evaluate_thetas(
        healthy(), flatten(healthy())[None], Split(SMALL.x, SMALL.x[:, :10] * NAN), loss=torch.nn.functional.mse_loss
    ),
    "hessian times NaN": lambda: hessian_vector(healthy(), SMALL, torch.full((6570,), NAN).double()),
    "hessian of a broken model": lambda: hessian_vector(broken(), SMALL, flatten(broken()) * 0 + 1),
    "curvature on infinite data": lambda: curvature(healthy(), poisoned(), generator=generator()),
    "shift of NaN": lambda: shift(torch.full((1, 64), NAN), "blur", 1),
    "empty group": lambda: layout(healthy(), "nothing"),
    "theta of another length": lambda: call(healthy(), torch.zeros(3), SMALL.x),
    "units between networks of two depths": lambda: PTUNet(
        healthy(), mlp((64, 9, 10), generator=generator()), SMALL.x, generator=generator()
    ),
    "units on infinite data": lambda: PTUNet(healthy(), healthy(), poisoned().x, generator=generator()),
    "a gate forced above one": lambda: PTUNet(healthy(), healthy(), SMALL.x, generator=generator()).force(z=1.5),
    "gates on infinite data": lambda: gate_table(
        PTUNet(healthy(), healthy(), SMALL.x, generator=generator()), poisoned()
    ),
    "unknown split": lambda: digits("training"),
    "unknown network": lambda: healthy("resnet"),
}


@pytest.mark.parametrize("name", BAD)
def test_error_bad_input_never_gives_a_silent_result(name):
    with pytest.raises(ParameterError) as caught:
        BAD[name]()
    assert len(str(caught.value)) > 30, "says what was expected and what came"


def test_property_nothing_of_the_caller_is_changed_not_even_by_a_failure():
    model = mlp((64, 4, 10), generator=generator()).train()
    data, before = Split(SMALL.x.clone(), SMALL.y.clone()), copy.deepcopy(model.state_dict())
    theta = flatten(model)
    with pytest.raises(RuntimeError, match="on purpose"), replaced(model, theta + 1):
        raise RuntimeError("on purpose")
    projected_ascent(model, data, Budget(0.5), steps=2)
    loss_gradient(model, data)
    evaluate(model, data)
    with pytest.raises(ParameterError):
        call(model, theta[:-1], data.x)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.equal(data.x, SMALL.x)
