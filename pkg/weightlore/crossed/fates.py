"""Give a network one of the six fates: the first half of a crossing.

Every preparation begins with the same draws: from generators of one state, the networks here start at the initial
weights of the one that is left alone, or contain it; the transferred one, which learned something else before, shares
the draws and not the weights. They read 8x8 digits, in float64: an MLP 64-64-32-10.

    left_alone     trained and nothing else: the healthy network, the control
    struck         then moved by 2 % of its length along its own gradient          corrupted
    resistant      trained against such harm                                       corrupted
    transferred    learned to read stripes first, then all of it tuned to digits   transferred
    ensembled      five networks whose probabilities are averaged                  uncertain
    narrowed       trained again on the pixels that its explanation named          explained
    sliced         trained in fixed point with the slice penalty, in three phases  sliced
    binarized      trained on with weights of one bit and a scale for each unit    binarized
"""

import copy
from typing import cast

import torch
from torch import Tensor, nn

from weightlore.attribution import integrated_gradients
from weightlore.binary import BinaryRecipe, fit_binary
from weightlore.bitslice import FixedPoint, Recipe, fit_three_phases, slice_l1_penalty
from weightlore.corruption import Budget, closed_form, fit_resistant, loss_gradient
from weightlore.data import Split, digits, stripes
from weightlore.errors import ParameterError
from weightlore.networks import Chain, mlp
from weightlore.parameters import flatten, replaced
from weightlore.training import fit, sgd
from weightlore.transfer import Setting, fine_tune
from weightlore.uncertainty.ensembles import PooledNetwork, fit_ensemble

__all__ = [
    "binarized",
    "ensembled",
    "left_alone",
    "named_pixels",
    "narrowed",
    "resistant",
    "sliced",
    "struck",
    "transferred",
]

EPOCHS = 60
LAYERS = ("layers.0", "layers.1", "readout")
STRUCK, RESISTED = 0.02, 0.8  # of the length of theta; in units of theta, 4 % of the length of a trained one
OTHERS, DIRECTIONS, STRIPED = 4, 8, 1000
PIXELS, NODES = 20, 16
PENALTY = 0.15


def left_alone(*, generator: torch.Generator, epochs: int = EPOCHS) -> Chain:
    """Return a network that learned to read digits and was then left alone: the control of every crossing.

    Args:
        generator: draws the initial weights and the order of the examples.
        epochs: how often the 1,077 training digits are seen.

    Raises:
        ParameterError: as ``training.fit``.

    Source: ours, the recipe of the shipped healthy network
    """
    model = mlp(generator=generator)
    fit(model, digits("train"), generator=generator, epochs=epochs)
    return model


def struck(*, generator: torch.Generator, epochs: int = EPOCHS) -> Chain:
    """Return the network after the worst corruption, to first order, of 2 % of its length.

        theta + a_hat,   a_hat = epsilon g / ||g||_2,   epsilon = 0.02 ||theta||_2

    The gradient is that of the validation digits: on the training digits, which are fitted, it says little.

    Args:
        generator: as in ``left_alone``.
        epochs: as in ``left_alone``.

    Raises:
        ParameterError: as ``training.fit``.

    Source: [sun2021corruption], gradient-based corruption
    """
    model = left_alone(generator=generator, epochs=epochs)
    theta = flatten(model)
    harm = closed_form(loss_gradient(model, digits("validation")), Budget(STRUCK * float(theta.norm())))
    with replaced(model, theta + harm.vector):
        return copy.deepcopy(model)


def resistant(*, generator: torch.Generator, epochs: int = EPOCHS) -> Chain:
    """Return a network whose every step also lowered the loss at the worst corruption of size 0.8.

    Args:
        generator: as in ``left_alone``.
        epochs: as in ``left_alone``.

    Raises:
        ParameterError: as ``corruption.fit_resistant``.

    Source: [sun2021corruption], corruption-resistant training
    """
    model = mlp(generator=generator)
    fit_resistant(model, digits("train"), Budget(RESISTED), generator=generator, epochs=epochs)
    return model


def transferred(*, generator: torch.Generator, epochs: int = EPOCHS) -> Chain:
    """Return a network whose layers learned in which of eight directions stripes run, before they learned digits.

    The readout is new, and all layers are tuned, with the digits and for as long as those of the network left alone.

    Args:
        generator: as in ``left_alone``; the stripes are drawn from it afterwards.
        epochs: as in ``left_alone``, for the stripes and again for the digits.

    Raises:
        ParameterError: as ``training.fit``.

    Source: [zhang2019ptu], the state "fine-tune"; stripes as the source are ours
    """
    fresh, train = mlp(generator=generator), digits("train")
    source = mlp((64, 64, 32, DIRECTIONS), generator=generator)
    fit(source, stripes(STRIPED, classes=DIRECTIONS, generator=generator), generator=generator, epochs=epochs)
    plan = fine_tune(Setting(source, fresh, train.x[:2], generator))
    fit(plan.network, train, generator=generator, step=plan.step, epochs=epochs)
    return cast(Chain, plan.network.network)


def ensembled(*, generator: torch.Generator, epochs: int = EPOCHS) -> PooledNetwork:
    """Return the network left alone and four others, from other initial weights and orders of examples, as one.

    Args:
        generator: as in ``left_alone``; then it draws a generator for each of the others.
        epochs: as in ``left_alone``, for each member.

    Raises:
        ParameterError: as ``uncertainty.ensembles.fit_ensemble``.

    Source: [lakshminarayanan2017ensembles], Algorithm 1
    """
    first, train = left_alone(generator=generator, epochs=epochs), digits("train")
    others = fit_ensemble(lambda own: mlp(generator=own), train, members=OTHERS, generator=generator, epochs=epochs)
    return PooledNetwork([first, *others.members])


def narrowed(*, generator: torch.Generator, epochs: int = EPOCHS) -> Chain:
    """Return a network that reads only the 20 pixels that the explanation of another one named.

    The other one is the network left alone. Its successor has the same initial weights, learns from digits whose other
    pixels are black, and has no weight on these.

    Args:
        generator: as in ``left_alone``.
        epochs: as in ``left_alone``, for each of the two networks.

    Raises:
        ParameterError: as ``training.fit``.

    Source: ours, because an explanation that names what matters should be enough to learn from
    """
    start = generator.get_state()
    kept = named_pixels(left_alone(generator=generator, epochs=epochs))
    model, train = mlp(generator=generator.set_state(start)), digits("train")
    fit(model, Split(train.x * kept, train.y), generator=generator, epochs=epochs)
    with torch.no_grad():
        cast(Tensor, model.layers[0].weight).mul_(kept)
    return model


def named_pixels(network: nn.Module, *, count: int = PIXELS) -> Tensor:
    """Return which pixels integrated gradients name first, on average over the training digits.

        mean over i of |A_ij|,   A_i the attribution of the probability of the right class, from black

    Args:
        network: reads digits of shape (N, 64); left as it is.
        count: how many pixels, 1 to 64.

    Returns:
        Which pixels, shape (64,), bool.

    Raises:
        ParameterError: if there are not so many pixels, or as ``attribution.integrated_gradients``.

    Source: [sundararajan2017axiomatic], Eq. (1); the mean over images is ours
    """
    train = digits("train")
    if not 1 <= count <= train.x.shape[1]:
        raise ParameterError(f"digits have 1 to {train.x.shape[1]} pixels to name, got count={count}")
    told = integrated_gradients(network, train.x, train.y, baseline=0.0, nodes=NODES, output="probability")
    best = told.values.abs().mean(0).topk(count).indices
    return torch.zeros(train.x.shape[1], dtype=torch.bool).index_fill(0, best, True)


def sliced(*, generator: torch.Generator, epochs: int = EPOCHS) -> Chain:
    """Return a network trained in 8-bit fixed point: with L1, pruned, then with the slice penalty.

    Its parameters lie on the grid; its activations are as they come. The first phase has half of the epochs, the last
    a third.

    Args:
        generator: as in ``left_alone``.
        epochs: as in ``left_alone``, at least 3.

    Raises:
        ParameterError: as ``bitslice.fit_three_phases``.

    Source: [zhang2019bitslice], the three phases
    """
    model = FixedPoint(mlp(generator=generator))
    recipe = Recipe(pretrain_epochs=epochs // 2, finetune_epochs=epochs // 3, optimizer=sgd(0.05, momentum=0.9))
    held_out, penalty = digits("validation"), slice_l1_penalty(PENALTY)
    fit_three_phases(model, digits("train"), penalty, validation=held_out, generator=generator, recipe=recipe)
    return cast(Chain, model.plain())


def binarized(*, generator: torch.Generator, epochs: int = EPOCHS) -> Chain:
    """Return the network left alone after it was trained on with weights of one bit, in all three layers.

        W = alpha_o sign(latent W),   one scale alpha_o for each unit; biases stay real

    Args:
        generator: as in ``left_alone``.
        epochs: as in ``left_alone``, and again with binary weights.

    Raises:
        ParameterError: as ``binary.fit_binary``.

    Source: [lu2020binary], binary-weight training; that the first and last layer are binary, too, is ours
    """
    model, recipe = left_alone(generator=generator, epochs=epochs), BinaryRecipe(epochs=epochs)
    return cast(Chain, fit_binary(model, digits("train"), generator=generator, recipe=recipe, layers=LAYERS).network)
