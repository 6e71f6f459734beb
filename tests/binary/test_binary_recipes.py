"""The paper's set-ups: the numbers, one process by hand, resuming, converting, and bad data."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from weightlore.binary.latent import BinaryTraining
from weightlore.binary.recipe_runs import convert_recipe, recipe_accuracy, spiking_accuracy, train_recipe
from weightlore.binary.recipes import paper_recipe
from weightlore.binary.rules import ScaledSign
from weightlore.binary.sharing import Processes, together
from weightlore.data import Split, image_folder
from weightlore.data.crops import shifted
from weightlore.errors import MissingExtra, ParameterError
from weightlore.networks import cnn
from weightlore.parameters import layout
from weightlore.training.run import Diverged

MEAN, SPREAD = (torch.tensor(one, dtype=torch.float64) for one in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def images(count=48, classes=3):
    """Red, green and blue, in noise."""
    y = torch.arange(count) % classes
    x = 0.5 * torch.rand(count, 3, 12, 12, generator=seeded(5), dtype=torch.float64)
    x[torch.arange(count), y] += 0.4
    return Split(x, y)


def small(binary, **options):
    recipe = paper_recipe("cifar100", binary=binary)
    return replace(recipe, classes=3, size=12, batch_size=16, epochs=3, normalization_images=20, **options)


def network(seed=0):
    return cnn((4, 5), image=(3, 12, 12), hidden=8, classes=3, generator=seeded(seed))


def state(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_oracle_the_four_set_ups():
    full, bits = paper_recipe("cifar100", binary=False), paper_recipe("cifar100", binary=True)
    assert [(r.classes, r.size, r.batch_size, r.epochs) for r in (full, bits)] == [(100, 32, 256, 200)] * 2
    fading = full.fading()
    tuner = fading.optimizer([nn.Parameter(torch.zeros(1))])
    assert isinstance(tuner, torch.optim.SGD)
    assert tuner.defaults["momentum"] == 0.9
    rates = {epoch: 0.05 * fading.schedule(epoch, 200) for epoch in (0, 80, 81, 121, 122, 199)}
    assert list(rates.values()) == pytest.approx([0.05, 0.05, 5e-3, 5e-3, 5e-4, 5e-4])
    assert tuner.param_groups[0]["weight_decay"] == 1e-4
    fading = bits.fading()
    tuner = fading.optimizer([nn.Parameter(torch.zeros(1))])
    assert isinstance(tuner, torch.optim.Adam)
    assert not isinstance(tuner, torch.optim.AdamW)
    assert tuner.defaults["betas"] == (0.9, 0.999)
    seen = []
    for epoch in (0, 29, 30, 60):
        seen.append((5e-4 * fading.schedule(epoch, 200), tuner.param_groups[0]["weight_decay"]))
    assert seen == [(5e-4, 5e-4), (5e-4, 5e-4), (2.5e-4, 0), (1.25e-4, 0)]
    assert bits.rule() == ScaledSign()
    full, bits = paper_recipe("imagenet", binary=False), paper_recipe("imagenet", binary=True)
    assert [(r.classes, r.size, r.batch_size, r.epochs) for r in (full, bits)] == [(1000, 224, 128, 100)] * 2
    assert [full.fading().factor(e) for e in (29, 30, 60, 90)] == pytest.approx([1, 0.1, 0.01, 0.001])
    assert (full.lr, full.weight_decay) == (1e-2, 1e-4)
    assert (bits.betas, bits.rule().rescale, bits.lr, bits.halve_every, bits.decay_epochs) == (
        (0, 0.999),
        1e9,
        5e-4,
        30,
        30,
    )
    assert {(r.percentile, r.normalization_images) for r in (full, bits)} == {(99.9, 3500)}


def test_property_the_network_is_vgg15():
    model = paper_recipe("cifar100", binary=True).network(seeded(), width=1)
    assert model.num_layers == 14
    assert model(torch.zeros(1, 3, 32, 32)).shape == (1, 100)
    large = paper_recipe("imagenet", binary=False).network(seeded(), width=1)
    assert layout(large).slots[-2].shape == (64, 8 * 7 * 7)


def test_property_preparation_of_images():
    recipe, data, rows = small(True), images(), torch.tensor([3, 7])
    plain = recipe.images(data, rows)
    torch.testing.assert_close(
        plain.x, (data.x[rows] - MEAN[:, None, None]) / SPREAD[:, None, None], rtol=1e-12, atol=1e-14
    )
    assert torch.equal(plain.y, data.y[rows])
    cut = recipe.batch(data, rows, generator=seeded(1))
    expected = shifted(data, rows, padding=4, generator=seeded(1)).x
    torch.testing.assert_close(cut.x, (expected - MEAN[:, None, None]) / SPREAD[:, None, None], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("binary", [False, True])
def test_oracle_one_process_by_hand(binary):
    recipe, data, model = small(binary), images(40), network()
    by_hand = copy.deepcopy(model)
    found = train_recipe(recipe, model, data, generator=seeded(3))
    fading, generator, losses = recipe.fading(), seeded(3), []
    tuner, training = fading.optimizer(by_hand.parameters()), BinaryTraining(by_hand)
    for epoch in range(3):
        rate = recipe.lr * fading.schedule(epoch, 3)
        tuner.param_groups[0]["lr"] = rate
        torch.randint(2**62, (), generator=generator)  # the seed for dropout
        total = 0.0
        for rows in torch.randperm(40, generator=generator).split(16):
            tuner.zero_grad()
            batch = recipe.batch(data, rows, generator=generator)
            loss = training.step(by_hand, batch, generator) if binary else None
            loss = nn.functional.cross_entropy(by_hand(batch.x), batch.y) if loss is None else loss
            loss.backward()
            tuner.step()
            total += float(loss.detach()) * len(rows)
        losses.append(total / 40)
    assert list(found.train_loss) == pytest.approx(losses, rel=1e-9)
    for one, other in zip(model.parameters(), by_hand.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-10)
    assert not model.training
    assert not found.network.training
    expected = training.deployed() if binary else by_hand
    for one, other in zip(found.network.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-9)
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("binary", [False, True])
def test_property_resumed_training_ends_with_the_same_bits(binary, tmp_path):
    recipe, data = small(binary, halve_every=1 if binary else None, decay_epochs=1), images(40)
    whole, stopped, again = network(), network(), network(1)
    expected = train_recipe(recipe, whole, data, generator=seeded(3))

    def interrupt(epoch):
        if epoch.number == 2:
            raise KeyboardInterrupt

    path = tmp_path / "folder" / "run.pt"
    with pytest.raises(KeyboardInterrupt):
        train_recipe(recipe, stopped, data, generator=seeded(3), checkpoint=path, callbacks=[interrupt])
    found = train_recipe(recipe, again, data, generator=seeded(9), checkpoint=path)
    assert found.train_loss == expected.train_loss
    assert same(state(again), state(whole))
    assert same(state(found.network), state(expected.network))
    with pytest.raises(ParameterError, match="belongs to another run"):
        train_recipe(replace(recipe, epochs=4), network(), data, generator=seeded(), checkpoint=path)


def test_claim_train_binarize_convert_on_three_colors():
    data, model = images(300), network()
    full = train_recipe(replace(small(False), epochs=12), model, data, generator=seeded())
    recipe = replace(small(True), epochs=8, lr=5e-3)
    bits = train_recipe(recipe, model, data, generator=seeded())
    assert bits.train_loss[-1] < bits.train_loss[0]
    test = images(90)
    assert recipe_accuracy(recipe, full.network, test) > 0.9
    accuracy = recipe_accuracy(recipe, bits.network, test, batch_size=7)
    assert accuracy > 0.9
    spiking = convert_recipe(recipe, bits.network, data, generator=seeded())
    curve = spiking_accuracy(recipe, spiking, test, steps=64, batch_size=40)
    assert curve.shape == (64,)
    assert curve[-1] == pytest.approx(accuracy, abs=0.05)
    assert curve[0] < 0.7, "one step is not enough"


class Watched(nn.Module):
    """Remembers in which modes it was called."""

    def __init__(self):
        super().__init__()
        self.inner, self.modes = network(), []

    def forward(self, x):
        self.modes.append(self.training)
        return self.inner(x)


@pytest.mark.parametrize("binary", [False, True])
def test_property_training_trains_and_evaluation_does_not(binary):
    model = Watched().eval()
    train_recipe(replace(small(binary), epochs=1), model, images(20), generator=seeded())
    assert model.modes == [True, True]
    recipe_accuracy(small(binary), model.train(), images(20))
    assert model.modes == [True, True, False]
    assert model.training


def test_property_accuracy_counts_every_image_once():
    class Second(nn.Module):
        def forward(self, x):
            return nn.functional.one_hot(torch.ones(len(x), dtype=torch.int64), 3).double()

    data = images(10)
    for size in (1, 3, 10, 99):
        assert recipe_accuracy(small(False), Second(), data, batch_size=size) == pytest.approx(0.3)


def test_property_percentiles_are_measured_on_images_as_they_are():
    recipe, data, model = small(False), images(48), network().eval()
    found = convert_recipe(recipe, model, data, generator=seeded(2), count=48, percentile=100.0)
    x = (data.x - MEAN[:, None, None]) / SPREAD[:, None, None]
    largest = torch.stack([a.max() for a in model.activations(x)])
    torch.testing.assert_close(found.factors, largest.detach(), rtol=1e-5, atol=0)
    fewer = convert_recipe(recipe, model, data, generator=seeded(2))
    assert not torch.equal(fewer.factors, found.factors)


def test_property_files_go_the_same_way(tmp_path):
    pillow = pytest.importorskip("PIL.Image")
    data = images(24)
    for n, (x, y) in enumerate(zip(data.x, data.y.tolist(), strict=True)):
        place = tmp_path / f"kind{y}"
        place.mkdir(exist_ok=True)
        pixels = (255 * x.clamp(0, 1)).permute(1, 2, 0).numpy().astype(np.uint8)
        pillow.fromarray(pixels).resize((20, 16)).save(place / f"{n}.png")
    folder = image_folder(tmp_path, size=12, resize=12, dtype=torch.float64)
    recipe = replace(small(True), epochs=2, workers=2)
    model = network()
    found = train_recipe(recipe, model, folder, generator=seeded(), checkpoint=tmp_path / "run.pt")
    again = network(1)
    train_recipe(recipe, again, folder, generator=seeded(4), checkpoint=tmp_path / "run.pt")
    assert same(state(again), state(model))
    assert 0 <= recipe_accuracy(recipe, found.network, folder) <= 1
    assert convert_recipe(recipe, found.network, folder, generator=seeded()).factors.shape == (3,)


def test_error_a_training_that_diverges_leaves_the_model_as_given():
    model = network()
    given = state(model)
    with pytest.raises(Diverged, match="learning rate"):
        train_recipe(replace(small(False), lr=1e200), model, images(), generator=seeded())
    assert same(state(model), given)
    assert model.training
    assert all(p.grad is None for p in model.parameters())


def test_error_arguments():
    data, model = images(), network()
    with pytest.raises(ParameterError, match="recipes for 'cifar100' and 'imagenet', got 'cifar10'"):
        paper_recipe("cifar10", binary=True)
    with pytest.raises(ParameterError, match=r"knows 2 classes, numbered from 0, and the data have 0 to 2"):
        train_recipe(replace(small(True), classes=2), model, data, generator=seeded())
    with pytest.raises(ParameterError, match="epochs must be at least 1"):
        train_recipe(replace(small(True), epochs=0), model, data, generator=seeded())
    for call in (
        lambda: train_recipe(small(True), model, data[:0], generator=seeded()),
        lambda: recipe_accuracy(small(True), model, data[:0]),
        lambda: convert_recipe(small(True), model, data[:0], generator=seeded()),
    ):
        with pytest.raises(ParameterError, match="at least one image"):
            call()
    with pytest.raises(ParameterError, match="no parameter that requires a gradient"):
        train_recipe(small(False), network().requires_grad_(False), data, generator=seeded())
    with pytest.raises(ParameterError, match="devices counts processes"):
        together(0)


def test_error_without_lightning(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "lightning.fabric", None)
    with pytest.raises(MissingExtra, match=r'lightning is not installed.*extra "scale"'):
        together(2, accelerator="cpu")


def test_property_one_process_alone_gets_back_what_it_gives():
    alone = Processes()
    x = torch.tensor([1.0, 2.0])
    assert alone.mean(x) is x
    assert alone.agreed("this") == "this"
    assert alone.total(7) == 7
    assert torch.arange(5)[alone.share].tolist() == [0, 1, 2, 3, 4]
    alone.wait()


class Twins:
    """What Fabric offers, for two processes of which the other always has zeros."""

    global_rank, world_size, device = 1, 2, torch.device("cpu")

    def all_reduce(self, value, reduce_op):
        assert reduce_op == "mean"
        return value / 2


def test_property_gradients_are_averaged_before_the_step():
    p, q, frozen = (nn.Parameter(torch.ones(n, dtype=torch.float64)) for n in (2, 3, 1))
    pair = Processes(Twins())
    assert torch.arange(5)[pair.share].tolist() == [1, 3]
    assert pair.total(6) == 6
    tuner = pair.averaging(lambda parameters: torch.optim.SGD(parameters, lr=1.0))(iter([p, q, frozen]))
    p.grad, q.grad = torch.tensor([2.0, 4.0]).double(), torch.zeros(3).double()
    tuner.step()
    assert p.tolist() == [0.0, -1.0]
    assert q.tolist() == [1.0, 1.0, 1.0]
    assert frozen.grad.tolist() == [0.0]
