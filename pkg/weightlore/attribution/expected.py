"""Integrated gradients over several paths to one input: from several baselines, or to noisy copies.

    averaged_integrated_gradients    mean over baselines that are given
    expected_gradients               mean over baselines drawn from a set, one random place on each path
    smooth_integrated_gradients      mean over noisy copies of the input

Where baselines differ from the input in every pixel no value is zero by construction, and the pixels that count are
others: a control for maps that look alike because of their zeros.
"""

from collections.abc import Iterable, Sequence
from functools import reduce

import torch
from torch import Tensor, nn

from weightlore.attribution.baselines import baseline_for
from weightlore.attribution.integrated import gap_of, on_paths
from weightlore.attribution.outputs import Attribution, Output, require
from weightlore.attribution.passes import ConstantNetwork, constant
from weightlore.attribution.paths import Rows, along
from weightlore.attribution.quadrature import Rule, quadrature
from weightlore.attribution.smoothing import noise_spread
from weightlore.errors import ParameterError, require_finite
from weightlore.networks.layered import require_counts

__all__ = ["averaged_integrated_gradients", "expected_gradients", "smooth_integrated_gradients"]


def averaged_integrated_gradients(
    model: nn.Module,
    x: Tensor,
    target: int | Tensor,
    *,
    baselines: Sequence[Tensor | float],
    rule: Rule = "gauss_legendre",
    nodes: int = 50,
    output: Output = "logit",
    chunk: int | None = None,
) -> Attribution:
    """Return the mean of integrated gradients from several baselines.

        A = mean_k A(b_k),   sum A = f(x) - mean_k f(b_k)

    Args:
        model: in eval mode; returns logits, shape (N, C).
        x: inputs, shape (N, ...).
        target: one class, or one for each example, shape (N,), int64.
        baselines: b_k, at least one, each as for ``integrated_gradients``; a tensor of shape (S, N, ...) will do.
        rule: of the quadrature on each path.
        nodes: N of the rule.
        output: whether f is the logit or the probability.
        chunk: rows at once, as for ``integrated_gradients``.

    Returns:
        The attribution, in units of the score; its gap is that to the mean score of the baselines.

    Raises:
        ParameterError: as ``integrated_gradients``, or if there is no baseline.

    Source: [sturmfels2020visualizing], averaging over multiple baselines
    """
    if len(baselines) == 0:
        raise ParameterError("baselines must hold at least one baseline, got none")
    points, classes = quadrature(rule, nodes), require(model, x, target)
    starts = [baseline_for(x, b) for b in baselines]
    x, network = x.detach(), constant(model, x, output=output, chunk=chunk)
    found = (on_paths(network, x, b, classes, points) for b in starts)
    return Attribution(*_mean(found, len(starts)), output)


def smooth_integrated_gradients(
    model: nn.Module,
    x: Tensor,
    target: int | Tensor,
    *,
    baseline: Tensor | float,
    generator: torch.Generator,
    samples: int = 25,
    level: float = 0.15,
    rule: Rule = "gauss_legendre",
    nodes: int = 50,
    output: Output = "logit",
    chunk: int | None = None,
) -> Attribution:
    """Return the mean of integrated gradients at noisy copies of the input, which are not clipped.

        A = mean_k A(x + e_k),   e_k ~ N(0, s^2),   s = level (max x - min x)

    Noise leaves no pixel at its baseline, so that the values which are zero by construction disappear.

    Args:
        model: in eval mode; returns logits, shape (N, C).
        x: inputs, shape (N, ...).
        target: one class, or one for each example, shape (N,), int64.
        baseline: b, a number for all entries, or shaped like x or like one example of it.
        generator: where the noise comes from, copy by copy.
        samples: S, noisy copies of each example, at least 1.
        level: standard deviation of the noise as a share of the example's range; 0 gives integrated gradients.
        rule: of the quadrature on each path.
        nodes: N of the rule.
        output: whether f is the logit or the probability.
        chunk: rows at once, as for ``integrated_gradients``.

    Returns:
        The attribution, in units of the score. It is complete for the noisy copies and not for x: the gap is
        sum A - (mean_k f(x + e_k) - f(b)).

    Raises:
        ParameterError: as ``integrated_gradients``, or if a number is out of range.

    Source: [smilkov2017smoothgrad], smoothing of another method; samples as in the code of [adebayo2018sanity]
    """
    require_counts(samples=samples)
    points, classes = quadrature(rule, nodes), require(model, x, target)
    spread, b, x = noise_spread(x, level), baseline_for(x, baseline), x.detach()
    network = constant(model, x, output=output, chunk=chunk)
    noise = (torch.randn(x.shape, generator=generator, dtype=x.dtype, device=generator.device) for _ in range(samples))
    found = (on_paths(network, x + spread * one.to(x.device), b, classes, points) for one in noise)
    return Attribution(*_mean(found, samples), output)


def expected_gradients(
    model: nn.Module,
    x: Tensor,
    target: int | Tensor,
    *,
    references: Tensor,
    generator: torch.Generator,
    samples: int = 200,
    output: Output = "logit",
    chunk: int | None = None,
) -> Attribution:
    """Return the expectation of integrated gradients over baselines from a set, by one gradient a sample.

        A = E[(x - b) df/dz at b + a (x - b)],   b from the references,  a ~ U(0, 1)

    Args:
        model: in eval mode; returns logits, shape (N, C).
        x: inputs, shape (N, ...).
        target: one class, or one for each example, shape (N,), int64.
        references: baselines, all as likely, shape (M, ...), as the network reads them.
        generator: where references and places come from, sample by sample.
        samples: S, draws for each example, at least 1; the error falls as S^-1/2.
        output: whether f is the logit or the probability.
        chunk: rows, examples times samples, at once; ``None`` for what fits a cache.

    Returns:
        The attribution, in units of the score; its gap is sum A - (f(x) - mean of f over the references), which is zero
        in expectation only.

    Raises:
        ParameterError: as ``integrated_gradients``, or if the references have another shape or are none.

    Source: [erion2021improving], expected gradients
    """
    require_counts(samples=samples)
    classes = require(model, x, target)
    if references.shape[1:] != x.shape[1:] or len(references) == 0 or references.dtype != x.dtype:
        raise ParameterError(
            f"references must be baselines shaped like examples of x, (M, {', '.join(map(str, x.shape[1:]))}), "
            f"{x.dtype}, got {tuple(references.shape)}, {references.dtype}"
        )
    references = require_finite("the references", references.detach().to(x.device))
    x, network = x.detach(), constant(model, x, output=output, chunk=chunk)
    values = torch.zeros_like(x)
    for rows, gradients in along(
        network, x, references, classes, _drawn(len(x), len(references), samples, generator, x)
    ):
        values.index_add_(0, rows.example, (x[rows.end] - references[rows.start]) * gradients)
    wanted = network.scores(x, classes) - _mean_scores(network, references, classes)
    return Attribution(values, gap_of(values, wanted), output)


def _drawn(examples: int, references: int, samples: int, generator: torch.Generator, x: Tensor) -> Rows:
    """Return the rows of all samples, each of which draws a reference and a place for every example."""
    device, starts, places = generator.device, [], []
    for _ in range(samples):
        starts.append(torch.randint(references, (examples,), generator=generator, device=device))
        places.append(torch.rand(examples, generator=generator, dtype=torch.float64, device=device))
    example, node = torch.arange(examples).repeat(samples), torch.arange(samples).repeat_interleave(examples)
    weight = torch.full((samples * examples,), 1 / samples, dtype=torch.float64)
    return Rows(*(one.to(x.device) for one in (example, example, torch.cat(starts), torch.cat(places), weight, node)))


def _mean_scores(network: ConstantNetwork, references: Tensor, classes: Tensor) -> Tensor:
    """Return the mean score of each example's class over the references, shape (N,)."""
    kinds, place = classes.unique(return_inverse=True)
    means = [network.scores(references, kind.expand(len(references))).mean() for kind in kinds]
    return torch.stack(means)[place]


def _mean(found: Iterable[tuple[Tensor, Tensor]], count: int) -> tuple[Tensor, Tensor]:
    """Return the mean values and the mean gap, added up one after the other."""
    parts = ((one / count, other / count) for one, other in found)
    return reduce(lambda total, part: (total[0] + part[0], total[1] + part[1]), parts)
