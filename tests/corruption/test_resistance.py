"""Resistant training: autograd of the mixed loss, plain training where nothing is mixed in, nothing else changed."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from weightlore.corruption import (
    Budget,
    averaged_step,
    closed_form,
    fit_resistant,
    resistant_gradients,
    resistant_step,
)
from weightlore.data import Split, digits
from weightlore.errors import ParameterError
from weightlore.networks import mlp
from weightlore.parameters import call, flatten, layout
from weightlore.training import cross_entropy, fit, sgd

BUDGETS = [Budget(0.3), Budget(0.2, n=20), Budget(0.01, p=math.inf), Budget(0.3, p=1.0), Budget(0.1, p=1.5, n=40)]


def network(seed=1, dtype=torch.float64):
    return mlp((64, 12, 10), generator=torch.Generator().manual_seed(seed), dtype=dtype)


def normalized(seed=1, drop=0.0):
    torch.manual_seed(seed)
    layers = nn.Linear(64, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Dropout(drop), nn.Linear(12, 10)
    return nn.Sequential(*layers).double().train()


def batch(count=40, **options):
    return digits("train", **options)[:count]


def seeded(seed=5):
    return torch.Generator().manual_seed(seed)


def gradients(model, loss):
    """What backward leaves on the parameters, as one vector."""
    model.zero_grad()
    loss.backward()
    return torch.cat([p.grad.reshape(-1) for p in model.parameters() if p.requires_grad])


def loss_at(model, data, theta, group=None):
    return F.cross_entropy(call(model, theta, data.x, group), data.y)


def gradient_at(model, data, corruption=0.0, group=None):
    """Gradient in all parameters of the loss where those of a group are moved: autograd through both."""
    theta = flatten(model).requires_grad_()
    parts = layout(model).split(theta)
    moved = dict(layout(model, group).split(flatten(model, group) * 0 + corruption))
    shifted = {name: part + moved.get(name, 0.0) for name, part in parts.items()}
    loss = F.cross_entropy(torch.func.functional_call(model, shifted, (data.x,)), data.y)
    return torch.autograd.grad(loss, theta)[0]


def of_group(model, gradient, group):
    parts = layout(model).split(gradient)
    return layout(model, group).join({name: parts[name] for name in layout(model, group).names})


@pytest.mark.parametrize("budget", BUDGETS, ids=repr)
@pytest.mark.parametrize("alpha", [0.25, 0.5, 1.0])
def test_oracle_gradient_is_autograd_of_the_mixed_loss(budget, alpha):
    model, data = network(), batch()
    clean = gradient_at(model, data)
    corruption = closed_form(clean, budget).vector
    theta = flatten(model).requires_grad_()
    mixed = (1 - alpha) * loss_at(model, data, theta) + alpha * loss_at(model, data, theta + corruption)
    expected = torch.autograd.grad(mixed, theta)[0]
    loss = resistant_step(budget, alpha=alpha)(model, data, seeded())
    torch.testing.assert_close(loss.detach(), mixed.detach(), rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(gradients(model, loss), expected, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("group", ["weight", "bias", "layers.0", lambda name, p: name.startswith("readout")])
def test_oracle_only_the_group_is_corrupted_and_all_is_trained(group):
    model, data, budget = network(), batch(), Budget(0.3, n=15)
    clean = gradient_at(model, data)
    corruption = closed_form(of_group(model, clean, group), budget).vector
    expected = 0.5 * clean + 0.5 * gradient_at(model, data, corruption, group)
    found = gradients(model, resistant_step(budget, alpha=0.5, group=group)(model, data, seeded()))
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("steps", [1, 2, 4])
@pytest.mark.parametrize("budget", [Budget(0.3), Budget(0.01, p=math.inf, n=50)], ids=repr)
def test_oracle_several_steps_average_all_gradients_alike(steps, budget):
    model, data = network(), batch()
    found = resistant_gradients(model, data, budget, generator=seeded(), steps=steps)
    at = [gradient_at(model, data)] + [gradient_at(model, data, a) for a in found.corruptions]
    assert len(found.corruptions) == steps
    torch.testing.assert_close(found.gradient, torch.stack(at).mean(0), rtol=1e-10, atol=1e-13)
    stepped = gradients(model, resistant_step(budget, steps=steps)(model, data, seeded()))
    torch.testing.assert_close(stepped, found.gradient, rtol=0, atol=0)


def test_oracle_several_steps_follow_the_gradient_where_they_are():
    model, data, budget = network(), batch(), Budget(0.6)
    first, second = resistant_gradients(model, data, budget, generator=seeded(), steps=2).corruptions
    half = 0.75 * closed_form(gradient_at(model, data), budget).vector
    torch.testing.assert_close(first, half, rtol=1e-9, atol=1e-12)
    ahead = half + 0.75 * closed_form(gradient_at(model, data, first), budget).vector
    torch.testing.assert_close(second, ahead * min(1.0, 0.6 / float(ahead.norm())), rtol=1e-9, atol=1e-12)


def test_oracle_first_order_the_gradient_norm_is_penalized():
    """d = g + alpha epsilon grad ||g|| + O(epsilon^2) for p = 2."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 6), nn.Tanh(), nn.Linear(6, 10)).double()
    data, alpha = batch(), 0.7
    theta = flatten(model).requires_grad_()
    clean = torch.autograd.grad(loss_at(model, data, theta), theta, create_graph=True)[0]
    penalty = torch.autograd.grad(clean.norm(), theta)[0]
    errors = []
    for epsilon in (1e-2, 5e-3):
        found = resistant_gradients(model, data, Budget(epsilon), generator=seeded(), alpha=alpha)
        errors.append(float((found.gradient - found.clean - alpha * epsilon * penalty).norm()))
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.1)


@pytest.mark.parametrize("step", [resistant_step(Budget(0.0)), resistant_step(Budget(0.5), alpha=0.0)])
def test_oracle_nothing_mixed_in_is_plain_training_bit_for_bit(step):
    data, plain, resistant = digits("train")[:200], normalized(drop=0.2), normalized(drop=0.2)
    options = {"epochs": 2, "optimizer": sgd(0.1, momentum=0.9, weight_decay=1e-3)}
    first = fit(plain, data, generator=seeded(), **options)
    second = fit(resistant, data, step=step, generator=seeded(), **options)
    assert all(
        torch.equal(a, b) for a, b in zip(plain.state_dict().values(), resistant.state_dict().values(), strict=True)
    )
    assert first.train_loss == second.train_loss


def test_oracle_fit_resistant_is_fit_with_the_step():
    data, budget = digits("train")[:200], Budget(0.2, n=30)
    ours, theirs, plain = network(), network(), network()
    fit_resistant(ours, data, budget, generator=seeded(), alpha=0.3, steps=2, group="weight", epochs=2)
    fit(theirs, data, step=resistant_step(budget, alpha=0.3, steps=2, group="weight"), generator=seeded(), epochs=2)
    fit(plain, data, generator=seeded(), epochs=2)
    assert torch.equal(flatten(ours), flatten(theirs))
    assert not torch.equal(flatten(ours), flatten(plain))


def test_property_weight_decay_is_added_by_the_optimizer():
    """A step from d, plus decay: theta' = theta - lr (d + decay theta), with a_hat from the gradient without decay."""
    model, data, budget = network(), batch(64), Budget(0.3)
    theta = flatten(model)
    expected = resistant_gradients(model, data, budget, generator=seeded()).gradient + 0.1 * theta
    optimizer = sgd(0.5, weight_decay=0.1)
    fit(model, data, step=resistant_step(budget), generator=seeded(), epochs=1, schedule=None, optimizer=optimizer)
    torch.testing.assert_close(flatten(model), theta - 0.5 * expected, rtol=1e-10, atol=1e-12)


def test_property_running_statistics_are_those_of_the_clean_pass():
    plain, resistant, data = normalized(), normalized(), batch()
    cross_entropy(plain, data, seeded())
    resistant_step(Budget(0.5), steps=3)(resistant, data, seeded())
    for clean, mixed in zip(plain.buffers(), resistant.buffers(), strict=True):
        assert torch.equal(clean, mixed)
    assert int(resistant[1].num_batches_tracked) == 1


class Rebinding(nn.Module):
    """Counts its calls in a buffer that it binds anew."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(64, 10)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls = self.calls + 1
        return self.layer(x)


def test_property_rebound_buffers_too():
    model, data = Rebinding().double(), batch()
    resistant_step(Budget(0.5), steps=2)(model, data, seeded())
    assert float(model.calls) == 1
    resistant_gradients(model, data, Budget(0.5), generator=seeded())
    assert float(model.calls) == 1


def test_property_dropout_drops_the_same_units_in_every_pass():
    """The mask of the clean pass, made by hand, explains both gradients."""
    model, data, budget = normalized(drop=0.5), batch(), Budget(0.4)
    torch.manual_seed(11)
    found = resistant_gradients(model, data, budget, generator=seeded())
    after = torch.get_rng_state()
    torch.manual_seed(11)
    mask = F.dropout(torch.ones(len(data), 12, dtype=torch.float64), 0.5)
    assert torch.equal(after, torch.get_rng_state())  # the state that a single pass leaves
    masked = copy.deepcopy(model)
    masked[3] = Times(mask)
    torch.testing.assert_close(found.clean, gradient_at(masked, data), rtol=1e-9, atol=1e-12)
    corruption = closed_form(found.clean, budget).vector
    torch.testing.assert_close(found.corrupted[0], gradient_at(masked, data, corruption), rtol=1e-9, atol=1e-12)


class Times(nn.Module):
    def __init__(self, mask):
        super().__init__()
        self.mask = mask

    def forward(self, h):
        return h * self.mask


def test_property_base_step_draws_the_same_noise_in_every_pass():
    model, data, seen = network(), batch(), []

    def noisy(model, data, generator):
        noise = torch.randn(data.x.shape, generator=generator, dtype=data.x.dtype)
        seen.append(noise)
        return F.cross_entropy(model(data.x + noise), data.y)

    generator, alone = seeded(), seeded()
    resistant_step(Budget(0.1), steps=2, base=noisy)(model, data, generator)
    noisy(model, data, alone)
    assert len(seen) == 4
    assert all(torch.equal(seen[0], noise) for noise in seen)
    assert torch.equal(generator.get_state(), alone.get_state())


def test_property_model_is_left_bit_for_bit():
    model, data = normalized(drop=0.3), batch()
    state, storage = copy.deepcopy(model.state_dict()), [p.data_ptr() for p in model.parameters()]
    resistant_gradients(model, data, Budget(0.5), generator=seeded(), steps=2)
    assert all(torch.equal(state[name], tensor) for name, tensor in model.state_dict().items())
    assert [p.data_ptr() for p in model.parameters()] == storage
    assert all(p.grad is None for p in model.parameters())
    assert model.training


def test_property_parameters_are_restored_after_an_exception():
    model, data, calls = network(), batch(), []
    theta, state = flatten(model), torch.get_rng_state()

    def breaking(model, data, generator):
        calls.append(None)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return cross_entropy(model, data, generator)

    with pytest.raises(KeyboardInterrupt):
        resistant_step(Budget(0.5), base=breaking)(model, data, seeded())
    assert torch.equal(flatten(model), theta)
    assert torch.equal(torch.get_rng_state(), state)


def test_property_one_step_object_serves_many_models_and_notices_freezing():
    step, data = resistant_step(Budget(0.3)), batch()
    one, other = network(1), network(2)
    for model in (one, other, one):
        expected = resistant_gradients(model, data, Budget(0.3), generator=seeded()).gradient
        assert torch.equal(gradients(model, step(model, data, seeded())), expected)
    one.layers[0].weight.requires_grad_(False)
    found = gradients(one, step(one, data, seeded()))
    expected = resistant_gradients(one, data, Budget(0.3), generator=seeded()).gradient
    assert len(expected) == flatten(one).numel()
    assert torch.equal(found, expected)


def test_property_a_factor_on_the_loss_scales_the_gradient():
    model, data, step = network(), batch(), resistant_step(Budget(0.3))
    single = gradients(model, step(model, data, seeded()))
    tripled = gradients(model, 3 * step(model, data, seeded()))
    torch.testing.assert_close(tripled, 3 * single)


def test_property_own_paths_mix_in_what_they_give():
    model, data = network(), batch()
    shift = torch.full_like(flatten(model), 0.01)
    step = averaged_step(lambda passes: [shift, -shift], alpha=0.4)
    expected = 0.6 * gradient_at(model, data)
    expected += 0.2 * gradient_at(model, data, shift) + 0.2 * gradient_at(model, data, -shift)
    torch.testing.assert_close(gradients(model, step(model, data, seeded())), expected, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("steps", [1, 3])
def test_limit_zero_gradient_is_a_plain_step(steps):
    """A network that ignores its group: no direction, the clean gradient stands alone."""
    model, data = nn.Sequential(nn.Linear(64, 10)).double(), batch()
    model.register_parameter("unused", nn.Parameter(torch.zeros(3, dtype=torch.float64)))
    found = resistant_gradients(model, data, Budget(0.5), generator=seeded(), steps=steps, group="unused")
    assert found.corrupted.shape == (0, flatten(model).numel())
    assert found.corruptions.shape == (0, 3)
    assert torch.equal(found.gradient, found.clean)
    model.zero_grad()
    resistant_step(Budget(0.5), steps=steps, group="unused")(model, data, seeded()).backward()
    mixed = model[0].weight.grad.clone()
    model.zero_grad()
    cross_entropy(model, data, seeded()).backward()
    assert torch.equal(mixed, model[0].weight.grad)
    assert float(model.unused.grad.abs().sum() if model.unused.grad is not None else 0) == 0


def test_limit_one_gradient_for_two_parameters_is_handed_over_as_two():
    """The gradient of a sum is one tensor for both terms; without a corruption it would be shared."""
    model = nn.Module()
    for name in ("one", "two", "unused"):
        model.register_parameter(name, nn.Parameter(torch.zeros(3, dtype=torch.float64)))
    step = resistant_step(Budget(0.5), group="unused", base=lambda model, *_: (model.one + model.two).sum())
    for _ in range(2):
        step.find(model, batch(), seeded()).leave()
    assert all(torch.equal(p.grad, torch.full_like(p, 2.0)) for p in (model.one, model.two))


def test_limit_epsilon_zero_has_no_corruption_to_show():
    found = resistant_gradients(network(), batch(), Budget(0.0), generator=seeded())
    assert len(found.corruptions) == 0
    assert torch.equal(found.gradient, found.clean)


def test_limit_float32_and_one_example():
    model, data = network(dtype=torch.float32), batch(1, dtype=torch.float32)
    found = gradients(model, resistant_step(Budget(0.1))(model, data, seeded()))
    assert found.dtype == torch.float32
    assert found.isfinite().all()


def test_claim_resistant_training_resists(generator):
    """One seeded example: after training with the budget, the closed form of that budget does less harm."""
    data, test = digits("train"), digits("test")
    budget, harm = Budget(1.0), []
    for step in (cross_entropy, resistant_step(Budget(0.5))):
        model = network(3)
        fit(model, data, step=step, generator=seeded(), epochs=15)
        theta = flatten(model)
        a = closed_form(gradient_at(model, test), budget).vector
        harm.append(float(loss_at(model, test, theta + a) - loss_at(model, test, theta)))
    assert harm[1] < harm[0]


def test_error_bad_settings_say_what_to_do():
    with pytest.raises(ParameterError, match=r"share and must be in \[0, 1\]"):
        resistant_step(Budget(0.1), alpha=1.5)
    with pytest.raises(ParameterError, match=r"\[0, 1\], got nan"):
        resistant_step(Budget(0.1), alpha=math.nan)
    with pytest.raises(ParameterError, match=">= 1, got 0"):
        resistant_step(Budget(0.1), steps=0)
    with pytest.raises(ParameterError, match="is empty"):
        resistant_step(Budget(0.1), group="nowhere")(network(), batch(), seeded())


def test_error_not_finite_loss_is_left_to_the_training_loop():
    model, data = network(), batch()
    with torch.no_grad():
        model.layers[0].weight[0, 0] = torch.nan
    assert resistant_step(Budget(0.1))(model, data, seeded()).isnan()
    with pytest.raises(ParameterError, match="learning rate"):
        fit_resistant(model, data, Budget(0.1), generator=seeded(), epochs=1)


def test_error_not_finite_gradient_of_a_finite_loss_is_named():
    def rooted(model, data, generator):
        return (0 * model(data.x).sum()).sqrt() + 1

    with pytest.raises(ParameterError, match="must be finite"):
        resistant_step(Budget(0.1), base=rooted)(network(), batch(), seeded())


def test_error_a_batch_that_does_not_fit_leaves_the_model():
    model = network()
    theta = flatten(model)
    with pytest.raises(ParameterError):
        resistant_step(Budget(0.1))(model, Split(torch.zeros(3, 5, dtype=torch.float64), torch.zeros(3)), seeded())
    assert torch.equal(flatten(model), theta)
