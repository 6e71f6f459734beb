"""Nearest neighbors among the training data: how far away is the k-th, and do the neighbors agree with the network?

    normalized(features)                 rows of length 1; a row of zeros stays
    kth_distance(points, among, k)       distance to the k-th nearest of them
    KNN(k).fit(model, data)              that distance between normalized features                    [sun2022knn]
    TrustScore(...).fit(model, data)     distance to the class that the network names, against the nearest other
                                                                                                      [jiang2018trust]

Distances are computed from differences in float64, block by block; below 20,000 training points nothing faster is
needed.
"""

from typing import Self

import torch
from torch import Tensor, nn

from weightlore.data import Split
from weightlore.errors import ParameterError, require_finite
from weightlore.networks.layered import require_counts
from weightlore.training.evaluation import require_classes
from weightlore.uncertainty.ood.reading import not_fitted, read

__all__ = ["KNN", "TrustScore", "kth_distance", "normalized"]

BLOCK = 256  # points whose distances are held at once


def normalized(features: Tensor) -> Tensor:
    """Return the rows brought to length 1; a row of zeros, of an input that no unit answers to, stays zero.

    Args:
        features: shape (N, H), finite.

    Source: [sun2022knn], normalization of the penultimate layer
    """
    require_finite("a feature", features)
    largest = features.abs().amax(1, keepdim=True)
    scaled = features / torch.where(largest > 0, largest, 1.0)  # first to size 1, so that no square overflows
    length = scaled.norm(dim=1, keepdim=True)
    return scaled / torch.where(length > 0, length, 1.0)


def kth_distance(points: Tensor, among: Tensor, k: int) -> Tensor:
    """Return how far the k-th nearest of other points is, in the Euclidean norm.

    Args:
        points: shape (N, H).
        among: the points to be near to, shape (M, H). A point that is itself among them is its own first neighbor.
        k: 1 to M.

    Returns:
        Shape (N,), float64.

    Raises:
        ParameterError: if k is no whole number from 1 to M.

    Example:
        >>> kth_distance(torch.zeros(1, 1), torch.tensor([[1.0], [3.0]]), 2)
        tensor([3.], dtype=torch.float64)

    Source: [ramalho2020density]; [sun2022knn]
    """
    require_counts(k=k)
    if k > len(among):
        raise ParameterError(
            f"there are only {len(among)} points to be near to, got k={k}; lower k or give more training data"
        )
    blocks = [_distances(rows, among.double()).kthvalue(k, dim=1).values for rows in points.double().split(BLOCK)]
    return torch.cat(blocks)


class KNN:
    """An input is strange if the k-th nearest training input is far away, seen by the last hidden layer.

        score = || phi(x) - phi(x_(k)) ||,   rows of phi brought to length 1

    Args:
        k: which neighbor counts, >= 1.
        layer: name of the layer whose output counts as phi; ``None`` for what goes into the readout.

    Raises:
        ParameterError: if k is no whole number >= 1.

    Example:
        >>> from weightlore.data import digits
        >>> from weightlore.networks import healthy
        >>> KNN(10).fit(healthy(), digits("train")).score(digits("test").x[:3]).shape
        torch.Size([3])

    Source: [sun2022knn]; distances in feature space also in [ramalho2020density], who learn a density from them
    """

    def __init__(self, k: int = 10, *, layer: str | None = None) -> None:
        require_counts(k=k)
        self.k, self.layer = k, layer
        self.model: nn.Module | None = None
        self.known = torch.empty(0, 0)

    def fit(self, model: nn.Module, data: Split) -> Self:
        """Keep the features of the training data, and return the detector.

        Args:
            model: returns logits; left as it is.
            data: N training inputs; their classes do not count.

        Raises:
            ParameterError: if there are fewer than k inputs, or something is not finite.
        """
        if len(data) < self.k:
            raise ParameterError(
                f"a {self.k}-th neighbor needs as many training inputs, got {len(data)}; lower k or give more data"
            )
        self.known = normalized(read(model, data.x, self.layer).features.double())
        self.model = model
        return self

    def score(self, x: Tensor) -> Tensor:
        """Return the distances of inputs (N, ...), shape (N,), from 0 to 2, in the dtype of the features.

        Args:
            x: inputs.

        Raises:
            ParameterError: if the detector has not been fitted, or x is empty or not finite.
        """
        if self.model is None:
            raise not_fitted(self)
        found = read(self.model, x, self.layer).features
        return kth_distance(normalized(found.double()), self.known, self.k).to(found.dtype)


class TrustScore:
    """An answer is doubtful if another class is nearer than the one that the network names.

        trust = d(x, nearest other class) / d(x, class of the answer),   score = 1 / (1 + trust)

    Before, each class drops its loneliest points: the share ``dropped`` with the largest distance to their k-th
    neighbor in the class (themselves included). At least one point stays.

    Args:
        k: which neighbor counts as crowd, >= 1; a smaller class takes all it has.
        dropped: share of each class that is left out, in [0, 1).
        layer: name of the layer whose output counts as the place of an input; ``None`` for what goes into the readout.

    Raises:
        ParameterError: if k or the share is out of range.

    Example:
        >>> from weightlore.data import digits
        >>> from weightlore.networks import healthy
        >>> TrustScore().fit(healthy(), digits("train")).score(digits("test").x[:3]).shape
        torch.Size([3])

    Source: [jiang2018trust]; that a score is 1 / (1 + trust), which points the other way and has no infinite values, is
        ours
    """

    def __init__(self, k: int = 10, *, dropped: float = 0.0, layer: str | None = None) -> None:
        require_counts(k=k)
        if not 0 <= dropped < 1:
            raise ParameterError(f"dropped is the share of each class to be left out, in [0, 1), got {dropped}")
        self.k, self.dropped, self.layer = k, dropped, layer
        self.model: nn.Module | None = None
        self.crowds: dict[int, Tensor] = {}

    def fit(self, model: nn.Module, data: Split) -> Self:
        """Keep the crowded points of each class, and return the detector.

        Args:
            model: returns logits; left as it is.
            data: N training inputs with class numbers, two classes at least.

        Raises:
            ParameterError: if there are fewer than two classes, or something is not finite.
        """
        require_classes(data)
        classes = data.y.unique().tolist()
        if len(classes) < 2:
            raise ParameterError(f"trust compares the answer with other classes, got data of {len(classes)}; give two")
        found = read(model, data.x, self.layer).features.double()
        self.crowds = {label: self._crowded(found[data.y == label]) for label in classes}
        self.model = model
        return self

    def score(self, x: Tensor) -> Tensor:
        """Return 1 / (1 + trust) of the answers to inputs (N, ...), shape (N,), from 0 to 1.

        Where both distances are 0 it is 1/2; where the answer is a class without training data it is 1.

        Args:
            x: inputs.

        Raises:
            ParameterError: if the detector has not been fitted, or x is empty or not finite.
        """
        if self.model is None:
            raise not_fitted(self)
        found = read(self.model, x, self.layer)
        answer = found.logits.argmax(1, keepdim=True)
        columns = [kth_distance(found.features, crowd, 1) for crowd in self.crowds.values()]
        distances = torch.stack(columns, 1)  # (N, classes seen)
        own = torch.tensor(list(self.crowds), device=answer.device) == answer
        near = distances.masked_fill(~own, float("inf")).amin(1)
        other = distances.masked_fill(own, float("inf")).amin(1)
        shares = torch.where(near + other > 0, near / (near + other), 0.5)
        return torch.where(near.isinf(), 1.0, shares).to(found.features.dtype)

    def _crowded(self, points: Tensor) -> Tensor:
        """Return the points of a class without the loneliest."""
        gone = min(int(self.dropped * len(points)), len(points) - 1)
        if gone == 0:
            return points
        lonely = kth_distance(points, points, min(self.k, len(points)))
        return points[lonely.argsort(stable=True)[: len(points) - gone]]


def _distances(points: Tensor, among: Tensor) -> Tensor:
    """Return Euclidean distances, shape (N, M), without the cancellation of a product of matrices."""
    return torch.cdist(points, among, compute_mode="donot_use_mm_for_euclid_dist")
