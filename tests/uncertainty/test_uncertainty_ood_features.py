"""Scores of features: Mahalanobis, neighbors, trust and ViM against brute force and scikit-learn, and their limits."""

import copy

import pytest
import torch
from sklearn.covariance import EmpiricalCovariance
from sklearn.neighbors import NearestNeighbors
from torch import nn

from weightlore.data import Split, digits
from weightlore.errors import ParameterError
from weightlore.networks import healthy, mlp
from weightlore.uncertainty import UncertaintyWarning
from weightlore.uncertainty.ood import (
    KNN,
    ODIN,
    Detector,
    LayerMahalanobis,
    Mahalanobis,
    MaxLogit,
    RelativeMahalanobis,
    TrustScore,
    ViM,
    fit_gaussians,
    kth_distance,
    max_logit_score,
    read,
)
from weightlore.uncertainty.ood.neighbors import normalized
from weightlore.uncertainty.ranking import auroc
from weightlore.uncertainty.sources import unknown_inputs

TRAIN, TEST = digits("train"), digits("test")
X = TEST.x[:50]
LAYERS = ("nonlinear.0", None)
MAKERS = [
    lambda: KNN(5),
    lambda: TrustScore(),
    lambda: TrustScore(dropped=0.2),
    lambda: Mahalanobis(),
    lambda: RelativeMahalanobis(),
    lambda: ViM(),
]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=seeded(seed), dtype=dtype)


def identity(width, classes=2):
    """A network whose features are its inputs, and whose answer is the largest of the first entries."""
    readout = nn.Linear(width, classes, bias=False).double()
    with torch.no_grad():
        readout.weight.copy_(torch.eye(classes, width))
    return nn.Sequential(nn.Identity(), readout)


def clusters(width=3, count=40):
    y = torch.arange(count) % 2
    return Split(normal(count, width) + 4 * torch.eye(2, width).double()[y], y)


def test_oracle_one_class_without_shrinkage_is_the_distance_of_scikit_learn():
    points, x = normal(60, 4) @ normal(4, 4, seed=1), normal(20, 4, seed=2)
    ours = fit_gaussians(points, torch.zeros(60, dtype=torch.int64), shrinkage=0.0).distances(x)[:, 0]
    theirs = EmpiricalCovariance().fit(points.numpy()).mahalanobis(x.numpy())
    torch.testing.assert_close(ours, torch.as_tensor(theirs), atol=1e-9, rtol=1e-9)


def test_oracle_the_tied_covariance_is_that_of_centered_classes():
    data = clusters()
    centered = data.x.clone()
    for label in (0, 1):
        centered[data.y == label] -= data.x[data.y == label].mean(0)
    theirs = EmpiricalCovariance(assume_centered=True).fit(centered.numpy()).covariance_
    torch.testing.assert_close(fit_gaussians(data.x, data.y, shrinkage=0.0).covariance, torch.as_tensor(theirs))


def test_property_shrinkage_keeps_the_trace_and_is_relative():
    data = clusters()
    plain, shrunk, large = (
        fit_gaussians(scale * data.x, data.y, shrinkage=r) for scale, r in ((1, 0.0), (1, 0.3), (1e6, 0.3))
    )
    torch.testing.assert_close(plain.covariance.trace(), shrunk.covariance.trace())
    torch.testing.assert_close(large.covariance, 1e12 * shrunk.covariance)
    torch.testing.assert_close(shrunk.covariance[0, 1], 0.7 * plain.covariance[0, 1])


def test_property_an_invertible_map_of_the_features_changes_nothing_without_shrinkage():
    data, x, turn = clusters(), normal(20, 3, seed=5), normal(3, 3, seed=6)
    one = fit_gaussians(data.x, data.y, shrinkage=0.0).distances(x)
    other = fit_gaussians(data.x @ turn, data.y, shrinkage=0.0).distances(x @ turn)
    torch.testing.assert_close(one, other, atol=1e-9, rtol=1e-9)
    assert torch.equal(one.amin(1).argsort(), other.amin(1).argsort())


def test_limit_constant_columns_and_a_class_with_one_example():
    data = clusters()
    x = torch.cat([data.x, torch.full((40, 1), 7.0).double()], 1)
    y = data.y.clone()
    y[3] = 5
    found = fit_gaussians(x, y)
    assert found.means.shape == (3, 4)
    torch.testing.assert_close(found.means[2], x[3])
    assert bool(found.distances(x).isfinite().all())
    assert float(found.distances(x[3:4])[0, 2]) < 1e-20


def test_oracle_relative_is_the_difference_of_two_distances():
    data = clusters()
    detector = RelativeMahalanobis(shrinkage=0.1).fit(identity(3), data)
    near = fit_gaussians(data.x, data.y, shrinkage=0.1).distances(data.x).amin(1)
    far = fit_gaussians(data.x, torch.zeros_like(data.y), shrinkage=0.1).distances(data.x)[:, 0]
    torch.testing.assert_close(detector.score(data.x), near - far)


def test_property_one_class_leaves_nothing_relative():
    data = clusters()
    one = Split(data.x, torch.zeros_like(data.y))
    assert float(RelativeMahalanobis().fit(identity(3), one).score(data.x).abs().max()) < 1e-10


def test_property_layers_together_are_the_regression_of_each():
    model, outside = healthy(), unknown_inputs(X, "permuted_pixels", generator=seeded())
    detector = LayerMahalanobis(LAYERS).fit(model, TRAIN, inside=X, outside=outside)
    said = detector.scores(X)
    for column, layer in enumerate(LAYERS):
        torch.testing.assert_close(said[:, column], Mahalanobis(layer=layer).fit(model, TRAIN).score(X))
    logit = said @ detector.judge.weights + detector.judge.bias
    torch.testing.assert_close(detector.score(X), logit.sigmoid())
    assert float(detector.score(outside).mean()) > float(detector.score(X).mean())


@pytest.mark.parametrize("k", [1, 3, 10])
def test_oracle_neighbors_of_scikit_learn(k):
    model = healthy()
    known, x = (normalized(read(model, rows).features) for rows in (TRAIN.x, X))
    theirs = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(known.numpy()).kneighbors(x.numpy())[0][:, -1]
    ours = KNN(k).fit(model, TRAIN).score(X)
    torch.testing.assert_close(ours, torch.as_tensor(theirs), atol=1e-7, rtol=0)  # theirs loses digits in a product


@pytest.mark.parametrize("k", [1, 4, 300])
def test_oracle_kth_distance_by_sorting_all_of_them(k):
    """More points than are held at once, and distances that a product of matrices would lose."""
    points, among = normal(600, 3) + 1e6, normal(300, 3, seed=1) + 1e6
    all_of_them = (points[:, None] - among).norm(dim=2)
    torch.testing.assert_close(kth_distance(points, among, k), all_of_them.sort(1).values[:, k - 1])


def test_limit_a_training_input_is_its_own_neighbor_at_distance_zero():
    detector = KNN(1).fit(healthy(), TRAIN)
    assert float(detector.score(TRAIN.x[:20]).abs().max()) == 0


def test_limit_all_training_inputs_are_enough_for_the_last_neighbor():
    detector = KNN(49).fit(healthy(), TRAIN[:49])
    assert bool((detector.score(X) >= KNN(48).fit(healthy(), TRAIN[:49]).score(X)).all())


def test_limit_rows_of_zero_or_huge_entries_have_a_direction_or_none():
    rows = torch.tensor([[0.0, 0.0], [3e200, 4e200]], dtype=torch.float64)
    torch.testing.assert_close(normalized(rows), torch.tensor([[0.0, 0.0], [0.6, 0.8]]).double())


def test_oracle_trust_by_hand():
    """Class 0 at -1 and 0, class 1 at 4: the answer at x is 1 where its first entry is smaller than its second."""
    known = torch.tensor([[-1.0, 0.0], [0.0, 0.0], [4.0, 0.0]]).double()
    detector = TrustScore(1).fit(identity(2), Split(known, torch.tensor([0, 0, 1])))
    x = torch.tensor([[1.0, 0.0], [-2.0, 0.0]]).double()  # answers 0 and 1
    expected = torch.tensor([1 / (1 + 3), 6 / (6 + 1)]).double()
    torch.testing.assert_close(detector.score(x), expected)
    near = TrustScore(1).fit(identity(2), Split(1e-3 * known, torch.tensor([0, 0, 1])))
    torch.testing.assert_close(near.score(1e-3 * x), expected)  # a share, whatever the unit


def test_property_the_loneliest_are_dropped_and_one_stays():
    x = torch.tensor([[0.0], [0.1], [0.2], [0.3], [9.0], [5.0]]).double()
    x = torch.cat([x, torch.zeros_like(x)], 1)
    data = Split(x, torch.tensor([0, 0, 0, 0, 0, 1]))
    kept = TrustScore(2, dropped=0.2).fit(identity(2), data).crowds
    assert torch.equal(kept[0], x[:4])
    assert torch.equal(kept[1], x[5:])
    assert len(TrustScore(2, dropped=0.99).fit(identity(2), data).crowds[0]) == 1


def test_limit_trust_where_classes_coincide_or_the_answer_was_never_seen():
    x = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 5.0]]).double()
    data = Split(torch.tensor([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]).double(), torch.tensor([0, 1]))
    scores = TrustScore(1).fit(identity(3, classes=3), data).score(x)
    assert scores.tolist() == [0.5, 1.0]


def test_property_what_is_taken_where_nothing_is_said():
    model = healthy()
    plain = ODIN(model)
    assert (plain.temperature, plain.epsilon, plain.bounds) == (1000.0, 0.0, (0.0, 1.0))
    assert (KNN().k, TrustScore().k, TrustScore().dropped) == (10, 10, 0.0)
    for kind in (Mahalanobis, RelativeMahalanobis):
        chosen = kind(shrinkage=1e-3).fit(model, TRAIN)
        assert torch.equal(kind().fit(model, TRAIN).score(X), chosen.score(X))
    gaussians = fit_gaussians(TRAIN.x, TRAIN.y)
    assert torch.equal(gaussians.covariance, fit_gaussians(TRAIN.x, TRAIN.y, shrinkage=1e-3).covariance)
    assert gaussians.covariance.dtype == fit_gaussians(TRAIN.x.float(), TRAIN.y).factor.dtype == torch.float64
    assert ViM().fit(model, TRAIN).residual.directions.shape == (32, 16)


def test_oracle_vim_by_an_appended_logit():
    model, k = healthy(), 10
    known, found = read(model, TRAIN.x), read(model, X)
    weight, bias = model.readout.weight.detach(), model.readout.bias.detach()
    origin = -torch.linalg.lstsq(weight, bias[:, None]).solution[:, 0]  # the least one of all with W o + b = 0
    left = torch.linalg.svd(known.features - origin, full_matrices=False).Vh[k:]
    lengths = [((part.features - origin) @ left.T).norm(dim=1) for part in (known, found)]
    virtual = known.logits.amax(1).mean() / lengths[0].mean() * lengths[1]
    probs = torch.cat([found.logits, virtual[:, None]], 1).softmax(1)[:, -1]
    torch.testing.assert_close(ViM(k).fit(model, TRAIN).score(X).sigmoid(), probs, atol=1e-9, rtol=1e-6)


def test_property_vim_gives_the_training_data_a_virtual_logit_as_large_as_the_largest_on_average():
    model = healthy()
    detector = ViM().fit(model, TRAIN)
    known = read(model, TRAIN.x)
    virtual = detector.residual.scale * detector.residual.lengths(known.features)
    torch.testing.assert_close(virtual.mean(), known.logits.amax(1).mean())


def test_property_far_along_known_directions_the_largest_logit_rises_and_vim_falls():
    """Both trust large logits; only ViM sees what training data lack."""
    model, data = identity(3), clusters()
    data = Split(data.x * torch.tensor([1.0, 1.0, 0.01]).double(), data.y)
    x = torch.tensor([[4.0, 0.0, 0.0], [9.0, 0.0, 0.0], [9.0, 0.0, 5.0]]).double()
    logit, virtual = MaxLogit(model).score(x), ViM(2).fit(model, data).score(x)
    torch.testing.assert_close(logit, max_logit_score(model(x)))
    assert logit.tolist() == [-4, -9, -9]
    assert virtual[1] < virtual[0] < virtual[2]


def test_limit_vim_warns_of_negative_logits():
    model = identity(3)
    data = Split(-normal(40, 3).abs(), torch.zeros(40, dtype=torch.int64))
    with pytest.warns(UncertaintyWarning, match="largest logits are positive"):
        ViM(1).fit(model, data)


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_property_a_fitted_detector_finds_permuted_digits_and_leaves_the_network(make, dtype):
    model = healthy().to(dtype)
    before = copy.deepcopy(model.state_dict())
    detector = make().fit(model, TRAIN.to(dtype=dtype))
    inside, outside = X.to(dtype), unknown_inputs(X, "permuted_pixels", generator=seeded()).to(dtype)
    scores = torch.cat([detector.score(inside), detector.score(outside)])
    assert isinstance(detector, Detector)
    assert scores.dtype == dtype
    assert scores.shape == (100,)
    assert float(auroc(scores, torch.arange(100) >= 50)) > 0.75
    assert all(torch.equal(a, b) for a, b in zip(before.values(), model.state_dict().values(), strict=True))


@pytest.mark.parametrize("make", MAKERS)
def test_property_an_input_is_scored_by_itself(make):
    detector = make().fit(healthy(), TRAIN)
    torch.testing.assert_close(detector.score(X)[7:9], detector.score(X[7:9]), atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("make", [*MAKERS, lambda: LayerMahalanobis([None])])
def test_error_before_the_fit(make):
    with pytest.raises(ParameterError, match="call fit"):
        make().score(X)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: KNN(0), "k must be"),
        (lambda: KNN(50).fit(healthy(), TRAIN[:49]), "lower k"),
        (lambda: kth_distance(X, X, 51), "only 50 points"),
        (lambda: TrustScore(dropped=1.0), r"\[0, 1\)"),
        (lambda: TrustScore().fit(healthy(), TRAIN[TRAIN.y == 3]), "give two"),
        (lambda: ViM(0), "dimensions"),
        (lambda: ViM(32).fit(healthy(), TRAIN), "1 to 31"),
        (lambda: ViM(31).fit(mlp((64, 32, 10), generator=seeded()), TRAIN[:20]), "fewer dimensions"),
        (lambda: LayerMahalanobis([]), "a layer at least"),
        (lambda: LayerMahalanobis(["a", "a"]), "each once"),
        (lambda: fit_gaussians(normal(3, 2), torch.zeros(2).long()), "class for each row"),
        (lambda: fit_gaussians(normal(3, 2), torch.zeros(3).long(), shrinkage=2.0), "shrinkage in"),
        (lambda: fit_gaussians(torch.ones(9, 2), torch.zeros(9).long()), "more than one distinct"),
        (lambda: fit_gaussians(normal(9, 2)[:, [0, 0]], torch.zeros(9).long(), shrinkage=0.0), "shrinkage > 0"),
        (lambda: fit_gaussians(normal(3, 2), torch.arange(3) % 2).distances(normal(3, 4)), "must be"),
        (lambda: Mahalanobis().fit(healthy(), Split(TRAIN.x, TRAIN.x)), "class numbers"),
        (lambda: Mahalanobis().fit(healthy(), TRAIN).score(X * float("inf")), "finite"),
    ],
)
def test_error_what_cannot_be_fitted(call, message):
    with pytest.raises(ParameterError, match=message):
        call()
