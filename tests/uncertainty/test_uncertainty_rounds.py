"""Active learning: what is compared differs in what was asked and in nothing else."""

import pytest
import torch

from weightlore.data import Split, few_labels
from weightlore.errors import ParameterError
from weightlore.networks import mlp
from weightlore.training import adam, fit
from weightlore.uncertainty import CategoricalPrediction, UncertaintyWarning
from weightlore.uncertainty.active import run
from weightlore.uncertainty.calibration import expected_calibration_error
from weightlore.uncertainty.measures import nll_categorical
from weightlore.uncertainty.sources import gaussian_ring

TASK = gaussian_ring(3, radius=1.5, spread=0.8)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


POOL, TEST = TASK.draw(60, generator=seeded(1)), TASK.draw(80, generator=seeded(2))


def nearest(data: Split, generator: torch.Generator):
    """Members that each know half of the labels: a softmax of distances to the class means."""

    def predict(x: torch.Tensor) -> CategoricalPrediction:
        logits = []
        for _ in range(4):
            rows = (
                torch.rand(len(data), generator=torch.Generator().manual_seed(len(logits)), dtype=torch.float64) < 0.5
            )
            means = [data.x[(data.y == c) & rows].mean(0) for c in range(3)]
            means = [m if bool(m.isfinite().all()) else data.x[data.y == c].mean(0) for c, m in enumerate(means)]
            logits.append(-torch.cdist(x, torch.stack(means)).square())
        return CategoricalPrediction.from_logits(torch.stack(logits))

    return predict


class Watched:
    """A learner that remembers what it was given."""

    def __init__(self) -> None:
        self.given: list[tuple[Split, float]] = []

    def __call__(self, data: Split, generator: torch.Generator):
        self.given.append((data, float(torch.rand((), generator=generator))))
        return nearest(data, generator)


def test_property_labels_grow_and_all_start_alike():
    watched, told = Watched(), []
    curves = run(
        watched,
        POOL,
        TEST,
        acquisitions=("entropy", "bald"),
        rounds=3,
        count=4,
        seeds=5,
        callback=told.append,
        generator=seeded(),
    )
    assert curves.labeled.tolist() == [6, 10, 14, 18]
    assert list(curves.accuracy) == list(curves.nll) == list(curves.ece) == ["random", "entropy", "bald"]
    assert curves.accuracy["bald"].shape == (5, 4)
    for measure in (curves.accuracy, curves.nll, curves.ece):
        assert torch.equal(measure["random"][:, 0], measure["bald"][:, 0])
        assert not torch.equal(measure["random"], measure["bald"])
    assert [r.labeled for r in told[:4]] == [6, 10, 14, 18]
    assert [r.acquisition for r in told[:12:4]] == ["random", "entropy", "bald"]
    assert told[7].nll == float(curves.nll["entropy"][0, 3])
    assert told[-1].seed == 4


def test_property_a_seed_learns_from_the_same_first_labels_and_states():
    watched = Watched()
    run(watched, POOL, TEST, acquisitions=("bald",), rounds=2, count=4, seeds=5, generator=seeded())
    first = watched.given[:5]  # the start, then two rounds of each acquisition
    assert [len(data) for data, _ in first] == [6, 10, 14, 10, 14]
    assert torch.bincount(first[0][0].y).tolist() == [2, 2, 2]
    assert first[1][1] == first[3][1] != first[2][1] == first[4][1]
    for data, _ in first[1:]:
        assert torch.equal(data.x[:6], first[0][0].x)
        assert len(data.x.unique(dim=0)) == len(data), "nothing is asked twice"
    assert not torch.equal(first[1][0].x, first[3][0].x)
    assert not torch.equal(watched.given[5][0].x, first[0][0].x), "another start for another seed"


def test_oracle_measures_are_those_of_the_test_set():
    curves = run(nearest, POOL, TEST, acquisitions=(), rounds=1, count=2, seeds=5, generator=seeded())
    watched = Watched()
    run(watched, POOL, TEST, acquisitions=(), rounds=1, count=2, seeds=5, generator=seeded())
    p = nearest(watched.given[1][0], seeded())(TEST.x)
    assert float(curves.accuracy["random"][0, 1]) == pytest.approx(float((p.labels == TEST.y).double().mean()))
    assert float(curves.nll["random"][0, 1]) == pytest.approx(float(nll_categorical(p, TEST.y)))
    assert float(curves.ece["random"][0, 1]) == pytest.approx(float(expected_calibration_error(p, TEST.y, bins=4)))


def test_property_the_band_is_mean_and_spread_over_seeds():
    curves = run(nearest, POOL, TEST, rounds=2, count=3, seeds=5, generator=seeded())
    for measure in ("accuracy", "nll", "ece"):
        values = getattr(curves, measure)["bald"]
        mean, spread = curves.band("bald", measure)
        assert torch.equal(mean, values.mean(0))
        torch.testing.assert_close(spread, (values - mean).square().mean(0).sqrt(), atol=1e-12, rtol=0)
    again = run(nearest, POOL, TEST, rounds=2, count=3, seeds=5, generator=seeded())
    assert torch.equal(again.nll["entropy"], curves.nll["entropy"])


def test_property_more_labels_help_a_network():
    def learn(data: Split, generator: torch.Generator):
        networks = [mlp((2, 8, 3), generator=generator) for _ in range(2)]
        for network in networks:
            fit(network, data, generator=generator, epochs=15, batch_size=8, optimizer=adam(0.03))
        return lambda x: torch.stack([network(x).detach().softmax(1) for network in networks])

    curves = run(learn, POOL, TEST, acquisitions=(), rounds=1, count=50, per_class=1, seeds=5, generator=seeded())
    accuracy, nll = (curves.band("random", measure)[0] for measure in ("accuracy", "nll"))
    assert accuracy[1] > accuracy[0] + 0.05
    assert nll[1] < nll[0]


def test_limit_the_pool_is_used_up_and_few_seeds_warn():
    pool, watched = few_labels(POOL, 4, generator=seeded()), Watched()
    with pytest.warns(UncertaintyWarning, match="a band over 1 seeds may miss"):
        curves = run(watched, pool, TEST, acquisitions=("bald",), rounds=2, count=3, seeds=1, generator=seeded())
    assert curves.labeled.tolist() == [6, 9, 12]
    for data, _ in (watched.given[2], watched.given[4]):
        assert sorted(data.x.tolist()) == sorted(pool.x.tolist())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rounds": 0}, "must be >= 1"),
        ({"count": 0}, "must be >= 1"),
        ({"seeds": 0}, "must be >= 1"),
        ({"rounds": 30, "count": 2}, "6 first labels with 30 times 2 more must be in the pool of 60"),
        ({"per_class": 40}, "120 first labels"),
        ({"per_class": 0}, "k must be between 1"),
        ({"acquisitions": ("best",)}, "acquisition is one of 'random'"),
    ],
)
def test_error_arguments(options, message):
    with pytest.raises(ParameterError, match=message):
        run(nearest, POOL, TEST, **options, generator=seeded())


def test_error_a_curve_that_was_not_run():
    curves = run(nearest, POOL, TEST, acquisitions=(), rounds=1, count=2, generator=seeded())
    with pytest.raises(ParameterError, match="one of those that were run, random; got 'bald'"):
        curves.band("bald")
    with pytest.raises(ParameterError, match="measure is one of 'accuracy', 'nll', 'ece', got 'auc'"):
        curves.band("random", "auc")
