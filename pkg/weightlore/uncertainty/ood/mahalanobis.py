"""Mahalanobis detectors: how many standard deviations is an input away from the nearest class?

Mahalanobis()            min_c d_c^2 in one layer                                      [lee2018mahalanobis]
RelativeMahalanobis()    min_c d_c^2 - d_0^2, with one Gaussian for all the data       [ren2021mahalanobis]
LayerMahalanobis(...)    w . (scores of several layers) + b, fitted on validation inputs of both kinds
"""

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor, nn

from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.training.evaluation import require_classes
from weightlore.uncertainty.judges.meta import MetaClassifier
from weightlore.uncertainty.ood.gaussians import ClassGaussians, fit_gaussians
from weightlore.uncertainty.ood.reading import not_fitted, read

__all__ = ["LayerMahalanobis", "Mahalanobis", "RelativeMahalanobis"]


class Mahalanobis:
    """An input is strange if it is far from the mean of every class, measured in the spread of the classes.

        score = min_c (phi - m_c)^T Sigma^{-1} (phi - m_c)

    Args:
        shrinkage: r in [0, 1], as for ``fit_gaussians``.
        layer: name of the layer whose output counts as phi; ``None`` for what goes into the readout.

    Example:
        >>> from weightlore.data import digits
        >>> from weightlore.networks import healthy
        >>> Mahalanobis().fit(healthy(), digits("train")).score(digits("test").x[:3]).shape
        torch.Size([3])

    Source: [lee2018mahalanobis], without the push of the input
    """

    def __init__(self, *, shrinkage: float = 1e-3, layer: str | None = None) -> None:
        self.shrinkage, self.layer = shrinkage, layer
        self.model: nn.Module | None = None
        self.gaussians: ClassGaussians | None = None

    def fit(self, model: nn.Module, data: Split) -> Self:
        """Fit the Gaussians to the features of the training data, and return the detector.

        Args:
            model: returns logits; left as it is.
            data: N training inputs with class numbers.

        Raises:
            ParameterError: if something is not finite, or the covariance cannot be inverted.
        """
        require_classes(data)
        found = read(model, data.x, self.layer).features
        self.gaussians = fit_gaussians(found, data.y, shrinkage=self.shrinkage)
        self.model = model
        return self

    def score(self, x: Tensor) -> Tensor:
        """Return the squared distance of inputs (N, ...) to the nearest class, shape (N,), in the features' dtype.

        Args:
            x: inputs.

        Raises:
            ParameterError: if the detector has not been fitted, or x is empty or not finite.
        """
        if self.model is None or self.gaussians is None:
            raise not_fitted(self)
        found = read(self.model, x, self.layer).features
        return self.gaussians.distances(found).amin(1).to(found.dtype)


class RelativeMahalanobis:
    """An input is strange if it is further from every class than from the data as a whole.

        score = min_c d_c^2(phi) - d_0^2(phi)

    What all inputs share, also the strange ones, counts in both and drops out.

    Args:
        shrinkage: r in [0, 1], of both covariances.
        layer: name of the layer whose output counts as phi; ``None`` for what goes into the readout.

    Example:
        >>> from weightlore.data import digits
        >>> from weightlore.networks import healthy
        >>> RelativeMahalanobis().fit(healthy(), digits("train")).score(digits("test").x[:3]).shape
        torch.Size([3])

    Source: [ren2021mahalanobis]
    """

    def __init__(self, *, shrinkage: float = 1e-3, layer: str | None = None) -> None:
        self.shrinkage, self.layer = shrinkage, layer
        self.model: nn.Module | None = None
        self.gaussians: tuple[ClassGaussians, ClassGaussians] | None = None

    def fit(self, model: nn.Module, data: Split) -> Self:
        """Fit the Gaussians of the classes and the one of all data, and return the detector.

        Args:
            model: returns logits; left as it is.
            data: N training inputs with class numbers.

        Raises:
            ParameterError: if something is not finite, or a covariance cannot be inverted.
        """
        require_classes(data)
        found = read(model, data.x, self.layer).features
        labels = (data.y, torch.zeros_like(data.y))
        classes, background = (fit_gaussians(found, y, shrinkage=self.shrinkage) for y in labels)
        self.model, self.gaussians = model, (classes, background)
        return self

    def score(self, x: Tensor) -> Tensor:
        """Return the difference of squared distances of inputs (N, ...), shape (N,); it can be negative.

        Args:
            x: inputs.

        Raises:
            ParameterError: if the detector has not been fitted, or x is empty or not finite.
        """
        if self.model is None or self.gaussians is None:
            raise not_fitted(self)
        found = read(self.model, x, self.layer).features
        classes, background = (one.distances(found) for one in self.gaussians)
        return (classes.amin(1) - background[:, 0]).to(found.dtype)


class LayerMahalanobis:
    """Several layers together: a logistic regression weighs the scores of each.

        score = sigmoid( sum_l w_l s_l(x) + b ),   s_l the score of ``Mahalanobis`` in layer l

    Args:
        layers: names of layers, ``None`` for what goes into the readout; each once.
        shrinkage: r in [0, 1].

    Raises:
        ParameterError: if there is no layer, or one is named twice.

    Example:
        >>> from weightlore.data import digits
        >>> from weightlore.networks import healthy
        >>> detector, known = LayerMahalanobis(["nonlinear.0", None]), digits("validation").x[:50]
        >>> _ = detector.fit(healthy(), digits("train"), inside=known, outside=known.flip(1))
        >>> detector.score(digits("test").x[:3]).shape
        torch.Size([3])

    Source: [lee2018mahalanobis], feature ensemble; the penalty of the regression is ours
    """

    def __init__(self, layers: Sequence[str | None], *, shrinkage: float = 1e-3) -> None:
        if not layers or len(set(layers)) < len(layers):
            raise ParameterError(f"an ensemble of layers needs a layer at least, each once, got {list(layers)}")
        self.detectors = [Mahalanobis(shrinkage=shrinkage, layer=layer) for layer in layers]
        self.judge: MetaClassifier | None = None

    def fit(self, model: nn.Module, data: Split, *, inside: Tensor, outside: Tensor) -> Self:
        """Fit the Gaussians on training data and the weights on validation inputs of both kinds.

        Args:
            model: returns logits; left as it is.
            data: N training inputs with class numbers.
            inside: known inputs that were not trained on.
            outside: strange inputs, of another kind than those of the test.

        Raises:
            ParameterError: as ``Mahalanobis.fit``, or if one of the two sets is empty.
        """
        for detector in self.detectors:
            detector.fit(model, data)
        strange = torch.arange(len(inside) + len(outside), device=inside.device) >= len(inside)
        self.judge = MetaClassifier(self.scores).fit(torch.cat([inside, outside]), strange)
        return self

    def scores(self, x: Tensor) -> Tensor:
        """Return what each layer says of the inputs (N, ...), shape (N, number of layers)."""
        return torch.stack([detector.score(x) for detector in self.detectors], 1)

    def score(self, x: Tensor) -> Tensor:
        """Return the probability that an input is strange, shape (N,), by the measure of the validation inputs.

        Args:
            x: inputs, shape (N, ...).

        Raises:
            ParameterError: if the detector has not been fitted, or x is empty or not finite.
        """
        if self.judge is None:
            raise not_fitted(self)
        return self.judge.score(x)
