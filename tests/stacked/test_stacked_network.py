"""Many copies as one: against the model's own code, copy by copy, understood or not."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from weightlore.errors import ParameterError
from weightlore.parameters import call, flatten
from weightlore.stacked import StackedNetwork, call_stacked


class Residual(nn.Module):
    """Convolutions, batch normalization and a shortcut, written with functions and methods."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 4, 3, stride=1, padding=1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(4), nn.BatchNorm2d(4, affine=False)])
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        h = F.relu(self.norms[0](self.first(x)))
        h = h + torch.relu(self.norms[1](self.second(h)))
        h = (h * 0.5 - h.sigmoid()).mean((2, 3))
        return self.head(h.view(len(h), -1))


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(6, 6), nn.Linear(6, 6)
        self.b.weight = self.a.weight

    def forward(self, x):
        return self.b(torch.tanh(self.a(x)))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn, self.head = nn.GRU(3, 5, batch_first=True), nn.Linear(5, 2)

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1])


class BranchesOnValues(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 3)

    def forward(self, x):
        h = self.layer(x)
        return h if h.sum() > 0 else -h


class CountsExamples(nn.Module):
    """Depends on the size of the batch, through a number that a record would freeze."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 3)

    def forward(self, x):
        return self.layer(x) * (1.0 / len(x))


class MaskedWeight(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 3)
        self.register_buffer("mask", torch.ones(3, 6).tril())

    def forward(self, x):
        return F.linear(x, self.layer.weight * self.mask, self.layer.bias)


def sequential(*layers):
    return lambda: nn.Sequential(*[layer() if isinstance(layer, type) else copy.deepcopy(layer) for layer in layers])


FLAT, PICTURE = (7, 6), (7, 2, 6, 8)
UNDERSTOOD = {
    "linear": (sequential(nn.Linear(6, 3)), FLAT),
    "mlp": (sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4, bias=False), nn.Tanh(), nn.Linear(4, 3)), FLAT),
    "in place": (sequential(nn.Linear(6, 5), nn.ReLU(inplace=True), nn.Linear(5, 3)), FLAT),
    "in place on the input": (sequential(nn.ReLU(inplace=True), nn.Linear(6, 3)), FLAT),
    "activations": (
        sequential(
            nn.Linear(6, 6),
            nn.GELU("tanh"),
            nn.Softplus(beta=2.0),
            nn.SiLU(),
            nn.LeakyReLU(0.3),
            nn.ELU(0.5),
            nn.Sigmoid(),
        ),
        FLAT,
    ),
    "norms": (sequential(nn.Linear(6, 5), nn.LayerNorm(5), nn.BatchNorm1d(5), nn.Dropout(0.5), nn.Linear(5, 3)), FLAT),
    "cnn": (
        sequential(
            nn.Conv2d(2, 3, 3, padding=1),
            nn.ReLU(),
            nn.AvgPool2d(2),
            nn.Conv2d(3, 4, (2, 3), stride=(1, 2)),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(8, 3),
        ),
        PICTURE,
    ),
    "max pool": (
        sequential(
            nn.Conv2d(2, 3, 1), nn.MaxPool2d(3, stride=2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 3)
        ),
        PICTURE,
    ),
    "unflatten": (
        sequential(nn.Unflatten(1, (1, 2, 3)), nn.Conv2d(1, 2, 2, bias=False), nn.Flatten(), nn.Linear(4, 3)),
        FLAT,
    ),
    "residual": (Residual, PICTURE),
    "tied": (Tied, FLAT),
}
LOOPED = {
    "recurrent": (Recurrent, (7, 4, 3)),
    "branch": (BranchesOnValues, FLAT),
    "counts": (CountsExamples, FLAT),
    "masked weight": (MaskedWeight, FLAT),
    "grouped": (sequential(nn.Conv2d(2, 4, 3, groups=2), nn.Flatten(), nn.Linear(96, 3)), PICTURE),
    "dilated": (sequential(nn.Conv2d(2, 4, 3, dilation=2), nn.Flatten(), nn.Linear(32, 3)), PICTURE),
    "reflecting": (
        sequential(nn.Conv2d(2, 4, 3, padding=1, padding_mode="reflect"), nn.Flatten(), nn.Linear(192, 3)),
        PICTURE,
    ),
    "same": (sequential(nn.Conv2d(2, 4, 3, padding="same"), nn.Flatten(), nn.Linear(192, 3)), PICTURE),
    "padded pool": (sequential(nn.MaxPool2d(2, padding=1), nn.Flatten(), nn.Linear(40, 3)), PICTURE),
    "softmax": (sequential(nn.Linear(6, 3), nn.Softmax(dim=-1)), FLAT),
}


def made(table, name, generator, dtype=torch.float64):
    """A network in evaluation mode with running statistics of its own, three thetas, and inputs."""
    build, shape = table[name]
    torch.manual_seed(7)
    model = build().to(dtype)
    for buffer_name, buffer in model.named_buffers():
        if "running" in buffer_name:
            buffer.copy_(0.5 + torch.rand(buffer.shape, generator=generator))
    x = torch.randn(shape, generator=generator, dtype=dtype)
    thetas = flatten(model) + torch.randn(3, flatten(model).numel(), generator=generator, dtype=dtype)
    return model.eval(), thetas, x


def one_by_one(model, thetas, x, group=None):
    return torch.stack([call(model, theta, x, group) for theta in thetas])


@pytest.mark.parametrize("name", UNDERSTOOD)
def test_oracle_understood_networks_run_as_one_and_equal_their_copies(name, generator):
    model, thetas, x = made(UNDERSTOOD, name, generator)
    network = StackedNetwork(model, x)
    assert network.understood(thetas, x) is not None
    torch.testing.assert_close(network(thetas, x), one_by_one(model, thetas, x), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", UNDERSTOOD)
def test_oracle_float32(name, generator):
    model, thetas, x = made(UNDERSTOOD, name, generator, torch.float32)
    found = call_stacked(model, thetas, x)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, one_by_one(model, thetas, x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", LOOPED)
def test_oracle_other_networks_run_one_by_one_and_equal_their_copies(name, generator):
    model, thetas, x = made(LOOPED, name, generator)
    network = StackedNetwork(model, x)
    assert network.understood(thetas, x) is None
    torch.testing.assert_close(network(thetas, x), one_by_one(model, thetas, x), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("group", ["weight", "bias", "norm", "first", "head", lambda name, p: p.ndim == 1])
def test_oracle_groups_share_the_rest(group, generator):
    model, _, x = made(UNDERSTOOD, "residual", generator)
    theta = flatten(model, group)
    thetas = theta + torch.randn(4, len(theta), generator=generator, dtype=x.dtype)
    network = StackedNetwork(model, x, group=group)
    assert network.understood(thetas, x) is not None
    torch.testing.assert_close(network(thetas, x), one_by_one(model, thetas, x, group), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["mlp", "cnn", "residual", "norms"])
def test_oracle_gradient_is_that_of_the_copies(name, generator):
    model, thetas, x = made(UNDERSTOOD, name, generator)
    mine, theirs = thetas.clone().requires_grad_(), thetas.clone().requires_grad_()
    call_stacked(model, mine, x).square().sum().backward()
    one_by_one(model, theirs, x).square().sum().backward()
    torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-9, atol=1e-9)


def test_oracle_training_mode_is_kept_and_not_understood(generator):
    model, thetas, x = made(UNDERSTOOD, "norms", generator)
    model.train()
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    network = StackedNetwork(model, x)
    assert network.understood(thetas, x) is None
    network(thetas, x)
    assert model.training
    assert all(torch.equal(before[name], buffer) for name, buffer in model.named_buffers())


def test_property_global_random_state_is_left(generator):
    model = nn.Sequential(nn.Linear(6, 4), nn.Dropout(0.5)).train()
    state = torch.get_rng_state()
    call_stacked(model, flatten(model).expand(3, -1), torch.ones(5, 6))
    assert torch.equal(torch.get_rng_state(), state)


def test_property_hooks_count(generator):
    model, thetas, x = made(UNDERSTOOD, "mlp", generator)
    model[0].register_forward_hook(lambda module, args, output: 2 * output)
    torch.testing.assert_close(call_stacked(model, thetas, x), one_by_one(model, thetas, x), rtol=1e-10, atol=1e-12)


def test_property_model_is_left_bit_for_bit(generator):
    model, thetas, x = made(UNDERSTOOD, "residual", generator)
    state, inputs = copy.deepcopy(model.state_dict()), x.clone()
    call_stacked(model, thetas, x)
    assert all(torch.equal(state[name], tensor) for name, tensor in model.state_dict().items())
    assert torch.equal(inputs, x)


def test_property_a_layer_registered_twice_and_tied_weights_are_left_whole(generator):
    first, second = nn.Linear(4, 4, bias=False).double(), nn.Linear(4, 4).double()
    second.weight = first.weight
    model = nn.Sequential(first, nn.Tanh(), second, nn.ReLU(), second)
    kept = list(model.named_parameters(remove_duplicate=False))
    thetas = torch.stack([flatten(model), flatten(model) + 0.1])
    x = torch.rand(5, 4, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(call_stacked(model, thetas, x), one_by_one(model, thetas, x))
    now = list(model.named_parameters(remove_duplicate=False))
    assert [name for name, _ in now] == [name for name, _ in kept]
    assert all(one is other for (_, one), (_, other) in zip(now, kept, strict=True))


def test_property_exception_in_the_model_passes_and_leaves_it(generator):
    model, thetas, x = made(UNDERSTOOD, "mlp", generator)
    theta = flatten(model)
    with pytest.raises(RuntimeError):
        call_stacked(model, thetas, x[:, :4])
    assert torch.equal(flatten(model), theta)


def test_limit_one_copy_and_one_example(generator):
    model, thetas, x = made(UNDERSTOOD, "cnn", generator)
    torch.testing.assert_close(call_stacked(model, thetas[:1], x[:1]), one_by_one(model, thetas[:1], x[:1]))


def test_limit_unused_group_gives_equal_copies():
    model = nn.Sequential(nn.Linear(4, 2))
    model.register_parameter("unused", nn.Parameter(torch.zeros(3)))
    x = torch.randn(5, 4)
    found = call_stacked(model, torch.randn(3, 3), x, group="unused")
    torch.testing.assert_close(found, model(x).expand(3, -1, -1))


def test_limit_not_finite_thetas_give_not_finite_outputs(generator):
    model, thetas, x = made(UNDERSTOOD, "mlp", generator)
    thetas[1, 0] = torch.nan
    found = call_stacked(model, thetas, x)
    assert found[1].isnan().any()
    torch.testing.assert_close(found[[0, 2]], one_by_one(model, thetas[[0, 2]], x))


def test_error_shapes_and_dtypes_say_what_is_expected(generator):
    model, thetas, x = made(UNDERSTOOD, "mlp", generator)
    for wrong in (thetas[0], thetas[:0]):
        with pytest.raises(ParameterError, match=r"shape \(S >= 1, P="):
            call_stacked(model, wrong, x)
    with pytest.raises(ParameterError, match="same group"):
        call_stacked(model, thetas[:, :-1], x)
    with pytest.raises(ParameterError, match=r"torch\.float64"):
        call_stacked(model, thetas.float(), x)
    with pytest.raises(ParameterError, match=r"data\.to"):
        call_stacked(model, thetas, x.float())
    with pytest.raises(ParameterError, match="at least one example"):
        call_stacked(model, thetas, x[:0])
    with pytest.raises(ParameterError, match="empty"):
        call_stacked(model, thetas, x, group="nowhere")
