"""Views: what they cost, which keep a digit what it is, maps that are turned back, and the next view to choose."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from weightlore.teaching.exercises.checker import Diagnosis, Exercise
from weightlore.uncertainty.augmentation import quarter_turns

__all__ = ["COST_OF_VIEWS", "NEXT_VIEW", "SAME_CLASS", "TURN_BACK"]

COST_OF_VIEWS = Exercise(
    id="uncertain.cost_of_views",
    prompt="A trained network is asked about sixteen views of each picture. How many times the work of one answer is "
    "that, and how many more parameters? Answer: two numbers.",
    nudge="What is trained anew, and what is run anew?",
    hint="Each view is one pass through the same network.",
    right="Free to train and dear to ask: the opposite of one large network.",
    reference=lambda: [16, 0],
    diagnoses=(
        Diagnosis("copies", "The network is the same for all views; nothing is copied.", lambda: [16, 16]),
        Diagnosis("once", "Each view needs a pass of its own.", lambda: [1, 0]),
        Diagnosis("others", "The picture itself is one of the sixteen views.", lambda: [17, 0]),
        Diagnosis("swapped", "The other way round: work first, parameters second.", lambda: [0, 16]),
    ),
)

SAME_CLASS = Exercise(
    id="uncertain.same_class",
    prompt="Which views keep the class of an 8 x 8 digit, for all ten digits: a turn by 5 degrees, a mirror image, a "
    "turn by 180 degrees, a paler print, a step by one pixel? Answer: five numbers, 1 for yes and 0 for no.",
    nudge="Ask what a reader would call it, not what the network says.",
    hint="Which digit does a 6 become when it is turned upside down?",
    right="That a view keeps the class does not mean that the network knows it.",
    reference=lambda: [1, 0, 0, 1, 1],
    diagnoses=(
        Diagnosis("mirror", "A mirrored 3 is no digit, and a mirrored 2 looks like a 5.", lambda: [1, 1, 0, 1, 1]),
        Diagnosis("half circle", "Turned by half a circle, a 6 is a 9.", lambda: [1, 0, 1, 1, 1]),
        Diagnosis("photographs", "So it is with photographs; digits have a direction.", lambda: [1, 1, 1, 1, 1]),
        Diagnosis("network", "Asked is what the picture shows, not what the network can do.",
                  lambda: [1, 0, 0, 1, 0]),
    ),
)  # fmt: skip


def _maps() -> list[tuple[list[Tensor]]]:
    drawn = torch.Generator().manual_seed(3)
    return [([torch.rand(3, side, side, generator=drawn, dtype=torch.float64) for _ in range(4)],) for side in (4, 5)]


def _turned_back(probs: list[Tensor]) -> Tensor:
    return torch.stack([turn.invert(p) for turn, p in zip(quarter_turns(), probs, strict=True)]).mean(0)


def _mean_of(turn: Callable[[int, Tensor], Tensor], probs: list[Tensor]) -> Tensor:
    return torch.stack([turn(k, p) for k, p in enumerate(probs)]).mean(0)


TURN_BACK = Exercise(
    id="uncertain.turn_back",
    prompt="Maps (C, H, W) answer an image turned by 0, 1, 2 and 3 quarters counterclockwise. What is the mean map of "
    "the upright image? Answer: a function of probs, a list of the four maps.",
    nudge="At which place of the second map does the answer for the upper left pixel stand?",
    hint="torch.rot90(p, -k, (1, 2)) turns a map back by k quarters; then the mean.",
    right="The mean of maps that were not turned back is the mean over four different places.",
    reference=_turned_back,
    inputs=_maps,
    diagnoses=(
        Diagnosis("not turned", "You averaged different places; turn each map back first.",
                  partial(_mean_of, lambda k, p: p)),
        Diagnosis("onward", "You turned them on, not back.", partial(_mean_of, lambda k, p: p.rot90(k, (1, 2)))),
        Diagnosis("sum", "This is the sum of the four.", lambda probs: 4 * _turned_back(probs)),
    ),
)  # fmt: skip


def _views() -> list[tuple[Tensor, Tensor, list[int]]]:
    drawn = torch.Generator().manual_seed(4)
    found = []
    for chosen in ([], [2], [0, 3], [1, 1, 4]):
        probs = torch.randn(5, 30, 4, generator=drawn, dtype=torch.float64).mul(2).softmax(2)
        y = torch.randint(4, (30,), generator=drawn)
        if len(chosen) == 3:  # a view that is worth a third time
            probs[1] = 0.1 * probs[1] + 0.9 * torch.nn.functional.one_hot(y, 4)
        found.append((probs, y, chosen))
    return found


def _losses(probs: Tensor, y: Tensor, chosen: list[int]) -> Tensor:
    """The log loss of the plain mean with each view added."""
    means = (probs[chosen].sum(0) + probs) / (len(chosen) + 1)
    return -means[:, torch.arange(len(y)), y].log().mean(1)


def _alone(probs: Tensor, y: Tensor, chosen: list[int]) -> int:
    return int(_losses(probs, y, []).argmin())


def _geometric(probs: Tensor, y: Tensor, chosen: list[int]) -> int:
    logs = (probs.log()[chosen].sum(0) + probs.log()) / (len(chosen) + 1)
    return int(logs.log_softmax(2)[:, torch.arange(len(y)), y].mean(1).argmax())


def _without_return(probs: Tensor, y: Tensor, chosen: list[int]) -> int:
    losses = _losses(probs, y, chosen)
    losses[chosen] = torch.inf
    return int(losses.argmin())


NEXT_VIEW = Exercise(
    id="uncertain.next_view",
    prompt="Which view does the greedy search add? Answer: a function of (probs, y, chosen), probs (A, N, C) of all "
    "views and chosen a list of numbers, that returns the number of the view whose plain mean with the chosen has the "
    "smallest log loss.",
    nudge="What is averaged with what, before the logarithm?",
    hint="means = (probs[chosen].sum(0) + probs) / (len(chosen) + 1), for all A at once; then -log of the true class.",
    right="The best next view is often not the best view: it is one that errs elsewhere.",
    reference=lambda probs, y, chosen: int(_losses(probs, y, chosen).argmin()),
    inputs=_views,
    diagnoses=(
        Diagnosis("alone", "This is the best view alone; asked is the best mean with those chosen.", _alone),
        Diagnosis("largest", "This one raises the loss most.",
                  lambda probs, y, chosen: int(_losses(probs, y, chosen).argmax())),
        Diagnosis("logs", "You averaged logarithms; average probabilities, then take the logarithm.", _geometric),
        Diagnosis("no return", "A view may be chosen again: that is how it gets more weight.", _without_return),
    ),
)  # fmt: skip
