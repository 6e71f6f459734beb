"""What all networks have in common."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from weightlore.errors import ParameterError
from weightlore.networks import Layered, cnn, mlp, recurrent, resnet20, sequence, vgg11, vgg15
from weightlore.networks.layered import built, redraw
from weightlore.parameters import call, flatten, layout
from weightlore.stacked.recording import record

SMALL = {"vocabulary": 12, "embedding": 4, "hidden": 5, "classes": 3}
NETWORKS = {
    "mlp": lambda g: mlp((6, 5, 4, 3), generator=g),
    "mlp biasless": lambda g: mlp((6, 5, 3), bias=False, generator=g),
    "mlp linear": lambda g: mlp((6, 3), generator=g, dtype=torch.float32),
    "mlp normalized": lambda g: mlp((6, 5, 4, 3), normalize=True, generator=g),
    "cnn": lambda g: cnn((3, 4), image=(2, 9, 8), hidden=5, classes=3, generator=g),
    "vgg11": lambda g: vgg11(width=2, classes=3, generator=g),
    "vgg15": lambda g: vgg15(width=1, classes=3, channels=1, generator=g),
    "resnet20": lambda g: resnet20(width=2, classes=3, generator=g),
    "rnn": lambda g: recurrent("rnn", **SMALL, generator=g),
    "gru": lambda g: recurrent("gru", **SMALL, layers=2, normalize=True, generator=g),
    "lstm": lambda g: recurrent("lstm", **SMALL, layers=2, bidirectional=True, generator=g, dtype=torch.float64),
    "sequence": lambda g: sequence("gru", inputs=6, hidden=5, classes=3, generator=g),
}
SHAPES = {"sequence": (4, 6), "cnn": (2, 9, 8), "vgg11": (3, 32, 32), "vgg15": (1, 32, 32), "resnet20": (3, 16, 16)}
RECURRENT = ("rnn", "gru", "lstm")
NAMES = sorted(NETWORKS)
IN_A_CHAIN = [name for name in NAMES if name not in (*RECURRENT, "sequence")]


def made(name, seed=0):
    model = NETWORKS[name](torch.Generator().manual_seed(seed)).eval()
    g = torch.Generator().manual_seed(1)
    if name in RECURRENT:
        return model, torch.randint(12, (7, 6), generator=g)
    return model, torch.rand((7, *SHAPES.get(name, (6,))), generator=g, dtype=next(model.parameters()).dtype)


@pytest.mark.parametrize("name", NAMES)
def test_property_composing_the_layers_is_the_network(name):
    model, x = made(name)
    assert isinstance(model, Layered)
    h, outputs = x, []
    for l in range(model.num_layers):  # noqa: E741
        h = model.phi(l)(model.pre(l, h))
        outputs.append(h)
    assert torch.equal(model.head(h), model(x))
    assert model(x).shape == (7, 3)
    activations = model.activations(x)
    assert len(activations) == model.num_layers
    assert all(torch.equal(one, other) for one, other in zip(activations, outputs, strict=True))


@pytest.mark.parametrize("name", IN_A_CHAIN)
def test_property_non_linearities_keep_the_shape_and_add_to_affine_maps(name):
    model, x = made(name)
    for l, after in enumerate(model.activations(x)):  # noqa: E741
        a = model.pre(l, x)
        assert a.shape == after.shape
        assert torch.equal(model.phi(l)(a), a.clamp(min=0))
        x = after


@pytest.mark.parametrize("name", ["mlp", "mlp biasless", "cnn", "vgg11", "vgg15"])
def test_property_pre_is_affine(name):
    model, x = made(name)
    for l, after in enumerate(model.activations(x)):  # noqa: E741
        one, other = x, x.flip(0)
        middle = model.pre(l, 0.25 * one + 0.75 * other)
        torch.testing.assert_close(middle, 0.25 * model.pre(l, one) + 0.75 * model.pre(l, other), rtol=1e-4, atol=1e-5)
        x = after


@pytest.mark.parametrize("name", NAMES)
def test_property_parameters_come_from_the_generator_alone(name):
    before = torch.get_rng_state()
    one, other, third = made(name)[0], made(name)[0], made(name, seed=1)[0]
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(flatten(one), flatten(other))
    assert not torch.equal(flatten(one), flatten(third))
    assert torch.isfinite(flatten(one)).all()


@pytest.mark.parametrize("name", NAMES)
def test_property_a_copy_at_the_same_theta_gives_the_same_logits_and_gradients_reach_every_parameter(name):
    model, x = made(name)
    theta = flatten(model).requires_grad_()
    out = call(model, theta, x)
    assert torch.equal(out, model(x))
    pieces = layout(model).split(torch.autograd.grad((out * torch.randn_like(out)).sum(), theta)[0])
    assert not [piece for piece, gradient in pieces.items() if not gradient.abs().max() > 0]


@pytest.mark.parametrize("name", NAMES)
def test_property_vmap_over_thetas_is_the_loop(name):
    model, x = made(name)
    thetas = torch.stack([flatten(model), 1.01 * flatten(model)])
    many = torch.func.vmap(lambda theta: call(model, theta, x))(thetas)
    torch.testing.assert_close(many[1], call(model, thetas[1], x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", IN_A_CHAIN)
def test_property_many_copies_can_be_run_at_once(name):
    model, x = made(name)
    assert record(model, dict(model.named_parameters()), x) is not None


@pytest.mark.parametrize("name", NAMES)
def test_limit_one_example_is_one_row_of_many(name):
    model, x = made(name)
    torch.testing.assert_close(model(x[2:3]), model(x)[2:3], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_property_no_max_pooling_and_no_in_place_non_linearity(name):
    modules = list(made(name)[0].modules())
    assert not [module for module in modules if isinstance(module, nn.MaxPool2d)]
    assert not [module for module in modules if getattr(module, "inplace", False)]


def test_property_initial_spread_counts_inputs_or_outputs_and_the_readout_is_smaller(generator):
    model = mlp((400, 500, 300), generator=generator)
    assert model.layers[0].weight.detach().std().item() == pytest.approx((2 / 400) ** 0.5, rel=0.01)
    assert model.readout.weight.detach().std().item() == pytest.approx((1 / 500) ** 0.5, rel=0.01)
    assert not model.readout.bias.any()
    make = lambda: nn.Sequential(nn.Conv2d(30, 60, 3), nn.Linear(200, 300))  # noqa: E731
    model = built(make, generator=generator, dtype=torch.float64, fan="out", linear_spread=0.01)
    assert model[0].weight.detach().std().item() == pytest.approx((2 / (60 * 9)) ** 0.5, rel=0.02)
    assert model[1].weight.detach().std().item() == pytest.approx(0.01, rel=0.02)


def test_property_networks_remember_the_law_of_their_parameters():
    model, _ = made("vgg15")
    copy, g = deepcopy(model), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in copy.parameters():
            p.fill_(7.0)
    assert all(redraw(module, generator=g) == isinstance(module, nn.Linear | nn.Conv2d) for module in copy.modules())
    assert torch.equal(flatten(copy), flatten(model)), "the same generator draws what it drew when the network was made"


def test_limit_a_module_of_another_maker_is_not_redrawn():
    layer = nn.Linear(3, 2)
    before = flatten(layer)
    assert not redraw(layer, generator=torch.Generator())
    assert torch.equal(flatten(layer), before)


def test_limit_padding_stays_zero_when_it_is_redrawn():
    embedding = made("gru")[0].embedding
    assert redraw(embedding, generator=torch.Generator().manual_seed(3))
    assert not embedding.weight[0].any()
    assert embedding.weight[1:].all()


def test_error_integer_dtype(generator):
    with pytest.raises(ParameterError, match="floating, for example float64"):
        mlp(generator=generator, dtype=torch.int64)


@pytest.mark.parametrize("x", [torch.zeros(64), torch.zeros(3, 63), torch.zeros(3, 1, 8, 9), torch.zeros(())])
@pytest.mark.parametrize("build", [mlp, cnn])
def test_error_input_of_another_shape_says_which_is_read(build, x, generator):
    with pytest.raises(ParameterError, match=r"batches of shape \(N, .*goes in as x\[None\]"):
        build(generator=generator)(x.double())
