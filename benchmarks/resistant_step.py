"""One epoch of resistant training against one epoch of plain training."""

import torch

from benchmarks.race import Race
from weightlore.corruption import Budget, resistant_step, sam_step
from weightlore.data import Split, digits
from weightlore.networks import cnn, mlp, resnet20
from weightlore.training import Step, cross_entropy, fit
from weightlore.training.given import Given, GivenStep

EPSILON = 0.2


def races() -> list[Race]:
    train = digits("train")
    generator = torch.Generator().manual_seed(2)
    wide = Split(torch.rand(1024, 784, generator=generator), torch.randint(0, 10, (1024,), generator=generator))
    images = Split(torch.rand(128, 3, 32, 32, generator=generator), torch.randint(0, 10, (128,), generator=generator))
    return [
        _race("digits MLP", "MLP 64-64-32-10, float64, batches of 64", mlp, train, epochs=5),
        _race("digits CNN", "CNN with 8 and 16 channels, float64, batches of 64", cnn, train),
        _race("wide MLP", "MLP 784-256-128-10, float32, batches of 128", _wide, wide, batch_size=128),
        _race("ResNet-20", "ResNet-20 on images 32x32, float32, batches of 64", resnet20, images),
    ]


def _wide(*, generator: torch.Generator) -> torch.nn.Module:
    return mlp((784, 256, 128, 10), generator=generator, dtype=torch.float32)


def _two_plain_passes(model: torch.nn.Module, batch: Split, generator: torch.Generator) -> Given:
    """The floor of a step of two passes: two gradients at theta, of which one is handed over."""
    trained = list(model.parameters())
    for _ in range(2):
        loss = cross_entropy(model, batch, generator)
        gradients = torch.autograd.grad(loss, trained)
    return Given(loss.detach(), trained, gradients)


def _race(name: str, what: str, build, data: Split, batch_size: int = 64, epochs: int = 1) -> Race:
    def epoch(step: Step):
        def run() -> float:
            model = build(generator=torch.Generator().manual_seed(0))
            generator = torch.Generator().manual_seed(1)
            return fit(model, data, step=step, generator=generator, epochs=epochs, batch_size=batch_size).train_loss[0]

        return run

    return Race(
        name=name,
        what=f"epochs: {epochs}, {what}",
        contestants={
            "plain": epoch(cross_entropy),
            "two plain passes": epoch(GivenStep(_two_plain_passes)),
            "resistant_step": epoch(resistant_step(Budget(EPSILON))),
            "resistant_step, n=100": epoch(resistant_step(Budget(EPSILON, n=100))),
            "sam_step": epoch(sam_step(EPSILON)),
        },
        candidate="resistant_step",
        reference="plain",
        tolerance=1.0,  # the losses of the first epoch are of one size; the tests compare what is learned
        targets={"plain": round(1 / 2.2, 3)},
    )
