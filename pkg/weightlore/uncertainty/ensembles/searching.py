"""Train a pool of networks that differ in more than their initial weights, and choose an ensemble from it.

    HyperDeepEnsemble.search(draw, train, ...)    random settings, each from several seeds; chosen with replacement
    ensemble_search(draw, train, ...)             random architectures; chosen without replacement
    SearchedEnsemble                              the networks that were chosen, and why

A *setting* is whatever ``draw`` returns and ``train`` understands: a learning rate, a width, a list of layers.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.networks.layered import require_counts
from weightlore.training.evaluation import require_classes, require_fitting
from weightlore.uncertainty.ensembles.lessons import own_generators
from weightlore.uncertainty.ensembles.members import DeepEnsemble
from weightlore.uncertainty.ensembles.selection import Selection, select_greedily
from weightlore.uncertainty.predictions import CategoricalPrediction

__all__ = ["HyperDeepEnsemble", "SearchedEnsemble", "ensemble_search"]

Setting = TypeVar("Setting")


@dataclass(frozen=True, eq=False)
class SearchedEnsemble(Generic[Setting]):
    """Networks that were chosen from a pool, with what each was made of.

    Args:
        networks: those chosen, each once, in the order of their first choice.
        settings: of each of them.
        selection: which members of the whole pool were chosen, how often, and the validation loss after each choice.
        pool: settings of the whole pool.

    Source: [wenzel2020hyper]; [zaidi2021search]
    """

    networks: tuple[nn.Module, ...]
    settings: tuple[Setting, ...]
    selection: Selection
    pool: tuple[Setting, ...]

    def predict(self, x: Tensor) -> CategoricalPrediction:
        """Return what the members say, one for each choice: a network that was chosen twice counts twice.

        Args:
            x: inputs, shape (N, ...).

        Raises:
            ParameterError: if x is empty or not finite, or an output is.
        """
        probs = _classes(DeepEnsemble(self.networks), x).probs
        places = {number: place for place, number in enumerate(self.selection.distinct)}
        return CategoricalPrediction(probs[[places[number] for number in self.selection.chosen]])


class HyperDeepEnsemble(SearchedEnsemble[Setting]):
    """An ensemble over settings and seeds: what differs is how networks were trained, and from which initial weights.

    Example:
        >>> from weightlore.networks import mlp
        >>> data = Split(torch.rand(9, 2, dtype=torch.float64), torch.arange(9) % 2)
        >>> widths = lambda g: int(torch.randint(4, 64, (), generator=g))
        >>> train = lambda width, g: mlp((2, width, 2), generator=g)  # a real one would fit it
        >>> found = HyperDeepEnsemble.search(widths, train, data, generator=torch.Generator().manual_seed(0))
        >>> len(found.pool)
        30

    Source: [wenzel2020hyper]
    """

    @classmethod
    def search(
        cls,
        draw: Callable[[torch.Generator], Setting],
        train: Callable[[Setting, torch.Generator], nn.Module],
        validation: Split,
        *,
        candidates: int = 10,
        seeds: int = 3,
        members: int = 5,
        preselected: int | None = None,
        generator: torch.Generator,
    ) -> "HyperDeepEnsemble[Setting]":
        """Train random settings from several seeds and choose among all of them.

        Args:
            draw: returns a random setting.
            train: returns a trained network for a setting; all its chance comes from its generator.
            validation: where the choice is made.
            candidates: how many settings are drawn.
            seeds: how often each is trained.
            members: choices at most, with replacement; fewer where no choice lowers the loss.
            preselected: train all settings once first, choose so many members among them, and give further seeds only
                to those settings; ``None`` gives all of them ``seeds`` seeds.
            generator: of the settings and of one seed for each training.

        Returns:
            The ensemble.

        Raises:
            ParameterError: if a number is no whole one of at least 1, the validation data hold no class numbers, or a
                network's output is not finite.
        """
        require_counts(seeds=seeds, members=members)
        settings = _drawn(draw, candidates, validation, generator)
        pool, nets = list(settings), [train(s, own) for s, own in _with_own(settings, generator)]
        again: Sequence[Setting] = settings
        if preselected is not None:
            first = select_greedily(_probs(nets, validation), validation.y, members=preselected)
            again = [settings[number] for number in first.distinct]
        for _ in range(seeds - 1):
            nets += [train(s, own) for s, own in _with_own(again, generator)]
            pool += again
        return cls(*_chosen(nets, pool, validation, members, replacement=True))


def ensemble_search(
    draw: Callable[[torch.Generator], Setting],
    train: Callable[[Setting, torch.Generator], nn.Module],
    validation: Split,
    *,
    pool: int = 10,
    members: int = 5,
    generator: torch.Generator,
) -> SearchedEnsemble[Setting]:
    """Train networks of random architectures and choose those that are good together.

    Args:
        draw: returns a random architecture, in whatever form.
        train: returns a trained network of it; all its chance comes from its generator.
        validation: where the choice is made.
        pool: how many networks are trained.
        members: how many are chosen, without replacement; fewer where no choice lowers the loss.
        generator: of the architectures and of one seed for each training.

    Returns:
        The ensemble.

    Raises:
        ParameterError: if a number is no whole one of at least 1, the validation data hold no class numbers, or a
            network's output is not finite.

    Example:
        >>> from weightlore.data import digits
        >>> from weightlore.networks import mlp
        >>> from weightlore.training import fit
        >>> def train(width, g):
        ...     net = mlp((64, width, 10), generator=g)
        ...     _ = fit(net, digits("train"), generator=g, epochs=1)
        ...     return net
        >>> widths = lambda g: int(torch.randint(4, 64, (), generator=g))
        >>> start = torch.Generator().manual_seed(0)
        >>> len(ensemble_search(widths, train, digits("validation"), pool=3, generator=start).pool)
        3

    Source: [zaidi2021search], random search with forward selection; that it stops early is ours
    """
    require_counts(members=members)
    settings = _drawn(draw, pool, validation, generator)
    nets = [train(setting, own) for setting, own in _with_own(settings, generator)]
    return SearchedEnsemble(*_chosen(nets, settings, validation, members, replacement=False))


def _drawn(
    draw: Callable[[torch.Generator], Setting], count: int, validation: Split, generator: torch.Generator
) -> list[Setting]:
    """Draw the settings, after a look at the data: a search is long."""
    require_counts(settings=count)
    require_classes(validation, "validation")
    return [draw(generator) for _ in range(count)]


def _with_own(settings: Sequence[Setting], generator: torch.Generator) -> list[tuple[Setting, torch.Generator]]:
    """Pair each setting with a generator of its own, so that no training depends on another's."""
    return list(zip(settings, own_generators(len(settings), generator), strict=True))


def _chosen(
    nets: Sequence[nn.Module], settings: Sequence[Setting], validation: Split, members: int, *, replacement: bool
) -> tuple[tuple[nn.Module, ...], tuple[Setting, ...], Selection, tuple[Setting, ...]]:
    """Choose from the pool and return the parts of the ensemble."""
    found = select_greedily(_probs(nets, validation), validation.y, members=members, replacement=replacement)
    networks = tuple(nets[number] for number in found.distinct)
    return networks, tuple(settings[number] for number in found.distinct), found, tuple(settings)


def _probs(nets: Sequence[nn.Module], data: Split) -> Tensor:
    """Return the class probabilities of all networks on validation data, shape (S, N, C)."""
    ensemble = DeepEnsemble(tuple(nets))
    require_fitting(nets[0], data, "validation")
    return _classes(ensemble, data.x).probs


def _classes(ensemble: DeepEnsemble, x: Tensor) -> CategoricalPrediction:
    said = ensemble.predict(x)
    if not isinstance(said, CategoricalPrediction):
        raise ParameterError("a search chooses among classifiers, but these networks return a mean and a variance")
    return said
