"""Loss and accuracy at many thetas: against deep copies, for any group and block size, within memory."""

import copy
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from weightlore.data.split import Split
from weightlore.errors import ParameterError
from weightlore.parameters import call, flatten, layout
from weightlore.stacked import evaluate_thetas, evaluation


def mlp(dtype=torch.float64):
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(12, 9), nn.ReLU(), nn.Linear(9, 7), nn.ReLU(), nn.Linear(7, 4)).to(dtype)


def cnn(dtype=torch.float64):
    torch.manual_seed(3)
    head = nn.Sequential(nn.Flatten(), nn.Linear(6 * 2 * 2, 4))
    first = nn.Sequential(nn.Conv2d(1, 5, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
    return nn.Sequential(first, nn.Conv2d(5, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.AvgPool2d(2), head).to(
        dtype
    )


class Gated(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn, self.head = nn.LSTM(4, 5, batch_first=True), nn.Linear(5, 4)

    def forward(self, x):
        return self.head(self.rnn(x.view(len(x), 3, 4))[0][:, -1])


def recurrent(dtype=torch.float64):
    torch.manual_seed(3)
    return Gated().to(dtype)


NETWORKS = {"mlp": (mlp, (12,)), "cnn": (cnn, (1, 8, 8)), "recurrent": (recurrent, (12,))}


MEMORY = """
import resource, torch
from torch import nn
from weightlore.data.split import Split
from weightlore.parameters import flatten
from weightlore.stacked import evaluate_thetas

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

torch.set_num_threads(1)
model = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(3136, 4))
data = Split(torch.rand(1200, 1, 28, 28), torch.randint(4, (1200,)))
thetas = flatten(model).expand(20, -1)
evaluate_thetas(model, thetas[:1], data[:1])
before = peak()
evaluate_thetas(model, thetas, data)
print(peak() - before)
"""


def examples(shape, count, generator, dtype=torch.float64):
    x = torch.randn(count, *shape, generator=generator, dtype=dtype)
    return Split(x, torch.randint(4, (count,), generator=generator))


def corrupted(model, copies, generator, group=None):
    theta = flatten(model, group)
    return theta + 0.3 * torch.randn(copies, len(theta), generator=generator, dtype=theta.dtype)


def deep_copies(model, thetas, data, group=None, loss=F.cross_entropy):
    """What one would write: copy the network, write theta into it, evaluate all examples at once."""
    losses, accuracies = [], []
    for theta in thetas:
        twin = copy.deepcopy(model).eval()
        with torch.no_grad():
            for name, part in layout(twin, group).split(theta).items():
                twin.get_parameter(name).copy_(part)
            out = twin(data.x)
        losses.append(loss(out, data.y).double())
        accuracies.append((out.argmax(1) == data.y).double().mean())
    return torch.stack(losses), torch.stack(accuracies)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("group", [None, "weight", "bias"])
def test_oracle_equals_deep_copies(name, group, generator):
    build, shape = NETWORKS[name]
    model, data = build(), examples(shape, 37, generator)
    thetas = corrupted(model, 11, generator, group)
    found, (loss, accuracy) = evaluate_thetas(model, thetas, data, group=group), deep_copies(model, thetas, data, group)
    torch.testing.assert_close(found.loss, loss, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(found.accuracy, accuracy, rtol=0, atol=1e-12)
    assert len(found) == 11


@pytest.mark.parametrize("name", NETWORKS)
def test_oracle_float32_equals_deep_copies_within_its_precision(name, generator):
    build, shape = NETWORKS[name]
    model, data = build(torch.float32), examples(shape, 37, generator, torch.float32)
    thetas = corrupted(model, 5, generator)
    torch.testing.assert_close(
        evaluate_thetas(model, thetas, data).loss, deep_copies(model, thetas, data)[0], rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("layer", ["0", "1", "2", "5.1"])
def test_oracle_one_layer_of_a_cnn(layer, generator):
    model, data = cnn(), examples((1, 8, 8), 23, generator)
    thetas = corrupted(model, 4, generator, layer)
    found, (loss, accuracy) = evaluate_thetas(model, thetas, data, group=layer), deep_copies(model, thetas, data, layer)
    torch.testing.assert_close(found.loss, loss, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(found.accuracy, accuracy, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["mlp", "cnn"])
@pytest.mark.parametrize("cache", [1, 2000, 20_000, 10**6])
def test_property_block_size_changes_nothing_but_last_bits(name, cache, generator, monkeypatch):
    build, shape = NETWORKS[name]
    model, data = build(), examples(shape, 150, generator)
    thetas = corrupted(model, 7, generator, "weight")
    whole = evaluate_thetas(model, thetas, data, group="weight")
    monkeypatch.setattr(evaluation, "CACHE", cache)
    monkeypatch.setattr(evaluation, "LARGEST", 50 * cache)
    monkeypatch.setattr(evaluation, "ALONE", 10)
    blocks = evaluate_thetas(model, thetas, data, group="weight")
    torch.testing.assert_close(blocks.loss, whole.loss, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(blocks.accuracy, whole.accuracy, rtol=0, atol=1e-14)


class Watched(nn.Module):
    """A network that is run copy by copy, and remembers how many examples it was given."""

    def __init__(self):
        super().__init__()
        self.inner, self.seen = nn.Linear(5, 3).double(), []

    def forward(self, x):
        self.seen.append(len(x))
        return self.inner(x.sort(1).values)


def test_property_a_copy_alone_gets_few_examples_at_a_time_and_is_scored_on_many(generator, monkeypatch):
    model, data = Watched(), examples((5,), 150, generator)
    data = Split(data.x, data.y % 3)
    thetas, scored = corrupted(model, 2, generator, None), []

    def loss(outputs, y):
        scored.append(len(y))
        return F.cross_entropy(outputs, y)

    whole = evaluate_thetas(model, thetas, data, loss=loss)
    assert max(model.seen) <= evaluation.AT_ONCE
    assert scored == [128, 22] * 2
    monkeypatch.setattr(evaluation, "AT_ONCE", 7)
    model.seen.clear()
    pieces = evaluate_thetas(model, thetas, data, loss=loss)
    assert max(model.seen) <= 7
    torch.testing.assert_close(pieces.loss, whole.loss, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(pieces.accuracy, whole.accuracy, rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("group", "dtype", "alone"), [(None, torch.float32, 3), ("6", torch.float32, 0), (None, torch.float64, 0)]
)
def test_property_wide_float32_convolutions_run_one_by_one_unless_shared(group, dtype, alone, generator, monkeypatch):
    torch.manual_seed(3)
    wide = nn.Conv2d(2, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3), nn.ReLU(), nn.AvgPool2d(6), nn.Flatten()
    model, data = nn.Sequential(*wide, nn.Linear(16, 4)).to(dtype), examples((2, 8, 8), 9, generator, dtype)
    thetas, seen, score = corrupted(model, 3, generator, group), [], evaluation._score
    monkeypatch.setattr(evaluation, "_score", lambda *given: seen.append(None) or score(*given))
    found = evaluate_thetas(model, thetas, data, group=group)
    torch.testing.assert_close(found.loss, deep_copies(model, thetas, data, group)[0], rtol=1e-4, atol=1e-5)
    assert len(seen) == alone


def test_property_blocks_of_thetas_are_evaluated_in_order(generator):
    model, data = mlp(), examples((12,), 30, generator)
    thetas = corrupted(model, 9, generator)
    whole, parts = evaluate_thetas(model, thetas, data), evaluate_thetas(model, iter(thetas.split(4)), data)
    torch.testing.assert_close(parts.loss, whole.loss, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", NETWORKS)
def test_property_model_mode_and_random_state_are_left(name, generator):
    build, shape = NETWORKS[name]
    model, data = build(), examples(shape, 20, generator)
    model.train()
    next(iter(model.children())).eval()
    modes, state = [m.training for m in model.modules()], copy.deepcopy(model.state_dict())
    random_state = torch.get_rng_state()
    evaluate_thetas(model, corrupted(model, 3, generator), data)
    assert [m.training for m in model.modules()] == modes
    assert all(torch.equal(state[key], value) for key, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    assert torch.equal(torch.get_rng_state(), random_state)


def test_property_mode_is_left_after_an_exception(generator):
    model, data = mlp().train(), examples((12,), 20, generator)
    with pytest.raises(ZeroDivisionError):
        evaluate_thetas(model, corrupted(model, 3, generator), data, loss=lambda out, y: 1 / 0)
    assert model.training


def test_property_evaluates_in_evaluation_mode(generator):
    model = nn.Sequential(nn.Linear(12, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 4)).double().train()
    data, thetas = examples((12,), 20, generator), flatten(model).unsqueeze(0)
    torch.testing.assert_close(evaluate_thetas(model, thetas, data).loss, deep_copies(model, thetas, data)[0])


def test_oracle_other_losses_and_targets(generator):
    model, thetas = mlp(), corrupted(mlp(), 3, generator)
    data = examples((12,), 20, generator)
    margin = deep_copies(model, thetas, data, loss=F.multi_margin_loss)[0]
    torch.testing.assert_close(evaluate_thetas(model, thetas, data, loss=F.multi_margin_loss).loss, margin)
    numbers = Split(data.x, torch.randn(20, 4, generator=generator, dtype=torch.float64))
    squares = evaluate_thetas(model, thetas, numbers, loss=F.mse_loss)
    outputs = torch.stack([call(model, theta, data.x) for theta in thetas])
    torch.testing.assert_close(squares.loss, (outputs - numbers.y).square().mean((1, 2)))
    assert squares.accuracy.isnan().all()


def test_limit_infinite_and_nan_thetas(generator):
    model, data = mlp(), examples((12,), 20, generator)
    thetas = corrupted(model, 4, generator)
    thetas[1, 5], thetas[2, -1] = torch.nan, torch.inf
    found = evaluate_thetas(model, thetas, data)
    assert found.loss.isfinite().tolist() == [True, False, False, True]


def test_limit_huge_outputs_do_not_overflow(generator):
    model, data = mlp(), examples((12,), 20, generator)
    thetas = 1e60 * corrupted(model, 3, generator)
    torch.testing.assert_close(evaluate_thetas(model, thetas, data).loss, deep_copies(model, thetas, data)[0])


def test_limit_one_example_one_copy_no_copy(generator):
    model, data = mlp(), examples((12,), 1, generator)
    thetas = corrupted(model, 1, generator)
    torch.testing.assert_close(evaluate_thetas(model, thetas, data).loss, deep_copies(model, thetas, data)[0])
    assert len(evaluate_thetas(model, thetas[:0], data)) == 0
    assert len(evaluate_thetas(model, [], data)) == 0


def test_limit_memory_stays_bounded():
    """Twenty copies whose values would take 60 MB each add less than 100 MB to the peak of a process of their own."""
    done = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 100


def test_error_no_data_and_wrong_targets_say_what_to_do(generator):
    model, data = mlp(), examples((12,), 20, generator)
    thetas = corrupted(model, 3, generator)
    with pytest.raises(ParameterError, match="0 rows"):
        evaluate_thetas(model, thetas, data[:0])
    with pytest.raises(ParameterError, match="class numbers from 0 to 3"):
        evaluate_thetas(model, thetas, Split(data.x, data.y + 1))
    with pytest.raises(ParameterError, match="class numbers from 0 to 3"):
        evaluate_thetas(model, thetas, Split(data.x, data.y - 1))
    with pytest.raises(ParameterError, match=r"data\.to"):
        evaluate_thetas(model, thetas, data.to(dtype=torch.float32))
