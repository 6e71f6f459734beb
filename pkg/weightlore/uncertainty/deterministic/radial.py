"""Classes as balls: a network that is sure of a class only near the center of that class.

Features h are mapped by a matrix of each class, and compared with the running mean of that class's training features
[vanamersfoort2020duq]:

    q_c = mean_m (W_c h - e_c)_m^2 / (2 s^2),   K_c = exp(-q_c)        RBFHead
    n_c <- g n_c + (1 - g) #{y = c},   m_c <- g m_c + (1 - g) sum_{y = c} W_c h,   e_c = m_c / n_c
    1/N sum_i sum_c -ln (K_c or 1 - K_c)                               radial_loss
    lambda mean (|d/dx sum_c K_c|^2 - 1)^2                             gradient_penalty
    1 - max_c K_c                                                      DUQ.score
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from weightlore.data.split import require_labels
from weightlore.errors import ParameterError, require_finite
from weightlore.networks.layered import require_counts
from weightlore.training import in_mode
from weightlore.uncertainty.predictions import CategoricalPrediction

__all__ = ["DUQ", "RBFHead", "gradient_penalty", "radial_loss"]


class RBFHead(nn.Module):
    """The last layer of a network that measures distances to class centers.

        K_c = exp(-mean_m (W_c h - e_c)_m^2 / (2 s^2)),   in (0, 1]

    Args:
        features: width H of what comes in.
        classes: C.
        size: M, dimensions in which distances are measured.
        length_scale: s > 0, in the unit of W h.
        momentum: g in [0, 1), what a step keeps of the running means.
        start: n_c before the first batch, > 0: the larger, the longer the first centers last.
        generator: where weights and first centers are drawn from.
        dtype: floating dtype of the parameters.

    Raises:
        ParameterError: if an argument is out of range.

    Example:
        >>> head = RBFHead(16, 3, size=4, length_scale=0.3, generator=torch.Generator().manual_seed(0))
        >>> head(torch.zeros(5, 16, dtype=torch.float64)).shape
        torch.Size([5, 3])

    Source: [vanamersfoort2020duq], kernel and moving averages of centroids
    """

    counts: Tensor
    sums: Tensor

    def __init__(
        self,
        features: int,
        classes: int,
        *,
        size: int,
        length_scale: float,
        momentum: float = 0.99,
        start: float = 12.0,
        generator: torch.Generator,
        dtype: torch.dtype = torch.float64,
    ) -> None:
        super().__init__()
        require_counts(features=features, classes=classes, size=size)
        if not (0 < length_scale < math.inf and 0 < start < math.inf and 0 <= momentum < 1):
            raise ParameterError(
                "length_scale and start must be positive and finite and momentum in [0, 1), "
                f"got {length_scale}, {start}, {momentum}"
            )
        self.length_scale, self.momentum = length_scale, momentum
        weight = _normal(generator, classes, size, features) * (2 / features) ** 0.5
        self.weight = nn.Parameter(weight.to(dtype))
        self.register_buffer("counts", torch.full((classes,), float(start), dtype=dtype, device=generator.device))
        self.register_buffer("sums", (start * 0.05 * _normal(generator, classes, size)).to(dtype))

    @property
    def centroids(self) -> Tensor:
        """e_c = m_c / n_c, shape (C, M)."""
        return self.sums / self.counts[:, None]

    def exponents(self, h: Tensor) -> Tensor:
        """Return q_c >= 0, shape (N, C): scaled squared distances to the centers.

        Args:
            h: features, shape (N, H).

        Raises:
            ParameterError: if the shape is another.
        """
        difference = self._embedded(h) - self.centroids
        return difference.square().mean(-1) / (2 * self.length_scale**2)

    def forward(self, h: Tensor) -> Tensor:
        """Return K_c = exp(-q_c), shape (N, C).

        Args:
            h: features, shape (N, H).
        """
        return self.exponents(h).neg().exp()

    @torch.no_grad()
    def update(self, h: Tensor, y: Tensor) -> None:
        """Move the running means towards a batch; call it once after each step of the optimizer.

        A class without an example in the batch keeps its center: both its mean and its count shrink by g.

        Args:
            h: features of the updated network, shape (N, H), finite.
            y: class numbers, shape (N,), int64.

        Raises:
            ParameterError: if shapes or numbers do not fit.
        """
        _require_targets(y, len(h), len(self.weight))
        embedded, own = self._embedded(require_finite("features", h)), functional.one_hot(y, len(self.weight))
        summed = torch.einsum("ncm,nc->cm", embedded, own.to(embedded))
        self.counts.lerp_(own.sum(0).to(self.counts), 1 - self.momentum)
        self.sums.lerp_(summed, 1 - self.momentum)

    def _embedded(self, h: Tensor) -> Tensor:
        if h.ndim != 2 or h.shape[1] != self.weight.shape[2]:
            raise ParameterError(f"the head reads features (N, {self.weight.shape[2]}), got {tuple(h.shape)}")
        return torch.einsum("cmh,nh->ncm", self.weight, h)


class DUQ(nn.Module):
    """A network whose last layer is an ``RBFHead``; ``fit_duq`` trains it.

        label = argmax_c K_c,   score = 1 - max_c K_c

    Args:
        trunk: from inputs (N, ...) to features (N, H); ``trunk_of`` takes one from a network. Kept, not copied.
        head: reads H features.

    Example:
        >>> head = RBFHead(2, 3, size=4, length_scale=0.3, generator=torch.Generator().manual_seed(0))
        >>> model = DUQ(nn.Identity(), head)
        >>> model.score(torch.full((1, 2), 1e3, dtype=torch.float64))
        tensor([1.], dtype=torch.float64)

    Source: [vanamersfoort2020duq], the uncertainty by the largest kernel
    """

    def __init__(self, trunk: nn.Module, head: RBFHead) -> None:
        super().__init__()
        self.trunk, self.head = trunk, head

    def exponents(self, x: Tensor) -> Tensor:
        """Return q_c, shape (N, C); see ``RBFHead.exponents``.

        Args:
            x: inputs, shape (N, ...).
        """
        return self.head.exponents(self.trunk(x))

    def forward(self, x: Tensor) -> Tensor:
        """Return K_c, shape (N, C): the largest names the class.

        Args:
            x: inputs, shape (N, ...).
        """
        return self.exponents(x).neg().exp()

    @torch.no_grad()
    def update(self, x: Tensor, y: Tensor) -> None:
        """Move the centers towards a batch, with features of the network as it is now, in evaluation mode.

        Args:
            x: inputs, shape (N, ...).
            y: class numbers, shape (N,), int64.
        """
        with in_mode(self.trunk, training=False):
            self.head.update(self.trunk(x), y)

    @torch.no_grad()
    def score(self, x: Tensor) -> Tensor:
        """Return 1 - max_c K_c, shape (N,), in [0, 1]: larger is farther from all that was seen.

        Args:
            x: inputs, shape (N, ...).

        Raises:
            ParameterError: if x is not finite.
        """
        with in_mode(self, training=False):
            return -torch.expm1(-self.exponents(require_finite("x", x)).amin(-1))

    @torch.no_grad()
    def predict_proba(self, x: Tensor) -> CategoricalPrediction:
        """Return K_c / sum_c K_c; it forgets how far away an input is, ``score`` does not.

        Args:
            x: inputs, shape (N, ...).

        Raises:
            ParameterError: if x is not finite.
        """
        with in_mode(self, training=False):
            return CategoricalPrediction.from_logits(-self.exponents(require_finite("x", x)))


def radial_loss(exponents: Tensor, y: Tensor) -> Tensor:
    """Return the binary cross-entropies of all classes, summed, as a mean over examples.

        1/N sum_i [ q_iy - sum_{c != y} ln(1 - exp(-q_ic)) ]

    It is computed from the exponents: from K itself an example far from its center would get no gradient.

    Args:
        exponents: q_c = -ln K_c, shape (N, C), >= 0.
        y: class numbers, shape (N,), int64.

    Returns:
        The loss in nats, shape (), differentiable.

    Raises:
        ParameterError: if shapes do not fit, an exponent is negative, or a target is no class number.

    Example:
        >>> radial_loss(torch.tensor([[0.0, 100.0]]), torch.tensor([0]))
        tensor(0.)

    Source: [vanamersfoort2020duq], loss
    """
    if exponents.ndim != 2 or not bool((exponents >= 0).all()):
        raise ParameterError(f"exponents must be >= 0, shape (N, C), got {tuple(exponents.shape)}")
    _require_targets(y, *exponents.shape)
    own = functional.one_hot(y, exponents.shape[1]).bool()
    apart = exponents.clamp(min=torch.finfo(exponents.dtype).eps)  # at the center of another class: large, not infinite
    return torch.where(own, exponents, -torch.log(-torch.expm1(-apart))).sum(1).mean()


def gradient_penalty(model: DUQ, x: Tensor) -> Tensor:
    """Return how far the slope of the kernels is from one: flat features would hide distances, steep ones break them.

        mean_i (|d/dx_i sum_c K_c(x_i)|^2 - 1)^2

    It punishes both sides. A layer in place (``nn.ReLU(inplace=True)``) may follow convolutions and linear maps; after
    a layer whose slope is found from its own output, as a sigmoid's, it cannot be differentiated.

    Args:
        model: whose parameters it is differentiable in. Rows must not see one another: with batch statistics the slope
            of a row would be that of the batch.
        x: inputs, shape (N, ...), floating; left as it is.

    Returns:
        The penalty, shape ().

    Raises:
        ParameterError: if x is not floating, or a layer in place has overwritten what the slope needs.

    Example:
        >>> head = RBFHead(2, 3, size=4, length_scale=0.3, generator=torch.Generator().manual_seed(0))
        >>> far = torch.full((1, 2), 1e3, dtype=torch.float64)
        >>> gradient_penalty(DUQ(nn.Identity(), head), far).item()
        1.0

    Source: [vanamersfoort2020duq], two-sided gradient penalty
    """
    if not x.is_floating_point():
        raise ParameterError(f"inputs must be floating to have a slope, got {x.dtype}")
    with torch.enable_grad():
        inputs = x.detach().clone().requires_grad_()
        said = model(inputs.clone()).sum()  # a first layer in place may overwrite the copy
        try:
            (slope,) = torch.autograd.grad(said, inputs, create_graph=True)
        except RuntimeError as error:
            if "inplace" not in str(error):
                raise
            raise ParameterError(f"the kernels have no slope; make layers with inplace=False ({error})") from error
    return (slope.flatten(1).square().sum(1) - 1).square().mean()


def _require_targets(y: Tensor, examples: int, classes: int) -> None:
    if y.shape != (examples,) or y.dtype != torch.int64:
        raise ParameterError(
            f"y must be class numbers, shape ({examples},) and dtype int64, got {tuple(y.shape)}, {y.dtype}"
        )
    require_labels(y, classes)


def _normal(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(shape, generator=generator, dtype=torch.float64, device=generator.device)
