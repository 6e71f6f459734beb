"""The paper's own set-ups: VGG-15 on CIFAR-100 and on ImageNet, with real and with binary weights.

    paper_recipe("cifar100", binary=True)   a PaperRecipe: sizes, rates, epochs, preparation of the images
      .network(generator)                   VGG-15 for it
      .batch(data, rows, ...)               training images, cut at random and mirrored
      .images(data, rows)                   the same as they are, for evaluation and conversion

``recipe_runs`` trains with it. Nobody has run these at full length for this book: what they reach is not claimed.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from weightlore.binary.fading import Fading, coupled_adam, dropping, halving
from weightlore.binary.rules import ScaledSign
from weightlore.data import ImageFolder, Split
from weightlore.data.crops import resized_cuts, shifted
from weightlore.errors import ParameterError
from weightlore.networks import vgg15
from weightlore.networks.layered import Chain
from weightlore.training import sgd

__all__ = ["Images", "PaperRecipe", "RecipeData", "paper_recipe"]

Images = Split | ImageFolder
RecipeData = Literal["cifar100", "imagenet"]
MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's channels, for both data sets


@dataclass(frozen=True)
class PaperRecipe:
    """How one network of the paper was trained.

    Args:
        data: which images.
        binary: whether inner layers have weights of one bit.
        classes: C.
        size: height and width of the images.
        batch_size: examples per step, of all processes together.
        epochs: how often every example is seen.
        lr: first learning rate.
        falls: epochs, counted from 0, from which on the rate is a tenth of what it was; empty where it is halved.
        halve_every: epochs after which the rate is halved; ``None`` where it falls to tenths.
        weight_decay: L2 term.
        decay_epochs: how many epochs it lasts; ``None`` for all.
        betas: of Adam, for binary weights; real ones are trained by gradient descent with momentum 0.9.
        rescale: factor of the gradient of binary weights, as in ``ScaledSign``.
        percentile: of the activations, for the conversion to spikes.
        normalization_images: on which it is measured.
        workers: threads that read image files.

    Source: [lu2020binary], set-ups of the authors' code
    """

    data: RecipeData
    binary: bool
    classes: int
    size: int
    batch_size: int
    epochs: int
    lr: float
    falls: tuple[int, ...] = ()
    halve_every: int | None = None
    weight_decay: float = 0.0
    decay_epochs: int | None = None
    betas: tuple[float, float] = (0.9, 0.999)
    rescale: float = 1.0
    percentile: float = 99.9
    normalization_images: int = 3500
    workers: int = 8

    def network(self, generator: torch.Generator, *, width: int = 64, dtype: torch.dtype = torch.float32) -> Chain:
        """Return a fresh VGG-15; the paper's has a width of 64, and dropout 0.1."""
        return vgg15(classes=self.classes, size=self.size, width=width, generator=generator, dtype=dtype)

    def fading(self) -> Fading:
        """Return optimizer and schedule of one run."""
        if self.binary:
            make = coupled_adam(self.lr, betas=self.betas, weight_decay=self.weight_decay)
        else:
            make = sgd(self.lr, momentum=0.9, weight_decay=self.weight_decay)
        factor = dropping(self.falls) if self.halve_every is None else halving(self.halve_every)
        return Fading(make, factor, decay_epochs=self.decay_epochs)

    def rule(self) -> ScaledSign:
        """Return how weights become binary."""
        return ScaledSign(rescale=self.rescale)

    def batch(self, data: Images, rows: Tensor, *, generator: torch.Generator, share: slice = slice(None)) -> Split:
        """Return training images: cut at random, mirrored, normalized.

        Args:
            data: images in memory, shifted by up to 4 pixels, or image files, cut and resized at random.
            rows: row numbers of the whole batch.
            generator: draws for the whole batch.
            share: which of the batch are made.
        """
        if isinstance(data, Split):
            return _normalized(shifted(data, rows, generator=generator, share=share))
        return _normalized(resized_cuts(data, rows, generator=generator, share=share, workers=self.workers))

    def images(self, data: Images, rows: Tensor) -> Split:
        """Return images as they are, files cut at their center, normalized.

        Departs from the authors' conversion code, which shifts and mirrors test images and those of the percentiles.
        """
        return _normalized(data[rows])


def paper_recipe(data: RecipeData, *, binary: bool) -> PaperRecipe:
    """Return one of the paper's four set-ups.

    CIFAR-100: 200 epochs in batches of 256. Real weights: rate 5e-2, a tenth from epochs 81 and 122 on, decay 1e-4.
    Binary ones: Adam at 5e-4, halved every 30 epochs, decay 5e-4 for 30 epochs.
    ImageNet: 100 epochs in batches of 128. Real weights: rate 1e-2, a tenth every 30 epochs, decay 1e-4. Binary ones as
    for CIFAR-100, with betas (0, 0.999) and gradients times 1e9.

    Args:
        data: ``"cifar100"`` or ``"imagenet"``.
        binary: whether weights have one bit; such a training starts from the network with real ones.

    Returns:
        The recipe; ``dataclasses.replace`` makes a shorter one.

    Raises:
        ParameterError: if there are no such data.

    Example:
        >>> paper_recipe("imagenet", binary=True).betas
        (0.0, 0.999)

    Source: [lu2020binary], set-ups of the authors' code
    """
    if data not in get_args(RecipeData):
        raise ParameterError(f"the paper has recipes for 'cifar100' and 'imagenet', got {data!r}")
    small = data == "cifar100"
    sizes = (100, 32, 256, 200) if small else (1000, 224, 128, 100)
    if binary:
        betas, rescale = ((0.9, 0.999), 1.0) if small else ((0.0, 0.999), 1e9)
        return PaperRecipe(
            data, True, *sizes, 5e-4, halve_every=30, weight_decay=5e-4, decay_epochs=30, betas=betas, rescale=rescale
        )
    lr, falls = (5e-2, (81, 122)) if small else (1e-2, (30, 60, 90))
    return PaperRecipe(data, False, *sizes, lr, falls=falls, weight_decay=1e-4)


def _normalized(images: Split) -> Split:
    mean, spread = (torch.tensor(one, dtype=images.x.dtype, device=images.x.device) for one in (MEAN, SPREAD))
    return Split((images.x - mean[:, None, None]) / spread[:, None, None], images.y)
