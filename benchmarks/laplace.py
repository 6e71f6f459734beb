"""Laplace approximations: the curvature of 2,000 examples and linearized class probabilities of 500 others.

An MLP 784-128-10 in float32, prior precision 1, the probit approximation. laplace-torch has several ways to its
curvature; each race has the fastest for its structure. Its Kronecker factors leave out the correlations of a bias with
the weights of its layer, which changes a probability by up to 0.003 here; the rest is the same. *Backwards* is a bound:
one pass forward, as many passes back to the layers as there are classes, and one product of the shape of each layer's
weights.
"""

import copy
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec

import torch
from torch import Tensor, nn

from benchmarks.race import Race
from weightlore.data import Split
from weightlore.networks.layered import built
from weightlore.training import adam, fit
from weightlore.uncertainty.laplace import Laplace
from weightlore.uncertainty.laplace.approximation import Subset
from weightlore.uncertainty.laplace.diag import root_directions
from weightlore.uncertainty.laplace.terms import Structure

N, TESTED, CLASSES = 2000, 500, 10
Found = Callable[[], Tensor]
# Structure, subset, the peer's fastest back end, how many times our time it takes at least.
CASES: dict[str, tuple[Structure, Subset, str | None, float]] = {
    "diag": ("diag", "all", "BackPackGGN", 50),
    "kron": ("kron", "all", "CurvlinopsGGN", 3),
    "ekfac": ("ekfac", "all", None, 0),
    "last layer": ("full", "last_layer", "BackPackGGN", 8),
}


def races() -> list[Race]:
    if find_spec("laplace") is None:
        print("  laplace-torch left out: not installed", flush=True)
    model, data, x = _trained()
    return [_race(name, model, data, x) for name in CASES]


def _race(name: str, model: nn.Module, data: Split, x: Tensor) -> Race:
    structure, subset, backend, least = CASES[name]
    ours = partial(_ours, model, data, x, structure=structure, subset=subset)
    right = ours()
    contestants: dict[str, Found] = {
        "Laplace": ours,
        "backwards": partial(_after, partial(_backwards, model, data), right),
    }
    targets: dict[str, float] = {}
    if backend and find_spec("laplace"):
        contestants["laplace-torch"] = partial(_peer, model, data, x, structure, subset, backend)
        targets["laplace-torch"] = least
    peer = f"; laplace-torch {version('laplace-torch')}, {backend}" if targets else ""
    return Race(
        name=name,
        what=f"fit on {N:,} examples and probabilities of {TESTED}, MLP 784-128-{CLASSES}, float32{peer}",
        contestants=contestants,
        candidate="Laplace",
        reference="Laplace",
        tolerance=0.02 if structure == "kron" else 1e-3,  # biases apart; sums in float32
        targets=targets,
    )


def _trained() -> tuple[nn.Module, Split, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(N, 784, generator=generator)
    y = (x @ torch.randn(784, CLASSES, generator=generator)).argmax(1)
    model = built(
        lambda: nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, CLASSES)),
        generator=generator,
        dtype=torch.float32,
    )
    data = Split(x, y)
    fit(model, data, optimizer=adam(1e-3), epochs=60, batch_size=N, generator=generator)
    return model.eval(), data, torch.rand(TESTED, 784, generator=generator)


def _ours(model: nn.Module, data: Split, x: Tensor, *, structure: Structure, subset: Subset) -> Tensor:
    posterior = Laplace(model, "classification", structure=structure, subset=subset).fit(data)
    prediction = posterior.predict(x)
    return prediction.mean


def _peer(model: nn.Module, data: Split, x: Tensor, structure: str, subset: str, backend: str) -> Tensor:
    import laplace
    from laplace import curvature
    from torch.utils.data import DataLoader, TensorDataset

    posterior = laplace.Laplace(
        copy.deepcopy(model),
        "classification",
        subset_of_weights=subset,
        hessian_structure=structure,
        prior_precision=1.0,
        backend=getattr(curvature, backend),
    )
    posterior.fit(DataLoader(TensorDataset(data.x, data.y), batch_size=200))
    rows = [posterior(rows, pred_type="glm", link_approx="probit").detach() for rows in x.split(100)]
    return torch.cat(rows)


def _backwards(model: nn.Module, data: Split) -> None:
    for found in root_directions(model, data, "classification"):
        for a, g in zip(found.inputs, found.backward, strict=True):
            g[:, :, 0].sum(1).mT @ a[:, 0]


def _after(work: Callable[[], object], right: Tensor) -> Tensor:
    """Do a part of the work, which has no result that could be compared."""
    work()
    return right
