"""Flat minima by corrupted gradients: three neighbors of resistant training, and the symmetry that tells them apart.

All follow the gradient at theta + a, with a from the gradient g of the same batch; they differ in the ball a lives in:

    sam_step      a = rho g / ||g||_2                                a ball around theta
    asam_step     a = rho T^2 g / ||T g||_2 ,  T = diag(|theta|)     a ball that scales with every parameter
    awp_step      a_l = gamma ||theta_l|| g_l / ||g_l||_2            one ball per tensor, that scales with it

    rescale       multiply a layer by c and the next by 1/c: the same function through ReLU, another theta

Only balls that scale with theta look the same at both thetas.
"""

import copy
from collections.abc import Callable
from itertools import pairwise
from math import isfinite

import torch
from torch import Tensor, nn

from weightlore.corruption.arguments import require_real
from weightlore.corruption.averaging import averaged_step
from weightlore.corruption.budgets import Budget
from weightlore.corruption.passes import Passes
from weightlore.corruption.resistance import resistant_step
from weightlore.errors import ParameterError, require_finite
from weightlore.parameters import Group, ParameterLayout
from weightlore.training import Step, cross_entropy

__all__ = ["asam_step", "awp_step", "rescale", "sam_step"]

LAYERS = (nn.Linear, nn.Conv2d)
POOLS = (nn.AvgPool2d, nn.MaxPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)
OPEN = (*LAYERS, *POOLS, nn.ReLU, nn.LeakyReLU, nn.Identity, nn.Dropout, nn.Flatten, nn.Unflatten)  # let c > 0 through


def sam_step(rho: float, *, group: Group = None, base: Step = cross_entropy) -> Step:
    """Return the step of sharpness-aware minimization: resistant training with alpha = 1, p = 2 and n = k.

        d = grad L(theta + rho g/||g||_2)

    Args:
        rho: radius of the ball, >= 0, in the unit of the parameters; 0 gives the base step itself.
        group: which parameters are corrupted.
        base: the step whose loss is followed.

    Returns:
        A step for ``training.fit``.

    Raises:
        ParameterError: if rho is negative or not finite; from the step, if a gradient is not finite.

    Source: [foret2021sam], Eq. (2) and (3)
    """
    return resistant_step(Budget(_size("rho", rho)), alpha=1.0, group=group, base=base)


def asam_step(rho: float, *, eta: float = 0.0, group: Group = None, base: Step = cross_entropy) -> Step:
    """Return the step of adaptive sharpness-aware minimization: the ball scales with every parameter.

        d = grad L(theta + a) ,   a = rho T^2 g / ||T g||_2 ,   T = diag(|theta| + eta)

    With eta = 0 the corrupted loss is the same before and after ``rescale``.

    Args:
        rho: radius of the ball, relative to the parameters, >= 0; 0 gives the base step itself.
        eta: added to every |theta|, >= 0, so that parameters at zero move too; it breaks the invariance.
        group: which parameters are corrupted.
        base: the step whose loss is followed.

    Returns:
        A step for ``training.fit``.

    Raises:
        ParameterError: if rho or eta is negative or not finite; from the step, if a gradient is not finite.

    Source: [kwon2021asam], elementwise normalization for p = 2
    """
    _size("rho", rho), _size("eta", eta)

    def corruption(theta: Tensor, where: ParameterLayout, gradient: Tensor) -> Tensor:
        scale = theta.abs() + eta
        scaled = scale * gradient
        return scale * scaled * _ratio(rho, scaled.norm())

    return _single(corruption, group, base) if rho > 0 else base


def awp_step(gamma: float, *, group: Group = "weight", base: Step = cross_entropy) -> Step:
    """Return the step of adversarial weight perturbation: every tensor moves by a share of its own length.

        d = grad L(theta + a) ,   a_l = gamma ||theta_l||_2 g_l / ||g_l||_2 for every tensor l of the group

    Args:
        gamma: length of the corruption of a tensor relative to the tensor, >= 0; 0 gives the base step itself.
        group: which parameters are corrupted; biases and normalization gains are left alone unless asked for.
        base: the step whose loss is followed; for the paper's use, one that attacks the inputs of the batch first.

    Returns:
        A step for ``training.fit``.

    Raises:
        ParameterError: if gamma is negative or not finite; from the step, if a gradient is not finite.

    Source: [wu2020awp], one step of the weight perturbation
    """
    # Departs from the paper: there the inputs of the batch are adversarial; here they are taken as they come, and an
    # attack on them is the base step's affair.
    _size("gamma", gamma)

    def corruption(theta: Tensor, where: ParameterLayout, gradient: Tensor) -> Tensor:
        parts = zip(where.split(theta).values(), where.split(gradient).values(), strict=True)
        return torch.cat([(g * _ratio(gamma * w.norm(), g.norm())).reshape(-1) for w, g in parts])

    return _single(corruption, group, base) if gamma > 0 else base


def rescale(model: nn.Module, layer: str, c: float) -> nn.Module:
    """Return a copy of a ReLU network with one layer times c and the next one divided by it.

        W_l, b_l <- c W_l, c b_l ,   W_(l+1) <- W_(l+1) / c

    ReLU and average or max pooling let a positive factor through, so the function stays the same to rounding. With a
    power of two as c it stays the same bit for bit.

    Args:
        model: linear and convolutional layers, registered in the order in which they follow each other, with nothing
            but ReLU, pooling, dropout and reshaping between them; left as it is.
        layer: name of the first of the two.
        c: the factor, > 0.

    Returns:
        The copy.

    Raises:
        ParameterError: if c is not positive, no such layer follows the named one, or the model holds a module that does
            not let a factor through, such as a normalization.

    Source: [dinh2017sharp], non-negative homogeneity
    """
    require_real("c", c)
    if not (isfinite(c) and c > 0):
        raise ParameterError(f"c must be a positive number, got {c}; a negative factor does not pass ReLU")
    twin = copy.deepcopy(model)
    first, second = _neighbors(twin, layer)
    with torch.no_grad():
        for parameter in first.parameters():
            parameter.mul_(c)
        second.get_parameter("weight").div_(c)
    return twin


def _neighbors(model: nn.Module, layer: str) -> tuple[nn.Module, nn.Module]:
    """Return the named layer and the one after it, after checking that a factor passes through every module."""
    closed = [
        name for name, module in model.named_modules() if not (isinstance(module, OPEN) or any(module.children()))
    ]
    if closed:
        raise ParameterError(
            f"a factor passes through ReLU, pooling and linear layers, but this model holds {', '.join(closed)}; "
            "rescaling would change its function"
        )
    layers = {name: module for name, module in model.named_modules() if isinstance(module, LAYERS)}
    following = dict(pairwise(layers))
    if layer not in following:
        raise ParameterError(
            f"layer must have a linear or convolutional successor: one of {[*following]}, got {layer!r}"
        )
    return layers[layer], layers[following[layer]]


def _single(corruption: Callable[[Tensor, ParameterLayout, Tensor], Tensor], group: Group, base: Step) -> Step:
    """Return the step that follows the gradient at one corruption, made from theta, its layout and the gradient."""

    def path(passes: Passes) -> list[Tensor]:
        return [corruption(passes.theta, passes.layout, require_finite("the gradient", passes.gradient()))]

    return averaged_step(path, alpha=1.0, group=group, base=base)


def _ratio(size: float | Tensor, length: Tensor) -> Tensor:
    """Return size/length, and 0 where the length is."""
    return torch.where(length > 0, size / length, torch.zeros_like(length))


def _size(name: str, value: float) -> float:
    require_real(name, value)
    if not (isfinite(value) and value >= 0):
        raise ParameterError(f"{name} is a size and must be a finite number >= 0, got {value}")
    return value
