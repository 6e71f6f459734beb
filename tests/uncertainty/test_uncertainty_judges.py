"""Judges of a network's answers: gradients, a meta-classifier, helper networks and a confidence branch."""

import copy
import math

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn
from torch.nn.functional import cross_entropy

from weightlore.data import Split, digits
from weightlore.errors import ParameterError
from weightlore.networks import cnn, healthy, mlp, resnet20
from weightlore.training import adam, fit
from weightlore.uncertainty import UncertaintyWarning
from weightlore.uncertainty.judges import (
    ConfidenceBranch,
    DirectUncertaintyPredictor,
    GradientMetrics,
    MetaClassifier,
    TrueClassProbabilityHead,
    confidence_step,
    differing_answers,
    hinted_loss,
    true_class_probabilities,
    wrong_answers,
)
from weightlore.uncertainty.ood import Detector, read
from weightlore.uncertainty.ranking import auroc

VALIDATION, X = digits("validation"), digits("test").x[:30]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=seeded(seed), dtype=dtype)


def blobs(count=200, seed=0):
    """Two classes in the plane that overlap along the first axis."""
    y = torch.arange(count) % 2
    x = normal(count, 2, seed=seed)
    x[:, 0] += 2.0 * y
    return Split(x, y)


def doubtful():
    """The network that knows where these classes meet."""
    readout = nn.Linear(2, 2).double()
    with torch.no_grad():
        readout.weight.copy_(torch.tensor([[0.0, 0.0], [2.0, 0.0]]))
        readout.bias.copy_(torch.tensor([0.0, -2.0]))
    return nn.Sequential(nn.Identity(), readout)


def test_oracle_gradients_of_a_linear_softmax():
    model, x = nn.Linear(4, 3).double(), normal(7, 4)
    metrics = GradientMetrics(model)
    said = dict(zip(metrics.names, metrics(x).T, strict=True))
    p = model(x).detach().softmax(1)
    off = p - nn.functional.one_hot(p.argmax(1), 3)
    torch.testing.assert_close(said["weight l2"], off.norm(dim=1) * x.norm(dim=1), atol=1e-10, rtol=0)
    torch.testing.assert_close(said["weight l1"], off.abs().sum(1) * x.abs().sum(1), atol=1e-10, rtol=0)
    torch.testing.assert_close(said["bias l2"], off.norm(dim=1), atol=1e-10, rtol=0)
    torch.testing.assert_close(said["bias mean"], torch.zeros(7).double(), atol=1e-10, rtol=0)


def test_limit_equal_classes_pull_like_one_answer():
    """A network that says the same of all classes is as unsure as can be: its gradient is not zero."""
    model, x = nn.Linear(4, 3).double(), normal(7, 4)
    model.requires_grad_(False)
    model.weight.zero_()
    model.bias.zero_()
    metrics = GradientMetrics(model)
    said = dict(zip(metrics.names, metrics(x).T, strict=True))
    torch.testing.assert_close(said["weight l2"], math.sqrt(2 / 3) * x.norm(dim=1))
    torch.testing.assert_close(said["bias min"], torch.full((7,), -2 / 3).double())


@pytest.mark.parametrize("kind", ["mlp", "cnn", "residual"])
def test_oracle_gradients_one_by_one(kind):
    g, x = seeded(), normal(3, 1, 8, 8)
    model = {
        "mlp": lambda: mlp((64, 6, 10), normalize=True, generator=g),
        "cnn": lambda: cnn((2, 3), generator=g),
        "residual": lambda: resnet20(channels=1, width=2, generator=g, dtype=torch.float64),
    }[kind]()
    rows = GradientMetrics(model, batch_size=2)(x)
    model.eval()
    for row, one in zip(rows, x, strict=True):
        z = model(one[None])
        gradients = torch.autograd.grad(cross_entropy(z, z.argmax(1)), list(model.parameters()))
        expected = [
            [float(f) for f in (g.abs().sum(), g.norm(), g.max(), g.min(), g.mean(), g.std(correction=0))]
            for g in gradients
        ]
        torch.testing.assert_close(row, torch.tensor(expected).double().flatten(), atol=1e-6, rtol=1e-5)


def test_property_gradients_leave_the_network_and_do_not_depend_on_the_block():
    model = resnet20(channels=1, width=2, generator=seeded(), dtype=torch.float64).train()
    before, x = copy.deepcopy(model.state_dict()), normal(5, 1, 8, 8)
    one, other = GradientMetrics(model)(x), GradientMetrics(model, batch_size=2)(x)
    torch.testing.assert_close(one, other)
    assert all(torch.equal(a, b) for a, b in zip(before.values(), model.state_dict().values(), strict=True))
    assert model.training
    assert all(p.grad is None and p.requires_grad for p in model.parameters())


def test_property_frozen_parameters_have_gradients_too():
    model = mlp((64, 6, 10), generator=seeded())
    free = GradientMetrics(model)(X)
    torch.testing.assert_close(GradientMetrics(model.requires_grad_(False))(X), free)


@pytest.mark.parametrize("penalty", [0.1, 1.0, 30.0])
def test_oracle_meta_classifier_is_a_penalized_regression(penalty):
    data = blobs()
    x = data.x * torch.tensor([1.0, 1e4]).double() + 5
    scaled = (x - x.mean(0)) / x.std(0, correction=0)
    theirs = LogisticRegression(C=1 / penalty, tol=1e-10).fit(scaled.numpy(), data.y.numpy())
    ours = MetaClassifier(lambda rows: rows, penalty=penalty).fit(x, data.y).score(x)
    expected = torch.as_tensor(theirs.predict_proba(scaled.numpy())[:, 1])
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=0)


def test_limit_constant_metrics_say_nothing_and_separable_ones_have_finite_weights():
    data = blobs()
    plain = MetaClassifier(lambda x: x).fit(data.x, data.y)
    padded = MetaClassifier(lambda x: torch.cat([x, torch.full_like(x, 0.1)], 1)).fit(data.x, data.y.bool())
    torch.testing.assert_close(padded.score(data.x), plain.score(data.x))
    apart = MetaClassifier(lambda x: x).fit(data.x + 50 * data.y[:, None], data.y)
    assert bool(apart.weights.isfinite().all())


def test_property_a_judge_of_gradients_finds_mistakes():
    model = mlp((64, 16, 10), generator=seeded())
    fit(model, digits("train")[:150], generator=seeded(), epochs=20)
    test = digits("test")
    judge = MetaClassifier(GradientMetrics(model)).fit(VALIDATION.x, wrong_answers(model, VALIDATION))
    scores = judge.score(test.x)
    assert isinstance(judge, Detector)
    assert float(auroc(scores, wrong_answers(model, test).bool())) > 0.7


def test_oracle_targets_of_the_helper():
    one, other = doubtful(), nn.Sequential(nn.Identity(), nn.Linear(2, 2).double())
    with torch.no_grad():
        other[1].weight.copy_(torch.tensor([[0.0, 0.0], [1.0, 0.0]]))
        other[1].bias.zero_()
    data = Split(torch.tensor([[-1.0, 0.0], [0.5, 0.0], [3.0, 0.0]]).double(), torch.tensor([0, 1, 1]))
    assert wrong_answers(one, data).tolist() == [0, 1, 0]
    assert differing_answers(one, other, data.x).tolist() == [0, 1, 0]


@pytest.mark.parametrize("second", [False, True])
def test_property_a_helper_learns_where_the_network_errs(second):
    """Half of the inputs lie where a network is always wrong (or differs from another): the helper can know."""
    model, data = doubtful(), blobs(300)
    data = Split(data.x, (data.x[:, 0] > 1).long() ^ (data.x[:, 1] > 0).long())
    other = None
    if second:
        other = nn.Sequential(nn.Flatten(), nn.Linear(2, 2).double())
        with torch.no_grad():
            other[1].weight.copy_(torch.tensor([[0.0, 0.0], [0.0, 1.0]]))
            other[1].bias.zero_()
    before = copy.deepcopy(model.state_dict())
    judge = DirectUncertaintyPredictor(mlp((2, 16, 1), generator=seeded())).fit(
        model,
        data,
        rows=torch.arange(200),
        trained_on=torch.arange(200, 300),
        other=other,
        generator=seeded(),
        epochs=40,
        optimizer=adam(0.02),
    )
    rest = data[200:]
    target = wrong_answers(model, rest) if other is None else differing_answers(model, other, rest.x)
    scores = judge.score(rest.x)
    assert float(auroc(scores, target.bool())) > 0.95
    assert 0 <= float(scores.min()) <= float(scores.max()) <= 1
    assert all(torch.equal(a, b) for a, b in zip(before.values(), model.state_dict().values(), strict=True))


def test_limit_a_helper_without_a_mistake_warns():
    data = Split(X, read(healthy(), X).logits.argmax(1))
    judge = DirectUncertaintyPredictor(mlp((64, 1), generator=seeded()))
    rows = torch.arange(20)
    with pytest.warns(UncertaintyWarning, match="a constant"):
        judge.fit(healthy(), data, rows=rows, trained_on=rows[:5] + 20, generator=seeded(), epochs=1)
    assert judge.score(X).shape == (30,)


@pytest.mark.parametrize(
    ("rows", "trained_on", "message"),
    [
        ([0, 1, 2], [2, 3], "1 of 3 rows were also used"),
        ([0, 400], [1], "from 0 to 179"),
        ([0], [-1], "from 0 to 179"),
        ([], [1], "row numbers"),
    ],
)
def test_error_a_helper_that_learns_from_rows_of_the_network(rows, trained_on, message):
    judge = DirectUncertaintyPredictor(mlp((64, 1), generator=seeded()))
    numbers = [torch.tensor(part, dtype=torch.int64) for part in (rows, trained_on)]
    with pytest.raises(ParameterError, match=message):
        judge.fit(healthy(), VALIDATION, rows=numbers[0], trained_on=numbers[1], generator=seeded())


def test_oracle_true_class_probability_is_the_exponential_of_the_loss():
    model = healthy()
    loss = cross_entropy(model(VALIDATION.x), VALIDATION.y, reduction="none").detach()
    torch.testing.assert_close(true_class_probabilities(model, VALIDATION), (-loss).exp())


def test_property_a_head_guesses_what_features_say():
    """The true class follows the third feature, which the network does not use."""
    x = normal(400, 3)
    model = nn.Sequential(nn.Identity(), nn.Linear(3, 2, bias=False).double())
    with torch.no_grad():
        model[1].weight.copy_(torch.tensor([[0.0, 0.0, 0.0], [3.0, 0.0, 0.0]]))
    y = ((x[:, 0] > 0) ^ (x[:, 2] > 0.5)).long()
    before = copy.deepcopy(model.state_dict())
    judge = TrueClassProbabilityHead((16,)).fit(
        model, Split(x[:300], y[:300]), generator=seeded(), epochs=60, optimizer=adam(0.02)
    )
    rest = Split(x[300:], y[300:])
    assert isinstance(judge, Detector)
    assert float(auroc(judge.score(rest.x), wrong_answers(model, rest).bool())) > 0.9
    said = 1 - judge.score(rest.x)
    assert float((said - true_class_probabilities(model, rest)).square().mean()) < 0.05
    assert all(torch.equal(a, b) for a, b in zip(before.values(), model.state_dict().values(), strict=True))


def hidden_reason():
    """The true class follows a product that the network has squeezed out of its features."""
    x = normal(400, 3)
    model = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5), nn.Linear(3, 2, bias=False)).double()
    with torch.no_grad():
        model[0].weight.copy_(torch.diag(torch.tensor([1.0, 1.0, 0.01])))
        model[0].bias.zero_()
        model[2].weight.copy_(torch.tensor([[0.0, 0.0, 0.0], [3.0, 0.0, 0.0]]))
    y = ((x[:, 0] > 0) ^ (x[:, 2] > 0.5)).long()
    return model, Split(x[:300], y[:300]), Split(x[300:], y[300:])


def test_property_a_second_stage_learns_features_that_the_network_has_not():
    model, data, rest = hidden_reason()
    before = copy.deepcopy(model.state_dict())
    judge = TrueClassProbabilityHead((16,)).fit(model, data, generator=seeded(), epochs=20, optimizer=adam(0.01))
    first, wrong = judge.score(rest.x), wrong_answers(model, rest).bool()
    judge.tune(data, generator=seeded(), epochs=40, optimizer=adam(0.02))
    second = judge.score(rest.x)
    right = true_class_probabilities(model, rest)
    assert float((1 - second - right).square().mean()) < 0.7 * float((1 - first - right).square().mean())
    assert float(auroc(second, wrong)) > float(auroc(first, wrong))
    assert all(torch.equal(a, b) for a, b in zip(before.values(), model.state_dict().values(), strict=True))
    assert not torch.equal(judge.trunk[0].weight, model[0].weight)
    once_more = judge.fit(model, data, generator=seeded(), epochs=20, optimizer=adam(0.01))
    assert torch.equal(once_more.score(rest.x), first)


def test_limit_a_second_stage_without_steps_is_the_first():
    """Dropout is off also while it trains: at a rate of zero nothing changes, and the error is that of the features."""
    model, data, rest = hidden_reason()
    judge = TrueClassProbabilityHead((4,)).fit(model, data, generator=seeded(), epochs=2)
    first = judge.score(rest.x)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    judge.tune(data, generator=seeded(), epochs=2, optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.0))
    torch.testing.assert_close(judge.score(rest.x), first)
    assert all(parameter.requires_grad for parameter in judge.trunk.parameters())
    judge.tune(data, generator=seeded(), epochs=1, optimizer=adam(0.01))
    assert not torch.allclose(judge.score(rest.x), first)


def test_limit_a_head_warns_where_the_network_is_always_right():
    data = Split(normal(40, 2) * 0.01 + torch.tensor([9.0, 0.0]).double(), torch.ones(40, dtype=torch.int64))
    with pytest.warns(UncertaintyWarning, match="held-out"):
        TrueClassProbabilityHead(()).fit(doubtful(), data, generator=seeded(), epochs=1)


def test_oracle_hinted_loss_by_its_formula():
    z, a, y = normal(20, 4), normal(20, seed=1), torch.arange(20) % 4
    hinted = torch.arange(20) < 10
    p, c = z.softmax(1), a.sigmoid()[:, None]
    mixed = torch.where(hinted[:, None], c * p + (1 - c) * nn.functional.one_hot(y, 4), p)
    expected = (-mixed.gather(1, y[:, None])[:, 0].log() - 0.3 * c[:, 0].log()).mean()
    torch.testing.assert_close(hinted_loss(z, a, y, price=0.3, hinted=hinted), expected)


def test_property_gradients_of_the_hinted_loss():
    z, a, y = normal(5, 3).requires_grad_(), normal(5, seed=1).requires_grad_(), torch.arange(5) % 3
    hinted = torch.tensor([True, False, True, True, False])
    assert torch.autograd.gradcheck(lambda z, a: hinted_loss(z, a, y, price=0.2, hinted=hinted), (z, a))


def test_limit_no_hint_and_no_price_is_cross_entropy_and_certainty_stays_finite():
    z, y = normal(6, 3), torch.arange(6) % 3
    none = torch.zeros(6, dtype=torch.bool)
    loss = hinted_loss(z, normal(6, seed=1), y, price=0.0, hinted=none)
    torch.testing.assert_close(loss, cross_entropy(z, y), atol=0, rtol=1e-14)
    for extreme in (-1e4, 1e4):
        assert math.isfinite(
            float(hinted_loss(1e4 * z, torch.full((6,), extreme).double(), y, price=0.1, hinted=~none))
        )


def test_property_the_price_moves_towards_the_budget():
    model = ConfidenceBranch(doubtful(), generator=seeded())
    with torch.no_grad():
        model.branch.weight.zero_()
        model.branch.bias.zero_()  # every c is 1/2, and -ln c is ln 2
    for budget, factor in ((0.7, 1 / 1.01), (0.6, 1 / 0.99)):
        before = float(model.price)
        confidence_step(budget)(model, blobs(10), seeded())
        assert math.isclose(float(model.price), before * factor, rel_tol=1e-12)


@pytest.mark.parametrize(("count", "hints"), [(1, 1), (2, 1), (7, 4), (10, 5)])
def test_property_half_of_a_batch_gets_hints(count, hints):
    """With certain wrong answers at c = 1/2 a hint costs ln 2, and none costs the loss: the mean counts them."""
    model = ConfidenceBranch(doubtful(), generator=seeded(), price=1e-12)
    with torch.no_grad():
        model.branch.weight.zero_()
        model.branch.bias.zero_()
    x = torch.tensor([[400.0, 0.0]]).double().expand(count, 2)
    loss = confidence_step()(model, Split(x, torch.zeros(count, dtype=torch.int64)), seeded())
    expected = (hints * math.log(2) + (count - hints) * 798) / count
    assert math.isclose(float(loss.detach()), expected, rel_tol=1e-9)


def test_property_a_branch_learns_where_classes_mix():
    """Left of 0 the class is a coin; right of it, the sign of the second entry."""
    x = normal(600, 2)
    coin = torch.randint(2, (600,), generator=seeded(3))
    data = Split(x, torch.where(x[:, 0] < 0, coin, (x[:, 1] > 0).long()))
    model = ConfidenceBranch(mlp((2, 32, 2), generator=seeded()), generator=seeded(1))
    fit(model, data[:500], step=confidence_step(), generator=seeded(), epochs=40, optimizer=adam(0.01), schedule=None)
    scores = model.score(x[500:])
    assert isinstance(model, Detector)
    assert float(auroc(scores, x[500:, 0] < 0)) > 0.85
    assert float(model.price) != 0.1


def test_property_logits_of_the_branch_are_those_of_the_network():
    network = cnn((2, 3), generator=seeded())
    logits, confidence = ConfidenceBranch(network, generator=seeded())(normal(4, 1, 8, 8))
    torch.testing.assert_close(logits, network(normal(4, 1, 8, 8)))
    assert confidence.shape == (4,)
    logits.sum().backward()
    assert network.readout.weight.grad is not None


def helped(network, generator):
    judge = DirectUncertaintyPredictor(mlp((2, 4, 1), generator=seeded()))
    rows = {"rows": torch.arange(40), "trained_on": torch.arange(40, 80)}
    return judge.fit(network, blobs(), generator=generator, epochs=2, batch_size=8, **rows)


def headed(network, generator):
    return TrueClassProbabilityHead((4,)).fit(network, blobs(), generator=generator, epochs=2)


def tuned(network, generator):
    return headed(network, generator).tune(blobs(), generator=generator, epochs=2, batch_size=8)


def branched(network, generator):
    model = ConfidenceBranch(copy.deepcopy(network), generator=generator)
    fit(model, blobs(40), step=confidence_step(), generator=generator, epochs=2)
    return model


@pytest.mark.parametrize("make", [helped, headed, tuned, branched])
def test_property_training_draws_from_its_generator_alone(make):
    network, x = doubtful(), blobs().x  # torch's own layers draw from the global state when they are made
    state = torch.get_rng_state()
    one, same, different = (make(network, seeded(seed)).score(x) for seed in (3, 3, 4))
    assert torch.equal(one, same)
    assert not torch.equal(one, different)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: GradientMetrics(nn.ReLU()), "no parameters"),
        (lambda: GradientMetrics(healthy(), batch_size=0), "batch_size"),
        (lambda: GradientMetrics(healthy())(X[:0]), "input at least"),
        (lambda: GradientMetrics(healthy())(X * float("nan")), "finite"),
        (lambda: MetaClassifier(lambda x: x, penalty=0.0), "penalty"),
        (lambda: MetaClassifier(lambda x: x).score(X), "has not been fitted"),
        (lambda: MetaClassifier(lambda x: x).fit(X, torch.zeros(30)), "kind that is missing"),
        (lambda: MetaClassifier(lambda x: x).fit(X, torch.arange(30)), "0 or 1"),
        (lambda: MetaClassifier(lambda x: x[:, 0]).fit(X, torch.arange(30) % 2), "metrics must have shape"),
        (lambda: DirectUncertaintyPredictor(healthy()).score(X), "has not been fitted"),
        (lambda: differing_answers(healthy(), nn.Linear(64, 3).double(), X), "same classes"),
        (lambda: wrong_answers(nn.Linear(64, 3).double(), VALIDATION), "class numbers from 0 to 2"),
        (lambda: TrueClassProbabilityHead((0,)), "hidden"),
        (lambda: TrueClassProbabilityHead().score(X), "has not been fitted"),
        (lambda: TrueClassProbabilityHead().tune(VALIDATION, generator=seeded()), "has not been fitted"),
        (lambda: ConfidenceBranch(nn.ReLU(), generator=seeded()), "no linear layer named readout"),
        (lambda: ConfidenceBranch(healthy(), generator=seeded(), price=0.0), "price"),
        (lambda: ConfidenceBranch(healthy(), generator=seeded()).score(X * float("inf")), "finite"),
        (lambda: confidence_step(0.0), "budget"),
        (lambda: confidence_step()(healthy(), VALIDATION, seeded()), "wrap the network"),
        (
            lambda: hinted_loss(
                normal(3, 2), normal(2), torch.zeros(3).long(), price=0.1, hinted=torch.ones(3, dtype=torch.bool)
            ),
            "a confidence and a mark",
        ),
    ],
)
def test_error_what_cannot_judge(call, message):
    with pytest.raises(ParameterError, match=message):
        call()


def test_error_a_helper_with_several_outputs():
    judge = DirectUncertaintyPredictor(mlp((64, 2), generator=seeded()))
    rows = torch.arange(20)
    with pytest.raises(ParameterError, match="one number for an input"):
        judge.fit(mlp(generator=seeded()), VALIDATION, rows=rows, trained_on=rows + 50, generator=seeded(), epochs=1)


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.fc = nn.LSTM(3, 4, batch_first=True).double(), nn.Linear(4, 2).double()

    def forward(self, x):
        return self.fc(self.lstm(x)[0][:, -1])


def test_oracle_gradients_of_a_network_that_torch_cannot_map_over_inputs():
    model, x = Recurrent(), torch.rand(3, 5, 3, generator=seeded(), dtype=torch.float64)
    found = GradientMetrics(model)(x)
    for row, one in zip(found, x, strict=True):
        model.zero_grad()
        logits = model(one[None])
        nn.functional.cross_entropy(logits, logits.argmax(1)).backward()
        torch.testing.assert_close(row[0], model.lstm.weight_ih_l0.grad.abs().sum())
        torch.testing.assert_close(row[-4], model.fc.bias.grad.amax())
