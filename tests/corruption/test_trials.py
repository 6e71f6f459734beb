"""Random trials: the loop over deep copies, trial by trial, and nothing of the caller's is changed."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from weightlore.corruption import Budget, random, random_trials, trials
from weightlore.data import digits
from weightlore.data.split import Split
from weightlore.errors import ParameterError
from weightlore.parameters import flatten, layout


def mlp(dtype=torch.float64):
    torch.manual_seed(1)
    layers = nn.Linear(64, 16), nn.ReLU(), nn.BatchNorm1d(16), nn.Linear(16, 10)
    return nn.Sequential(*layers).to(dtype).eval()


def cnn(dtype=torch.float64):
    torch.manual_seed(1)
    first = nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2)
    return nn.Sequential(*first, nn.Conv2d(4, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(24, 10)).to(dtype).eval()


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn, self.head = nn.LSTM(8, 5, batch_first=True), nn.Linear(5, 10)

    def forward(self, x):
        return self.head(self.rnn(x.view(len(x), 8, 8))[0][:, -1])


def recurrent(dtype=torch.float64):
    torch.manual_seed(1)
    return Recurrent().to(dtype).eval()


def loop(model, data, budget, seed, count, group=None, kind="sphere"):
    """What one would write: one deep copy and one draw per trial."""
    generator, theta = torch.Generator().manual_seed(seed), flatten(model, group)
    losses, accuracies = [], []
    for _ in range(count):
        moved = theta + random(len(theta), budget, generator=generator, kind=kind, dtype=theta.dtype)
        twin = copy.deepcopy(model)
        with torch.no_grad():
            for name, part in layout(twin, group).split(moved).items():
                twin.get_parameter(name).copy_(part)
            out = twin(data.x)
        losses.append(F.cross_entropy(out, data.y).double())
        accuracies.append((out.argmax(1) == data.y).double().mean())
    return torch.stack(losses), torch.stack(accuracies)


def seeded(seed=5):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("build", [mlp, cnn, recurrent])
@pytest.mark.parametrize(
    ("budget", "kind", "group"),
    [
        (Budget(2.0), "sphere", None),
        (Budget(1.0, n=7), "sphere", "weight"),
        (Budget(0.1, p=math.inf), "vertex", "bias"),
        (Budget(0.5, p=math.inf, n=30), "surface", None),
        (Budget(0.05), "gaussian", lambda name, parameter: parameter.ndim > 1),
    ],
)
def test_oracle_equals_the_loop_over_deep_copies(build, budget, kind, group):
    model, data = build(), digits("validation")
    found = random_trials(model, data, budget, trials=6, generator=seeded(), group=group, kind=kind)
    loss, accuracy = loop(model, data, budget, 5, 6, group, kind)
    torch.testing.assert_close(found.loss, loss, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(found.accuracy, accuracy, rtol=0, atol=1e-12)


def test_oracle_float32_equals_the_loop_within_its_precision():
    model, data = mlp(torch.float32), digits("validation", dtype=torch.float32)
    found = random_trials(model, data, Budget(2.0), trials=6, generator=seeded())
    torch.testing.assert_close(found.loss, loop(model, data, Budget(2.0), 5, 6)[0], rtol=1e-4, atol=1e-5)


def test_oracle_base_is_the_network_itself():
    model, data = mlp(), digits("validation")
    found = random_trials(model, data, Budget(2.0), trials=3, generator=seeded())
    assert found.base_loss == pytest.approx(float(F.cross_entropy(model(data.x), data.y).detach()), rel=1e-12)
    assert found.base_accuracy == pytest.approx(float((model(data.x).argmax(1) == data.y).double().mean()))
    torch.testing.assert_close(found.increase, found.loss - found.base_loss)


@pytest.mark.parametrize("kind", ["sphere", "gaussian"])
def test_property_few_trials_are_the_first_of_many_whatever_the_block(kind, monkeypatch):
    model, data = mlp(), digits("validation")
    many = random_trials(model, data, Budget(3.0, n=40), trials=20, generator=seeded(), kind=kind)
    monkeypatch.setattr(trials, "BLOCK", 3 * 8 * flatten(model).numel())
    generator = seeded()
    few = random_trials(model, data, Budget(3.0, n=40), trials=7, generator=generator, kind=kind)
    torch.testing.assert_close(few.loss, many.loss[:7], rtol=1e-12, atol=1e-14)
    alone = seeded()
    random(flatten(model).numel(), Budget(3.0, n=40), generator=alone, trials=7, kind=kind)
    assert torch.equal(generator.get_state(), alone.get_state())


def test_property_same_state_same_result_bit_for_bit():
    model, data = cnn(), digits("validation")
    first = random_trials(model, data, Budget(1.0), trials=9, generator=seeded())
    second = random_trials(model, data, Budget(1.0), trials=9, generator=seeded())
    assert torch.equal(first.loss, second.loss)
    assert torch.equal(first.accuracy, second.accuracy)


def test_property_nothing_of_the_caller_is_changed():
    model, data = mlp().train(), digits("validation")
    state, x, random_state = copy.deepcopy(model.state_dict()), data.x.clone(), torch.get_rng_state()
    random_trials(model, data, Budget(1.0), trials=4, generator=seeded())
    assert all(torch.equal(state[name], tensor) for name, tensor in model.state_dict().items())
    assert model.training
    assert torch.equal(data.x, x)
    assert torch.equal(torch.get_rng_state(), random_state)
    assert all(p.grad is None for p in model.parameters())


def test_limit_epsilon_zero_harms_nothing():
    model, data = mlp(), digits("validation")
    found = random_trials(model, data, Budget(0.0), trials=3, generator=seeded())
    torch.testing.assert_close(found.increase, torch.zeros(3, dtype=torch.float64), rtol=0, atol=1e-14)


def test_limit_one_trial_and_a_group_of_one_parameter():
    model, data = mlp(), digits("validation")
    assert len(random_trials(model, data, Budget(1.0), trials=1, generator=seeded())) == 1
    model = nn.Sequential(nn.Linear(64, 1), nn.Linear(1, 10)).double()
    found = random_trials(model, data, Budget(1.0), trials=40, generator=seeded(), group="0.bias")
    assert len(found.loss.unique()) == 2  # a single parameter moves by +epsilon or -epsilon


def test_limit_frozen_parameters_stay():
    model, data = mlp(), digits("validation")
    for parameter in model[0].parameters():
        parameter.requires_grad_(False)
    found = random_trials(model, data, Budget(1.0), trials=3, generator=seeded())
    loss, _ = loop(model, data, Budget(1.0), 5, 3)
    torch.testing.assert_close(found.loss, loss, rtol=1e-10, atol=1e-12)


def test_property_repr_says_the_worst():
    found = random_trials(mlp(), digits("validation"), Budget(1.0), trials=3, generator=seeded())
    assert f"at most {float(found.loss.max()):.4g}" in repr(found)


def test_error_bad_input_says_what_to_do():
    model, data = mlp(), digits("validation")
    with pytest.raises(ParameterError, match=">= 1, got 0"):
        random_trials(model, data, Budget(1.0), trials=0, generator=seeded())
    with pytest.raises(ParameterError, match="is empty"):
        random_trials(model, data, Budget(1.0), trials=3, generator=seeded(), group="nowhere")
    with pytest.raises(ParameterError, match="p=inf"):
        random_trials(model, data, Budget(1.0), trials=3, generator=seeded(), kind="vertex")
    with pytest.raises(ParameterError, match="0 rows"):
        random_trials(model, data[:0], Budget(1.0), trials=3, generator=seeded())
    spoilt = Split(data.x.clone(), data.y)
    spoilt.x[3, 1] = math.nan
    with pytest.raises(ParameterError, match="the inputs of data must be finite, but 1 of its"):
        random_trials(model, spoilt, Budget(1.0), trials=3, generator=seeded())
    with pytest.raises(ParameterError, match=r"data\.to"):
        random_trials(model, data.to(dtype=torch.float32), Budget(1.0), trials=3, generator=seeded())


def test_error_leaves_the_model_as_it_was():
    model, data = mlp(), digits("validation")
    theta = flatten(model)
    with pytest.raises(ParameterError, match="class numbers"):
        random_trials(model, Split(data.x, data.y + 10), Budget(1.0), trials=3, generator=seeded())
    assert torch.equal(flatten(model), theta)
