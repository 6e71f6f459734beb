import pytest
import torch
import torch.nn.functional as F
from torch import nn

from weightlore.data import Split, digits
from weightlore.errors import ParameterError
from weightlore.networks import mlp, resnet20, vgg15
from weightlore.parameters import flatten
from weightlore.training import adam, cosine, cross_entropy, evaluate, fit, sgd
from weightlore.training.optimizers import Schedule


def seeded(seed=3):
    return torch.Generator().manual_seed(seed)


def small():
    return mlp((64, 8, 10), generator=seeded(1))


TRAIN, VALIDATION = digits("train")[:200], digits("validation")
SHORT = {"epochs": 3, "batch_size": 64}


def same(one, other):
    states = one.state_dict(), other.state_dict()
    return all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@pytest.mark.parametrize("schedule", [cosine, None, lambda epoch, epochs: 1 / (1 + epoch)])
def test_oracle_a_loop_written_out(schedule: Schedule | None):
    model, peer = small(), small()
    history = fit(model, TRAIN, generator=seeded(), schedule=schedule, **SHORT)
    g, velocity, losses = seeded(), [torch.zeros_like(p) for p in peer.parameters()], []
    for epoch in range(3):
        rate = 0.1 * (schedule(epoch, 3) if schedule else 1.0)
        torch.randint(2**62, (), generator=g)  # the seed for modules that draw from the global state
        total = 0.0
        for rows in torch.randperm(200, generator=g).split(64):
            loss = F.cross_entropy(peer(TRAIN.x[rows]), TRAIN.y[rows])
            gradients = torch.autograd.grad(loss, list(peer.parameters()))
            velocity = [0.9 * v + gradient for v, gradient in zip(velocity, gradients, strict=True)]
            with torch.no_grad():
                for p, v in zip(peer.parameters(), velocity, strict=True):
                    p -= rate * v
            total += loss.item() * len(rows)
        losses.append(total / 200)
    torch.testing.assert_close(flatten(model), flatten(peer), rtol=1e-12, atol=1e-13)
    assert history.train_loss == pytest.approx(losses, rel=1e-12)


def test_property_training_learns_and_reports_what_evaluate_finds():
    model, told = small(), []
    options = {"epochs": 20, "batch_size": 16, "callbacks": [told.append]}
    history = fit(model, TRAIN, generator=seeded(), validation=VALIDATION, **options)
    found = evaluate(model, VALIDATION)
    assert found.accuracy > 0.8
    assert history.validation_loss[-1] == found.loss
    assert history.validation_accuracy[-1] == found.accuracy
    assert history.train_loss[-1] < 0.1 * history.train_loss[0]
    assert history.stopped == "completed"
    assert history.best_epoch == 1 + min(range(20), key=history.validation_loss.__getitem__)
    assert [epoch.number for epoch in told] == list(range(1, 21))
    assert [epoch.last for epoch in told] == [False] * 19 + [True]
    assert [epoch.train_loss for epoch in told] == list(history.train_loss)
    assert [epoch.validation_loss for epoch in told] == list(history.validation_loss)
    assert told[10].learning_rate == pytest.approx(0.05)


def test_property_without_validation_there_is_none():
    told = []
    history = fit(small(), TRAIN, generator=seeded(), callbacks=(one for one in [told.append]), **SHORT)
    assert (history.validation_loss, history.validation_accuracy, history.best_epoch) == ((), (), None)
    assert len(told) == 3
    assert told[0].validation_loss is None


def test_property_same_generator_same_result_and_the_global_state_is_left():
    models = [vgg15(width=1, channels=1, size=8, dropout=0.3, generator=seeded()) for _ in range(3)]
    data = Split(digits("train", images=True, dtype=torch.float32).x[:70], digits("train").y[:70])
    for model, seed, disturb in zip(models, (3, 3, 4), (1, 2, 3), strict=True):
        torch.manual_seed(disturb)
        before = torch.get_rng_state()
        fit(model, data, generator=seeded(seed), epochs=1, optimizer=adam(0.01))
        assert torch.equal(torch.get_rng_state(), before)
    assert same(models[0], models[1])
    assert not same(models[0], models[2])


def test_property_validation_does_not_change_the_training():
    one, other = small(), small()
    fit(one, TRAIN, generator=seeded(), **SHORT)
    fit(other, TRAIN, generator=seeded(), validation=VALIDATION, **SHORT)
    assert same(one, other)


def test_property_trains_in_train_mode_and_returns_in_eval_mode_without_gradients():
    model, modes = resnet20(width=2, generator=seeded()).eval(), set()
    data = Split(torch.rand(8, 3, 8, 8, generator=seeded()), torch.arange(8))

    def step(net, batch, generator):
        modes.update(module.training for module in net.modules())
        return cross_entropy(net, batch, generator)

    mean = model.stem_norm.running_mean.clone()
    fit(model, data, generator=seeded(), step=step, epochs=2, validation=data)
    assert modes == {True}
    assert not any(module.training for module in model.modules())
    assert not torch.equal(model.stem_norm.running_mean, mean)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_property_the_step_decides_what_is_lowered_and_gets_every_row_once_per_epoch():
    rows, model = [], nn.Linear(1, 1, bias=False).double()
    data = Split(torch.arange(10.0, dtype=torch.float64)[:, None], torch.zeros(10))

    def step(net, batch, generator):
        rows.append(batch.x.flatten().tolist())
        return (net.weight - 5.0).square().sum() + 0 * torch.rand((), generator=generator)

    fit(model, data, generator=seeded(), step=step, epochs=50, batch_size=4)
    assert [len(batch) for batch in rows[:3]] == [4, 4, 2]
    epochs = [sorted(x for batch in rows[3 * e : 3 * e + 3] for x in batch) for e in range(50)]
    assert epochs == [[float(n) for n in range(10)]] * 50
    assert rows[:3] != rows[3:6]
    assert model.weight.item() == pytest.approx(5.0, abs=0.01)


def test_property_a_gradient_that_the_step_sets_is_added():
    def with_pull(net, batch, generator):
        for parameter in net.parameters():
            parameter.grad = 0.01 * parameter.detach()
        return cross_entropy(net, batch, generator)

    one, other = small(), small()
    fit(one, TRAIN, generator=seeded(), step=with_pull, **SHORT)
    fit(other, TRAIN, generator=seeded(), optimizer=sgd(0.1, momentum=0.9, weight_decay=0.01), **SHORT)
    torch.testing.assert_close(flatten(one), flatten(other), rtol=1e-10, atol=1e-12)


def test_property_frozen_parameters_do_not_move():
    model = small()
    model.layers[0].weight.requires_grad_(False)
    before, bias = model.layers[0].weight.clone(), model.layers[0].bias.clone()
    fit(model, TRAIN, generator=seeded(), **SHORT)
    assert torch.equal(model.layers[0].weight, before)
    assert not torch.equal(model.layers[0].bias, bias)


def overfit(**options):
    """Train on random labels: the validation loss soon rises."""
    g = seeded()
    data = Split(TRAIN.x, torch.randint(10, (200,), generator=g))
    model, states = small(), []
    keep = lambda epoch: states.append({name: tensor.clone() for name, tensor in model.state_dict().items()})  # noqa: E731
    history = fit(model, data, generator=g, epochs=40, validation=VALIDATION, callbacks=[keep], **options)
    return model, states, history


def test_property_patience_stops_and_goes_back_to_the_best_epoch():
    model, states, history = overfit(patience=3)
    assert history.stopped == "patience"
    assert len(history.train_loss) == history.best_epoch + 3 < 40
    assert history.validation_loss[history.best_epoch - 1] == min(history.validation_loss)
    assert all(torch.equal(tensor, states[history.best_epoch - 1][name]) for name, tensor in model.state_dict().items())
    assert evaluate(model, VALIDATION).loss == min(history.validation_loss)


def test_property_without_patience_the_last_epoch_counts():
    model, states, history = overfit()
    assert history.stopped == "completed"
    assert history.best_epoch < 40
    assert all(torch.equal(tensor, states[-1][name]) for name, tensor in model.state_dict().items())


def test_limit_patience_longer_than_the_training_completes_at_the_best():
    model, _, history = overfit(patience=40)
    assert history.stopped == "completed"
    assert evaluate(model, VALIDATION).loss == min(history.validation_loss)


def test_limit_one_example_and_one_epoch():
    history = fit(small(), TRAIN[:1], generator=seeded(), epochs=1)
    assert len(history.train_loss) == 1


def test_limit_a_batch_larger_than_the_data_is_the_data():
    one, other = small(), small()
    fit(one, TRAIN, generator=seeded(), epochs=2, batch_size=10_000)
    fit(other, TRAIN, generator=seeded(), epochs=2, batch_size=200)
    assert same(one, other)


def frozen_mode(model):
    model.layers[0].eval()
    return [module.training for module in model.modules()]


@pytest.mark.parametrize("after", [0, 5])
def test_error_a_loss_that_is_no_number_names_epoch_and_rate_and_gives_the_model_back(after):
    model, peer, calls = small(), small(), []
    modes = frozen_mode(model)

    def step(net, batch, generator):
        calls.append(1)
        return cross_entropy(net, batch, generator) * (float("nan") if len(calls) > after else 1.0)

    said = r"the loss became nan in epoch [12] at learning rate 0.1; the model is as it was given. Lower the learning"
    with pytest.raises(ParameterError, match=said):
        fit(model, TRAIN, generator=seeded(), step=step, schedule=None, **SHORT)
    assert same(model, peer)
    assert [module.training for module in model.modules()] == modes
    assert all(parameter.grad is None for parameter in model.parameters())


def test_error_divergence_by_a_learning_rate_far_too_high():
    model = small()
    with pytest.raises(ParameterError, match=r"in epoch \d at learning rate 1e\+200"):
        fit(model, TRAIN, generator=seeded(), optimizer=sgd(1e200), schedule=None)
    assert same(model, small())


def test_error_divergence_in_the_very_last_step():
    model = small()
    with pytest.raises(ParameterError, match=r"a parameter became NaN or infinite in epoch 1"):
        fit(model, TRAIN, generator=seeded(), optimizer=sgd(1e308), schedule=None, epochs=1, batch_size=200, step=steep)
    assert same(model, small())


def steep(net, batch, generator):
    return 100.0 * cross_entropy(net, batch, generator)


def test_error_divergence_seen_by_validation():
    data = Split(VALIDATION.x * 1e308, VALIDATION.y)
    model = small()
    with pytest.raises(ParameterError, match=r"the validation loss became (nan|inf) in epoch 1"):
        fit(model, TRAIN, generator=seeded(), validation=data, **SHORT)
    assert same(model, small())


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_property_an_interruption_leaves_what_was_reached(error):
    model, states = small(), []
    modes = frozen_mode(model)

    def interrupt(epoch):
        states.append(flatten(model))
        if epoch.number == 2:
            raise error

    with pytest.raises(error):
        fit(model, TRAIN, generator=seeded(), callbacks=[interrupt], **SHORT)
    assert torch.equal(flatten(model), states[1])
    assert not torch.equal(states[0], states[1])
    assert [module.training for module in model.modules()] == modes


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
        ({"epochs": 1.5}, "epochs must be an integer, got 1.5 of type float"),
        ({"batch_size": "64"}, "batch_size must be an integer, got '64' of type str"),
        ({"patience": True, "validation": VALIDATION}, "patience must be an integer, got True"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"patience": 0, "validation": VALIDATION}, "patience must be at least 1"),
        ({"patience": 3}, r"give validation=Split\(...\)"),
        ({"validation": VALIDATION[:0]}, "validation must hold at least one example"),
        ({"validation": VALIDATION.to(dtype=torch.float32)}, r"use validation.to\(dtype=torch.float64\)"),
        ({"validation": Split(VALIDATION.x, VALIDATION.y.double())}, "the accuracy on validation needs class numbers"),
        (
            {"step": lambda net, batch, generator: net(batch.x)},
            r"one loss, a tensor of shape \(\), got shape \(64, 10\)",
        ),
        ({"step": lambda net, batch, generator: 0.5}, "got float"),
    ],
)
def test_error_arguments(change, said):
    model = small()
    with pytest.raises(ParameterError, match=said):
        fit(model, TRAIN, generator=seeded(), **{**SHORT, **change})
    assert same(model, small())


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (TRAIN[:0], "data must hold at least one example"),
        (TRAIN.to(dtype=torch.float32), r"use data.to\(dtype=torch.float64\)"),
        (Split(TRAIN.x.to("meta"), TRAIN.y), "the model is on cpu, but data on meta"),
        (Split(TRAIN.x / 0, TRAIN.y), "inputs of data must be finite"),
    ],
)
def test_error_data_that_the_model_cannot_read(data, said):
    model, g = small(), seeded()
    with pytest.raises(ParameterError, match=said):
        fit(model, data, generator=g, **SHORT)
    assert same(model, small())
    assert torch.equal(g.get_state(), seeded().get_state())


def test_error_a_model_with_nothing_to_train():
    integer = nn.Linear(2, 2)
    integer.weight = nn.Parameter(torch.ones(2, 2, dtype=torch.int64), requires_grad=False)
    integer.bias = None
    for model in (integer, nn.ReLU(), small().requires_grad_(False)):
        with pytest.raises(ParameterError, match="nothing to train"):
            fit(model, TRAIN, generator=seeded())
