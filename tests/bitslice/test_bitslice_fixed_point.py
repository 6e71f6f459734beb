"""The network in fixed point: layer by layer by hand, scales measured and frozen, what is given stays."""

import copy
import math

import pytest
import torch
from torch import nn

from weightlore.bitslice import FixedPoint, charged_step, prune, quantize, slice_l1, slice_l1_penalty
from weightlore.data import digits
from weightlore.errors import ParameterError
from weightlore.networks import cnn, mlp, recurrent, resnet20, vgg11
from weightlore.training import cross_entropy, evaluate


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def small():
    return mlp((64, 8, 10), generator=seeded())


def on_grid(w, exponent=None, bits=8):
    return quantize(w.detach(), bits, exponent).value


@pytest.mark.parametrize("activation_bits", [None, 8, 3])
def test_oracle_forward_is_the_layers_by_hand(activation_bits):
    net, x = small(), digits("train").x[:20]
    model = FixedPoint(net, bits=5, activation_bits=activation_bits, cell_bits=1).train()
    weights = {name: on_grid(p, bits=5) for name, p in net.named_parameters()}

    def rounded(h):
        return h if activation_bits is None else on_grid(h, bits=activation_bits)

    hidden = torch.relu(rounded(rounded(x) @ weights["layers.0.weight"].T + weights["layers.0.bias"]))
    expected = rounded(hidden @ weights["readout.weight"].T + weights["readout.bias"])
    torch.testing.assert_close(model(x), expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(model.eval()(x), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("overflow", ["saturate", "reference"])
def test_oracle_activations_end_where_the_parameters_do(overflow):
    net, x = small(), digits("train").x[:20]
    model = FixedPoint(net, overflow=overflow).train()
    seen = []
    model.model.layers[0].register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    model(x)
    white = x == 1
    assert white.any()
    assert seen[0][white].unique().tolist() == [1.0 if overflow == "reference" else 255 / 256]
    assert model.model.layers[0] is not net.layers[0]


def test_oracle_gradients_go_straight_through():
    net, batch = small(), digits("train")[:20]
    model = FixedPoint(net, activation_bits=None).train()
    cross_entropy(model, batch, seeded()).backward()
    for p in net.parameters():
        p.data = on_grid(p)
    cross_entropy(net, batch, seeded()).backward()
    for name, p in net.named_parameters():
        assert torch.equal(dict(model.model.named_parameters())[name].grad, p.grad)


@pytest.mark.parametrize(
    ("make", "x"),
    [
        (lambda: mlp(generator=seeded()), torch.rand(3, 64, dtype=torch.float64)),
        (lambda: cnn(generator=seeded()), torch.rand(3, 64, dtype=torch.float64)),
        (lambda: resnet20(width=2, generator=seeded()), torch.rand(3, 3, 32, 32)),
        (lambda: vgg11(width=2, generator=seeded()), torch.rand(3, 3, 32, 32)),
        (lambda: nn.Sequential(nn.Conv2d(1, 2, 3), nn.Tanh(), nn.Flatten(), nn.Linear(8, 3)), torch.rand(3, 1, 4, 4)),
    ],
)
def test_property_networks_train_and_what_they_hold_is_on_the_grid(make, x):
    net = make()
    model = FixedPoint(net).train()
    out = model(x)
    out.sum().backward()
    assert all(p.grad is not None for p in model.parameters())
    held = dict(model.plain().named_parameters())
    for name, found in model.codes().items():
        assert torch.equal(held[name], found.value)
        assert "norm" not in name
    assert list(held) == [name for name, _ in net.named_parameters()]
    normalized = [name for name in held if name not in model.codes()]
    assert all(torch.equal(held[name], dict(net.named_parameters())[name]) for name in normalized)
    assert len(normalized) == sum(2 for m in net.modules() if isinstance(m, nn.BatchNorm2d))


def test_property_scales_are_measured_in_training_and_frozen_at_evaluation():
    model, x = FixedPoint(small()), digits("train").x[:10]
    model.train()(x)
    frozen = model.exponents.clone(), model.entry.exponent.clone()
    model.eval()
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(8)
    model(64 * x)
    assert torch.equal(model.exponents, frozen[0])
    assert torch.equal(model.entry.exponent, frozen[1])
    assert all(q.code.abs().max() == 255 for q in model.codes().values() if q.code.any()), "what grew is clipped"
    model.train()(64 * x)
    assert torch.equal(model.exponents[0], frozen[0][0] + 3)
    assert model.entry.exponent == frozen[1] + 6


def test_property_the_state_travels_and_copies_are_apart():
    model, x = FixedPoint(small()), digits("train").x[:10]
    model.train()(x)
    slice_l1_penalty(1.0)(model)
    model(x)  # keeps its codes now
    other = FixedPoint(mlp((64, 8, 10), generator=seeded(9)))
    other.load_state_dict(model.state_dict())
    twin = copy.deepcopy(model)
    expected = model.eval()(x)
    assert torch.equal(other.eval()(x), expected)
    with torch.no_grad():
        next(model.parameters()).zero_()
    assert torch.equal(twin.eval()(x), expected)
    assert not torch.equal(model(x), expected)


def test_property_the_given_model_stays_and_tied_weights_stay_tied():
    net = small()
    before = copy.deepcopy(net.state_dict())
    FixedPoint(net).train()(digits("train").x[:4]).sum().backward()
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert all(p.grad is None for p in net.parameters())
    assert not any("Gridded" in type(m).__name__ for m in net.modules())
    tied = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    tied[2].weight = tied[0].weight
    model = FixedPoint(tied, activation_bits=None).train()
    h = torch.rand(2, 4)
    w = on_grid(tied[0].weight)
    expected = torch.relu(h @ w.T + on_grid(tied[0].bias)) @ w.T + on_grid(tied[2].bias)
    torch.testing.assert_close(model(h), expected)
    assert len(model.codes()) == 3


@pytest.mark.parametrize("kind", [nn.ReLU, nn.ELU, nn.SiLU])
def test_property_a_non_linearity_in_place_is_as_good_as_one_beside(kind):
    x, found = torch.rand(5, 3), []
    for inplace in (False, True):
        model = nn.Sequential(nn.Linear(3, 4), kind(inplace=inplace), nn.Linear(4, 2))
        model.load_state_dict({name: torch.ones_like(p) / 3 for name, p in model.state_dict().items()})
        network = FixedPoint(model).train()
        network(x).sum().backward()
        found.append([p.grad for p in network.model.parameters()])
        assert model[1].inplace is inplace
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_property_only_the_group_is_quantized():
    net, x = small(), digits("train").x[:4]
    model = FixedPoint(net, group="weight", activation_bits=None).train()
    assert list(model.codes()) == ["layers.0.weight", "readout.weight"]
    for name, p in net.named_parameters():
        p.data = on_grid(p) if name.endswith("weight") else p.data
    torch.testing.assert_close(model(x), net(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("overflow", ["saturate", "reference"])
def test_oracle_the_penalty_of_the_model_is_that_of_all_its_entries(overflow):
    model, batch = FixedPoint(small(), overflow=overflow), digits("train")[:16]
    with torch.no_grad():
        model.model.readout.weight[0, 0] = 1.0  # code 256
    size = sum(p.numel() for p in model.quantized().values())
    model.train()
    for _ in range(2):  # the second time with codes that the forward pass kept
        model.zero_grad()
        loss = charged_step(slice_l1_penalty(0.5))(model, batch, seeded())
        loss.backward()
        found = [p.grad.clone() for p in model.quantized().values()]
        model.zero_grad()
        expected = cross_entropy(model, batch, seeded())
        for p in model.quantized().values():
            expected = expected + slice_l1(p, 0.5, size=size, overflow=overflow)
        expected.backward()
        torch.testing.assert_close(loss, expected, rtol=1e-12, atol=0)
        for gradient, p in zip(found, model.quantized().values(), strict=True):
            torch.testing.assert_close(gradient, p.grad, rtol=1e-10, atol=1e-15)


def test_property_codes_that_were_kept_are_not_used_after_the_parameters_moved():
    model, penalty = FixedPoint(small()).train(), slice_l1_penalty(1.0)
    penalty(model)
    model(digits("train").x[:4])
    kept = penalty(model).item()
    prune(model, 0.1)
    assert penalty(model).item() < kept
    assert penalty(model).item() == pytest.approx(
        sum(slice_l1(p.detach(), size=610).item() for p in model.quantized().values()), rel=1e-12
    )


def test_error_evaluation_before_any_training_forward():
    with pytest.raises(ParameterError, match=r"never measured.*model\.train"):
        evaluate(FixedPoint(small()), digits("validation"))
    evaluate(FixedPoint(small(), activation_bits=None), digits("validation"))


def test_error_layers_without_fixed_point():
    with pytest.raises(ParameterError, match=r"GRU.*no fixed-point form"):
        FixedPoint(nn.Sequential(nn.Linear(3, 3), nn.GRU(3, 3)))
    with pytest.raises(ParameterError, match=r"use nn\.Linear, nn\.Conv2d"):
        FixedPoint(recurrent("lstm", vocabulary=9, embedding=4, hidden=3, classes=2, generator=seeded()))
    with pytest.raises(ParameterError, match="holds no parameter of"):
        FixedPoint(nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3)), group="norm")


def test_error_one_non_linearity_called_twice():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.relu = nn.Linear(3, 3), nn.ReLU()

        def forward(self, x):
            return self.relu(self.layer(self.relu(x)))

    with pytest.raises(ParameterError, match="give each place of the model a module of its own"):
        FixedPoint(Twice()).train()(torch.rand(2, 3))
    assert FixedPoint(Twice(), activation_bits=None).train()(torch.rand(2, 3)).shape == (2, 3)


def test_error_a_broken_parameter_and_bits():
    model = FixedPoint(small()).train()
    with torch.no_grad():
        next(model.parameters())[0, 0] = math.nan
    with pytest.raises(ParameterError, match="must be finite"):
        model(digits("train").x[:2])
    with pytest.raises(ParameterError, match="must divide the 8 bits"):
        FixedPoint(small(), cell_bits=3)
    with pytest.raises(ParameterError, match="from 1 to 16, got 0"):
        FixedPoint(small(), activation_bits=0)
    with pytest.raises(ParameterError, match=r"'saturate' .* or 'reference'"):
        FixedPoint(small(), overflow="wrap")
