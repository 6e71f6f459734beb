"""Scores of logits, gradients of the last layer and ODIN: closed forms, limits, and a network left as it was."""

import copy
from dataclasses import FrozenInstanceError

import pytest
import torch
from torch import nn

from weightlore.data import digits
from weightlore.errors import ParameterError
from weightlore.networks import cnn, healthy, mlp, resnet20
from weightlore.networks.readouts import readout_name
from weightlore.uncertainty.ood import (
    ODIN,
    Detector,
    Energy,
    GradNorm,
    MaxLogit,
    MaxSoftmax,
    best_odin,
    energy_score,
    features,
    grad_norm_score,
    max_logit_score,
    max_softmax_score,
    pushed,
    read,
)
from weightlore.uncertainty.sources import unknown_inputs


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=seeded(seed), dtype=dtype)


X = digits("validation").x[:40]


def test_oracle_max_softmax_is_one_minus_the_largest_probability():
    z = normal(50, 7) * 3
    torch.testing.assert_close(max_softmax_score(z), 1 - z.softmax(1).amax(1), atol=1e-12, rtol=0)


def test_property_certain_answers_keep_their_order():
    z = torch.tensor([[60.0, 0.0], [50.0, 0.0]])
    assert max_softmax_score(z)[0] < max_softmax_score(z)[1]
    assert float((1 - z.softmax(1).amax(1)).abs().sum()) == 0


@pytest.mark.parametrize("temperature", [0.3, 1.0, 20.0])
def test_oracle_energy_is_a_log_sum_of_exponentials(temperature):
    z = normal(50, 7) * 5
    expected = -temperature * (z / temperature).logsumexp(1)
    torch.testing.assert_close(energy_score(z, temperature=temperature), expected)


@pytest.mark.parametrize("shift", [-3.0, 0.5, 100.0])
def test_property_a_constant_shifts_energy_and_logit_and_not_the_softmax(shift):
    z = normal(20, 5)
    torch.testing.assert_close(energy_score(z + shift), energy_score(z) - shift, atol=1e-10, rtol=0)
    torch.testing.assert_close(max_logit_score(z + shift), max_logit_score(z) - shift, atol=1e-10, rtol=0)
    torch.testing.assert_close(max_softmax_score(z + shift), max_softmax_score(z), atol=1e-10, rtol=0)


@pytest.mark.parametrize("temperature", [1e-300, 1e-30, 1.0])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_limit_no_temperature_makes_an_energy_infinite(temperature, dtype):
    z = (normal(20, 5) * 1e3).to(dtype)
    found = energy_score(z, temperature=temperature)
    assert found.dtype == dtype
    assert bool(found.isfinite().all())
    torch.testing.assert_close(energy_score(z, temperature=1e-300), max_logit_score(z))


@pytest.mark.parametrize("make", [MaxSoftmax, MaxLogit, Energy])
def test_property_a_detector_equals_itself_alone_and_keeps_its_network(make):
    one = make(healthy())
    assert one != make(one.model)
    with pytest.raises(FrozenInstanceError):
        one.model = healthy()


def test_property_the_temperature_of_an_energy_is_one_where_none_is_given():
    network = healthy()
    torch.testing.assert_close(Energy(network).score(X), -network(X).detach().logsumexp(1))


def test_oracle_gradient_of_the_last_layer():
    phi, weight = normal(6, 4), normal(5, 4, seed=1).requires_grad_()
    for row, said in zip(phi, grad_norm_score(phi, phi @ weight.detach().T), strict=True):
        log_probs = (weight @ row).log_softmax(0)
        divergence = -(log_probs / 5).sum()  # KL(u || p) up to a constant
        gradient = torch.autograd.grad(divergence, weight)[0]
        torch.testing.assert_close(said, -gradient.abs().sum(), atol=1e-10, rtol=0)


def test_oracle_odin_without_push_and_temperature_is_the_baseline():
    model = healthy()
    torch.testing.assert_close(ODIN(model, 1.0, 0.0).score(X), MaxSoftmax(model).score(X), atol=0, rtol=0)
    torch.testing.assert_close(pushed(model, X, epsilon=0.0), X, atol=0, rtol=0)


def test_oracle_odin_follows_the_gradient_of_each_input():
    model, temperature, epsilon = healthy(), 10.0, 0.02
    moved = pushed(model, X, temperature=temperature, epsilon=epsilon, bounds=None)
    for x, there in zip(X[:5], moved, strict=False):
        leaf = x.clone().requires_grad_()
        z = model(leaf[None])[0] / temperature
        loss = z.logsumexp(0) - z.max()
        torch.testing.assert_close(there, x - epsilon * torch.autograd.grad(loss, leaf)[0].sign())


def test_property_a_small_step_lowers_its_own_loss_for_every_input():
    model = healthy()
    moved = pushed(model, X, temperature=1.0, epsilon=1e-6, bounds=None)
    before, after = (max_softmax_score(read(model, x).logits) for x in (X, moved))
    assert bool((after <= before).all())
    assert bool((after < before).any())


def test_property_at_a_high_temperature_the_distance_from_the_mean_logit_decides():
    model = healthy()
    z = read(model, X).logits
    order = (z.amax(1) - z.mean(1)).argsort(descending=True)
    assert torch.equal(ODIN(model, 1e6, 0.0).score(X).argsort(), order)


def test_property_pushed_inputs_stay_within_the_bounds():
    moved = pushed(healthy(), X, epsilon=0.3)
    assert float(moved.min()) >= 0
    assert float(moved.max()) <= 1
    assert not torch.equal(moved, X)


def test_property_a_grid_finds_its_own_best_and_says_all_of_it():
    model, outside = healthy(), unknown_inputs(X, "permuted_pixels", generator=seeded())
    choice = best_odin(model, X, outside, temperatures=(1.0, 100.0), epsilons=(0.0, 0.01, 0.05))
    assert choice.aurocs.shape == choice.false_rates.shape == (2, 3)
    row = choice.temperatures.index(choice.detector.temperature)
    column = choice.epsilons.index(choice.detector.epsilon)
    assert choice.false_rates[row, column] == choice.false_rates.min()
    tied = choice.aurocs[choice.false_rates == choice.false_rates.min()]
    assert choice.aurocs[row, column] == tied.max()


@pytest.mark.parametrize("kind", [MaxSoftmax, MaxLogit, Energy, GradNorm, lambda m: ODIN(m, epsilon=0.01)])
def test_property_a_detector_leaves_the_network_as_it_was(kind):
    model = mlp((64, 8, 10), normalize=True, generator=seeded())
    model.layers[0].weight.grad = torch.ones_like(model.layers[0].weight)
    model.train()
    model.layers[0].eval()
    before, modes = copy.deepcopy(model.state_dict()), [m.training for m in model.modules()]
    detector = kind(model)
    assert isinstance(detector, Detector)
    scores = detector.score(X)
    assert scores.shape == (40,)
    assert scores.dtype == torch.float64
    assert not scores.requires_grad
    assert all(torch.equal(a, b) for a, b in zip(before.values(), model.state_dict().values(), strict=True))
    assert [m.training for m in model.modules()] == modes
    assert float(model.layers[0].weight.grad.sum()) == model.layers[0].weight.numel()
    assert model.readout.weight.grad is None
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


@pytest.mark.parametrize("kind", ["mlp", "cnn", "residual", "sequence", "linear"])
def test_oracle_features_are_what_the_readout_reads(kind):
    g = seeded()
    image = normal(3, 1, 8, 8)
    models = {
        "mlp": lambda: mlp((64, 8, 10), generator=g),
        "cnn": lambda: cnn((4, 5), generator=g),
        "residual": lambda: resnet20(channels=1, generator=g, dtype=torch.float64),
        "sequence": lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 5), nn.ReLU(), nn.Linear(5, 3)).double(),
        "linear": lambda: nn.Linear(64, 3).double(),
    }
    model = models[kind]().eval()
    x = image.flatten(1) if kind in ("mlp", "linear") else image
    found = read(model, x)
    last = model if kind == "linear" else model[-1] if kind == "sequence" else model.readout
    torch.testing.assert_close(last(found.features), found.logits)
    torch.testing.assert_close(model(x), found.logits)
    torch.testing.assert_close(features(model)(x), found.features)


def test_oracle_a_named_layer_gives_its_output_and_maps_their_mean():
    model, x = cnn((4, 5), generator=seeded()).eval(), normal(3, 1, 8, 8)
    expected = model.activations(x)[0].mean((2, 3))
    torch.testing.assert_close(read(model, x, "nonlinear.0").features, expected)


def test_property_blocks_do_not_matter():
    model = healthy()
    torch.testing.assert_close(read(model, X, batch_size=7).features, read(model, X).features)


class Odd(nn.Module):
    def __init__(self):
        super().__init__()
        self.readout = nn.Linear(64, 3).double()
        self.idle = nn.Linear(64, 3).double()

    def forward(self, x):
        return self.readout(x)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: energy_score(normal(3, 4), temperature=0.0), "finite number > 0"),
        (lambda: Energy(healthy(), temperature=float("nan")), "finite number > 0"),
        (lambda: energy_score(torch.tensor([[1.0, float("inf")]])), "finite"),
        (lambda: MaxSoftmax(healthy()).score(X * float("nan")), "x must be finite"),
        (lambda: MaxSoftmax(healthy()).score(X[:0]), "input at least"),
        (lambda: ODIN(healthy(), epsilon=-0.1), "size of a step"),
        (lambda: ODIN(healthy(), bounds=(1.0, 0.0)), "in this order"),
        (lambda: ODIN(healthy(), epsilon=0.1).score(X * 16), "give the range"),
        (lambda: best_odin(healthy(), X, X, epsilons=()), "grid needs"),
        (lambda: grad_norm_score(normal(3, 4), normal(2, 4)), "belong to logits"),
        (lambda: GradNorm(nn.Sequential(nn.Linear(64, 3), nn.ReLU())).score(X), "call the last layer readout"),
        (lambda: read(healthy(), X, "layers.7"), "it has layers"),
        (lambda: features(healthy(), "nowhere"), "no layer"),
        (lambda: read(Odd(), X, "idle"), "0 uses"),
    ],
)
def test_error_what_cannot_be_scored(call, message):
    with pytest.raises(ParameterError, match=message):
        call()


def test_error_a_pass_that_breaks_leaves_no_hook():
    model = healthy()
    with pytest.raises(ParameterError):
        read(model, normal(2, 3))
    assert not model.readout._forward_pre_hooks


class Foreign(nn.Module):
    """As others write networks: the last layer is called fc, or stands at the end of a classifier."""

    def __init__(self, end):
        super().__init__()
        self.first, self.relu, self.end = nn.Linear(64, 5).double(), nn.ReLU(inplace=True), end

    def forward(self, x):
        return self.end(self.relu(self.first(x)))


@pytest.mark.parametrize("deep", [False, True])
def test_oracle_the_last_layer_is_found_under_another_name(deep):
    last = nn.Linear(5, 3).double()
    model = Foreign(nn.Sequential(nn.Dropout(), nn.Sequential(nn.Identity(), last)) if deep else last).eval()
    found = read(model, X)
    torch.testing.assert_close(found.logits, last(found.features).detach(), rtol=0, atol=1e-12)
    assert readout_name(model) == ("end.1.1" if deep else "end")
    assert GradNorm(model).score(X).shape == (len(X),)


def test_error_a_network_that_ends_in_something_else():
    for model in (Foreign(nn.Sequential(nn.Linear(5, 3), nn.Softmax(1))), Foreign(nn.LSTM(5, 3)), nn.ReLU()):
        with pytest.raises(ParameterError, match="call the last layer readout"):
            readout_name(model)
