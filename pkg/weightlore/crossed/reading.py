"""Ask what a network says, why, and what its parameters consist of: nothing is changed.

miscalibrated   ECE on digits turned by 30 degrees
surprised       mean log loss on the test digits
tells_apart     AUROC of digits against patches of photographs, by the largest probability
agrees          rank correlation of its explanations with those of another network
nonzero_digits  share of the 2-bit digits of its weights that are not zero
settles         time steps until its spiking form decides
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from weightlore.attribution import average, integrated_gradients, rank_similarity
from weightlore.attribution.similarity import Sign
from weightlore.binary import Converted, to_spiking
from weightlore.bitslice import nonzero_ratios, quantize
from weightlore.crossed.surviving import turned
from weightlore.data import Split, digits, natural_patches
from weightlore.spiking import choose_level, early_exit, simulate
from weightlore.training import evaluate
from weightlore.uncertainty.calibration import expected_calibration_error
from weightlore.uncertainty.ensembles import DeepEnsemble, PooledNetwork
from weightlore.uncertainty.ood import max_softmax_score
from weightlore.uncertainty.ranking import auroc

__all__ = ["agrees", "miscalibrated", "nonzero_digits", "settles", "surprised", "tells_apart"]

TURNED = 3  # severity: 30 degrees
EXPLAINED, NODES = 100, 32
STEPS, LOST = 64, 0.01


def miscalibrated(network: nn.Module) -> float:
    """Return the expected calibration error on test digits turned by 30 degrees, with 15 bins: 0 to 1.

    Args:
        network: returns logits (N, 10) of digits (N, 64), finite ones; left as it is, here and below.

    Raises:
        ParameterError: if it does not, here and below.

    Source: [naeini2015bbq], ECE
    """
    test = turned(digits(), TURNED)
    return float(expected_calibration_error(_logits(network, test.x).softmax(1), test.y))


def surprised(network: nn.Module) -> float:
    """Return the mean log loss on the test digits, in nats.

    Args:
        network: as in ``miscalibrated``.

    Source: [gneiting2007scoring], logarithmic score
    """
    return evaluate(network, digits()).loss


def tells_apart(network: nn.Module, *, generator: torch.Generator) -> float:
    """Return how well the largest probability tells test digits from as many patches of photographs.

    It is the AUROC: 1 if every digit is answered with more confidence than any patch, 0.5 by chance.

    Args:
        network: as in ``miscalibrated``.
        generator: draws the patches.

    Raises:
        MissingExtra: if pillow is not installed, which reads the photographs.

    Source: [hendrycks2017baseline]
    """
    inside = digits().x
    outside = natural_patches(len(inside), generator=generator)
    score = max_softmax_score(_logits(network, torch.cat([inside, outside])))
    return float(auroc(score, torch.arange(len(score)) >= len(inside)))


def agrees(network: nn.Module, other: nn.Module, *, sign: Sign) -> float:
    """Return how alike the explanations of two networks are: mean rank correlation over the first 100 test digits.

    Integrated gradients of the probability of the right class, from black, over the pixels that are not black. A
    network that was moved a little from the other one, or that contains it, is bound to agree with it.

    Args:
        network: as in ``miscalibrated``.
        other: likewise.
        sign: whether ``"signed"`` attributions are ranked or their magnitudes, ``"abs"``.

    Returns:
        From -1 to 1.

    Raises:
        ParameterError: if there is no such sign.

    Source: [sundararajan2018note], which asks for signs and active pixels
    """
    asked = digits()[:EXPLAINED]
    one, two = _explanations(network, asked), _explanations(other, asked)
    return average(rank_similarity(one, two, sign=sign, mask="active", x=asked.x, baseline=0.0)).mean


def nonzero_digits(network: nn.Module) -> float:
    """Return the share of 2-bit digits that are not zero, in percent: weights in 8 bits, mean over the four slices.

    Args:
        network: as in ``miscalibrated``; weight matrices are quantized one by one.

    Source: [zhang2019bitslice], sparsity of slices
    """
    weights = [parameter.detach() for parameter in network.parameters() if parameter.ndim > 1]
    return nonzero_ratios([quantize(weight) for weight in weights]).mean


def settles(network: nn.Module) -> float:
    """Return the mean number of time steps until the spiking form of a network decides.

    It stops where the margin between the two largest potentials reaches a level: the lowest that costs at most one in
    a hundred of the validation digits, against 64 steps. Members of a pooled network add their potentials.

    Args:
        network: as in ``miscalibrated``; biases become constant currents.

    Returns:
        From 1 to 64 steps.

    Source: [lu2020binary], conversion and early exit; the rule is ours
    """
    members = network.members if isinstance(network, PooledNetwork) else [network]
    spiking = [to_spiking(member, digits("train")) for member in members]
    test, held_out = digits(), digits("validation")
    level = choose_level(_potential(spiking, held_out.x), held_out.y, "margin", loss=LOST).exit.level
    return float(early_exit(_potential(spiking, test.x), "margin", level).steps.double().mean())


def _potential(spiking: Sequence[Converted], x: Tensor) -> Tensor:
    """Return the mean accumulated output of some spiking networks, in units of logits, shape (T, N, C)."""
    return torch.stack([simulate(one, x, STEPS).potential * one.output_scale for one in spiking]).mean(0)


def _explanations(network: nn.Module, asked: Split) -> Tensor:
    """Return integrated gradients of the probability of the right class, from black, shape (N, 64)."""
    told = integrated_gradients(network, asked.x, asked.y, baseline=0.0, nodes=NODES, output="probability")
    return told.values


def _logits(network: nn.Module, x: Tensor) -> Tensor:
    """Return the logits of one network without gradients, shape (N, C)."""
    return DeepEnsemble((network,)).outputs(x)[0]
