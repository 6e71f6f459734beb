"""Draw networks from a posterior: train one by a sampler, and keep copies of it on the way.

    sample_network(model, data, sampler, schedule=, epochs=, generator=)     -> DeepEnsemble of the draws

The draws answer like an ensemble: ``.predict(x)`` gives the class probabilities of each, or the mixture of Gaussians.
"""

import copy
from collections.abc import Callable, Iterable
from math import ceil
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.networks.layered import require_counts
from weightlore.training import Step, cross_entropy, fit
from weightlore.uncertainty.ensembles.members import DeepEnsemble
from weightlore.uncertainty.mcmc.schedules import Plan, StepSchedule
from weightlore.uncertainty.mcmc.stochastic import StochasticSampler

__all__ = ["MakeSampler", "sample_network"]

MakeSampler = Callable[[Iterable[nn.Parameter]], StochasticSampler]


def sample_network(
    model: nn.Module,
    data: Split,
    sampler: MakeSampler,
    *,
    schedule: StepSchedule,
    epochs: int,
    generator: torch.Generator,
    step: Step = cross_entropy,
    batch_size: int = 64,
) -> DeepEnsemble:
    """Draw networks from the posterior of one, by mini-batches.

        theta_1 .. theta_S ~ p(theta | data),   p(y | x) = 1/S sum_s p(y | x, theta_s)

    Args:
        model: where the chain begins; copied, and left as it is.
        data: N examples; the sampler's ``num_data`` must be N.
        sampler: makes the sampler from the parameters, such as ``lambda p: SGLD(p, 1e-4, num_data=len(data), ...)``.
        schedule: the plan of each step; its step sizes replace the sampler's.
        epochs: how often every example is seen.
        generator: of the order of the examples and of what the step draws.
        step: returns the mean negative log likelihood of a batch, without a prior: that is the sampler's.
        batch_size: examples per step; the last of an epoch may be fewer, and then count more each.

    Returns:
        S copies of the network in evaluation mode, in the order in which they were drawn.

    Raises:
        ParameterError: if the schedule keeps nothing, ``num_data`` is not N, or ``training.fit`` raises one, as it does
            where steps are so large that the chain flies off.

    Example:
        >>> from weightlore.uncertainty.mcmc import SGLD, ConstantSchedule
        >>> g, data = torch.Generator().manual_seed(0), Split(torch.eye(2), torch.tensor([0, 1]))
        >>> make = lambda p: SGLD(p, 0.1, num_data=2, prior_precision=1.0, generator=g)
        >>> len(sample_network(nn.Linear(2, 2), data, make, schedule=ConstantSchedule(0.1), epochs=10, generator=g))
        8

    Source: [welling2011sgld]; [zhang2020csgmcmc], for draws of several modes
    """
    require_counts(epochs=epochs, batch_size=batch_size)
    own, drawn = copy.deepcopy(model), list[nn.Module]()
    steps = epochs * ceil(len(data) / batch_size)
    plans = [schedule(k, steps) for k in range(1, steps + 1)]
    if not any(plan.keep for plan in plans):
        raise ParameterError(
            f"the schedule keeps no draw in {len(plans)} steps; run more epochs, or lower every, burn_in or explore"
        )
    fit(
        own,
        data,
        generator=generator,
        step=step,
        epochs=epochs,
        batch_size=batch_size,
        optimizer=lambda parameters: _planned(sampler(parameters), plans, len(data), own, drawn),
        schedule=None,
    )
    return DeepEnsemble(tuple(drawn))


def _planned(
    tuner: StochasticSampler, plans: list[Plan], size: int, model: nn.Module, drawn: list[nn.Module]
) -> Optimizer:
    """Return the sampler, told before each step what to do, and watched after it."""
    for group in tuner.param_groups:
        if group["num_data"] != size:
            raise ParameterError(
                f"the sampler's num_data must be the number of examples, {size}, or the posterior is another; "
                f"got {group['num_data']}"
            )
    taken = [0]

    def before(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        plan = plans[taken[0]]
        for group in optimizer.param_groups:
            group["lr"], group["noisy"] = plan.step_size, plan.noisy

    def after(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        taken[0] += 1
        if plans[taken[0] - 1].keep:
            drawn.append(_copy(model))

    tuner.register_step_pre_hook(before)
    tuner.register_step_post_hook(after)
    return tuner


def _copy(model: nn.Module) -> nn.Module:
    """Return a copy in evaluation mode, without gradients."""
    made = copy.deepcopy(model).eval()
    made.zero_grad()
    return made
