"""Boosting: the votes of scikit-learn, the weights of the paper, and when it ends."""

import math

import pytest
import torch
from sklearn.datasets import load_wine
from sklearn.ensemble import AdaBoostClassifier
from sklearn.tree import DecisionTreeClassifier
from torch import nn

from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.networks import mlp
from weightlore.parameters import flatten
from weightlore.training import adam, sgd
from weightlore.uncertainty.deterministic import GaussianHead
from weightlore.uncertainty.ensembles import BoostedEnsemble, boosted_ensemble, samme_update


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def rings(n=90):
    """Three classes by distance from the center: no linear network tells them apart."""
    x = torch.randn(n, 2, generator=seeded(1), dtype=torch.float64)
    radius = x.norm(dim=1)
    return Split(x, (radius > 0.8).long() + (radius > 1.5).long())


def linear(generator):
    return mlp((2, 3), generator=generator)


class Says(nn.Module):
    """Names one class for each input, by its first number."""

    def __init__(self, classes):
        super().__init__()
        self.classes = classes

    def forward(self, x):
        return nn.functional.one_hot(torch.tensor(self.classes)[x[:, 0].long()], 3).double()


def test_oracle_votes_and_errors_of_scikit_learn():
    x, y = load_wine(return_X_y=True)
    theirs = AdaBoostClassifier(DecisionTreeClassifier(max_depth=1, random_state=0), n_estimators=8, random_state=0)
    if getattr(theirs, "algorithm", "deprecated") != "deprecated":
        theirs.set_params(algorithm="SAMME")  # what releases before 1.6 do only when asked
    theirs.fit(x, y)
    weights = torch.full((len(y),), 1 / len(y), dtype=torch.float64)
    for number, member in enumerate(theirs.estimators_):
        wrong = torch.from_numpy(member.predict(x) != y)
        error, vote, weights = samme_update(weights, wrong, 3)
        assert error == pytest.approx(theirs.estimator_errors_[number], rel=1e-9)
        assert vote == pytest.approx(theirs.estimator_weights_[number], rel=1e-9)


def test_property_the_next_member_starts_at_guessing():
    """Under the new weights the member's error is 1 - 1/C exactly: nothing of it is left to learn."""
    weights = torch.rand(30, generator=seeded(), dtype=torch.float64)
    wrong = torch.rand(30, generator=seeded(1)) < 0.3
    for classes in (2, 3, 7):
        _, vote, after = samme_update(weights / weights.sum(), wrong, classes)
        assert float(after[wrong].sum()) == pytest.approx(1 - 1 / classes, rel=1e-12)
        assert float(after.sum()) == pytest.approx(1)
        assert vote > 0


def test_property_a_vote_is_positive_exactly_below_guessing():
    weights = torch.full((12,), 1 / 12).double()
    for count in range(13):
        error, vote, _ = samme_update(weights, torch.arange(12) < count, 3)
        assert (vote > 1e-12) == (count < 8)
        assert error == pytest.approx(count / 12)


def test_limit_no_error_has_a_finite_vote():
    weights = torch.full((4,), 0.25)
    error, vote, after = samme_update(weights, torch.zeros(4, dtype=torch.bool), 2)
    assert error == 0
    assert vote == pytest.approx(math.log((1 - 1e-10) / 1e-10))
    torch.testing.assert_close(after, weights)
    assert torch.isfinite(samme_update(weights, torch.ones(4, dtype=torch.bool), 2)[2]).all()


def test_oracle_scores_are_weighted_votes():
    members = (Says([0, 1]), Says([1, 1]), Says([2, 2]))
    votes = torch.tensor([3.0, 2.0, 1.0]).double()
    found = BoostedEnsemble(members, votes, torch.zeros(3).double())
    x = torch.tensor([[0.0], [1.0]])
    torch.testing.assert_close(found.scores(x), torch.tensor([[3.0, 2.0, 1.0], [0.0, 5.0, 1.0]]).double() / 6)
    assert found.classify(x).tolist() == [0, 1]
    assert found.predict(x).members == 3


def test_property_members_together_beat_the_first():
    data = rings()
    found = boosted_ensemble(
        lambda g: mlp((2, 4, 3), generator=g), data, rounds=8, generator=seeded(), epochs=15, optimizer=adam(0.03)
    )
    assert len(found) > 2
    assert (found.votes > 0).all()
    assert (found.errors < 2 / 3).all()
    right = float((found.classify(data.x) == data.y).double().mean())
    assert right > 1 - float(found.errors[0])


def test_property_weights_are_learned_with():
    """The second member is right where the first was wrong, since these examples weigh two thirds of all."""
    data = rings()
    found = boosted_ensemble(linear, data, rounds=2, generator=seeded(2), epochs=40, optimizer=adam(0.05))
    first, second = (member(data.x).argmax(1) == data.y for member in found.members)
    assert second[~first].double().mean() > first.double().mean() / 2
    assert second[~first].double().mean() > second[first].double().mean()


def test_property_fewer_rounds_are_the_first_ones_and_data_stay():
    data, x = rings(), rings().x.clone()
    many, few = (boosted_ensemble(linear, data, rounds=r, generator=seeded(2), epochs=5) for r in (3, 1))
    assert torch.equal(flatten(many.members[0]), flatten(few.members[0]))
    assert torch.equal(data.x, x)
    assert data.y.dtype == torch.int64


def test_limit_a_member_without_errors_ends_it():
    data = Split(torch.eye(3).double(), torch.arange(3))
    found = boosted_ensemble(lambda g: mlp((3, 3), generator=g), data, rounds=5, generator=seeded(), epochs=60)
    assert len(found) == 1
    assert found.errors.tolist() == [0.0]


def test_error_members_that_only_guess():
    data = Split(torch.zeros(6, 2).double(), torch.arange(6) % 3)
    with pytest.raises(ParameterError, match="no better than guessing"):
        boosted_ensemble(linear, data, generator=seeded(), epochs=2, optimizer=sgd(1e-3))


def test_error_what_cannot_be_boosted():
    data, half = rings(), torch.full((4,), 0.25)
    with pytest.raises(ParameterError, match="rounds must be a whole number"):
        boosted_ensemble(linear, data, rounds=0, generator=seeded())
    with pytest.raises(ParameterError, match="class numbers"):
        boosted_ensemble(linear, Split(data.x, data.x[:, 0]), generator=seeded())
    with pytest.raises(ParameterError, match="from 0 to 2"):
        boosted_ensemble(linear, Split(data.x, data.y + 1), generator=seeded())
    with pytest.raises(ParameterError, match="boosting is for classifiers"):
        boosted_ensemble(lambda g: GaussianHead(2, data.x[:, 0], generator=g), data, generator=seeded())
    with pytest.raises(ParameterError, match="wrong bool"):
        samme_update(half, torch.zeros(4), 2)
    with pytest.raises(ParameterError, match="sum to 1"):
        samme_update(2 * half, torch.zeros(4, dtype=torch.bool), 2)
    with pytest.raises(ParameterError, match="2 classes at least"):
        samme_update(half, torch.zeros(4, dtype=torch.bool), 1)
