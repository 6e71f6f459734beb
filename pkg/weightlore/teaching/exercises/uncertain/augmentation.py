"""Views: what they cost, which keep a digit what it is, maps that are turned back, and the next view to choose."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from weightlore.teaching.exercises.checker import Diagnosis, Exercise
from weightlore.teaching.variants.chance import one_of, several
from weightlore.teaching.variants.families import Variants
from weightlore.uncertainty.augmentation import quarter_turns

__all__ = ["COST_OF_VIEWS", "NEXT_VIEW", "SAME_CLASS", "TURN_BACK", "VARIANTS"]

COUNTS = {
    4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight", 9: "nine", 10: "ten", 12: "twelve", 16: "sixteen",
    20: "twenty", 24: "twenty-four", 25: "twenty-five", 30: "thirty", 32: "thirty-two", 40: "forty",
}  # fmt: skip


def _cost_of_views(views: int) -> Exercise:
    return Exercise(
        id="uncertain.cost_of_views",
        prompt=f"A trained network is asked about {COUNTS[views]} views of each picture. How many times the work of "
        "one answer is that, and how many more parameters? Answer: two numbers.",
        nudge="What is trained anew, and what is run anew?",
        hint="Each view is one pass through the same network.",
        right="Free to train and dear to ask: the opposite of one large network.",
        reference=lambda: [views, 0],
        diagnoses=(
            Diagnosis("copies", "The network is the same for all views; nothing is copied.", lambda: [views, views]),
            Diagnosis("once", "Each view needs a pass of its own.", lambda: [1, 0]),
            Diagnosis("others", f"The picture itself is one of the {COUNTS[views]} views.", lambda: [views + 1, 0]),
            Diagnosis("swapped", "The other way round: work first, parameters second.", lambda: [0, views]),
        ),
    )


VIEWS = ("a turn by 5 degrees", "a mirror image", "a turn by 180 degrees", "a paler print", "a step by one pixel")
KEPT = (1, 0, 0, 1, 1)


def _same_class(order: tuple[int, ...]) -> Exercise:
    def ordered(*marks: int) -> list[int]:
        return [marks[i] for i in order]

    return Exercise(
        id="uncertain.same_class",
        prompt=f"Which views keep the class of an 8 x 8 digit, for all ten digits: "
        f"{', '.join(VIEWS[i] for i in order)}? Answer: five numbers, 1 for yes and 0 for no.",
        nudge="Ask what a reader would call it, not what the network says.",
        hint="Which digit does a 6 become when it is turned upside down?",
        right="That a view keeps the class does not mean that the network knows it.",
        reference=lambda: ordered(*KEPT),
        diagnoses=(
            Diagnosis("mirror", "A mirrored 3 is no digit, and a mirrored 2 looks like a 5.",
                      lambda: ordered(1, 1, 0, 1, 1)),
            Diagnosis("half circle", "Turned by half a circle, a 6 is a 9.", lambda: ordered(1, 0, 1, 1, 1)),
            Diagnosis("photographs", "So it is with photographs; digits have a direction.",
                      lambda: ordered(1, 1, 1, 1, 1)),
            Diagnosis("network", "Asked is what the picture shows, not what the network can do.",
                      lambda: ordered(1, 0, 0, 1, 0)),
        ),
    )  # fmt: skip


def _maps() -> list[tuple[list[Tensor]]]:
    drawn = torch.Generator().manual_seed(3)
    return [([torch.rand(3, side, side, generator=drawn, dtype=torch.float64) for _ in range(4)],) for side in (4, 5)]


def _turned_back(quarters: Sequence[int], probs: list[Tensor]) -> Tensor:
    turns = quarter_turns()
    return torch.stack([turns[k].invert(p) for k, p in zip(quarters, probs, strict=True)]).mean(0)


def _mean_of(turn: Callable[[int, Tensor], Tensor], quarters: Sequence[int], probs: list[Tensor]) -> Tensor:
    return torch.stack([turn(k, p) for k, p in zip(quarters, probs, strict=True)]).mean(0)


PLACES = ("first", "second", "third", "fourth")


def _turn_back(quarters: tuple[int, ...]) -> Exercise:
    first, second, third, last = quarters
    mean = partial(_turned_back, quarters)
    found = (
        Diagnosis("not turned", "You averaged different places; turn each map back first.",
                  partial(_mean_of, lambda k, p: p, quarters)),
        Diagnosis("onward", "You turned them on, not back.",
                  partial(_mean_of, lambda k, p: p.rot90(k, (1, 2)), quarters)),
        Diagnosis("sum", "This is the sum of the four.", lambda probs: 4 * mean(probs)),
    )  # fmt: skip
    order = Diagnosis("order", f"The maps come in the order {first}, {second}, {third}, {last}.",
                      partial(_turned_back, range(4)))  # fmt: skip
    return Exercise(
        id="uncertain.turn_back",
        prompt=f"Maps (C, H, W) answer an image turned by {first}, {second}, {third} and {last} quarters "
        "counterclockwise. What is the mean map of the upright image? Answer: a function of probs, a list of the four "
        "maps.",
        nudge=f"At which place of the {PLACES[quarters.index(1)]} map does the answer for the upper left pixel stand?",
        hint="torch.rot90(p, -k, (1, 2)) turns a map back by k quarters; then the mean.",
        right="The mean of maps that were not turned back is the mean over four different places.",
        reference=mean,
        inputs=_maps,
        diagnoses=found if quarters == (0, 1, 2, 3) else (*found, order),
    )


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


WORDS = {
    0.25: "a quarter", 0.5: "one half", 0.75: "three quarters", 1: "once", 1.5: "one and a half times", 2: "twice",
    2.5: "two and a half times", 3: "three times", 4: "four times", 5: "five times", 6: "six times", 8: "eight times",
    10: "ten times",
}  # fmt: skip


def _log_loss(means: Tensor, y: Tensor) -> Tensor:
    return -means[:, torch.arange(len(y)), y].log().mean(1)


Choice = Callable[[Tensor, Tensor, list[int]], Tensor]


@dataclass(frozen=True)
class _Search:
    """How often a greedy search counts the view that it adds."""

    times: float = 1

    def losses(self, probs: Tensor, y: Tensor, chosen: list[int]) -> Tensor:
        """The scores of the plain mean with each view added."""
        return _log_loss((probs[chosen].sum(0) + self.times * probs) / (len(chosen) + self.times), y)

    def geometric(self, probs: Tensor, y: Tensor, chosen: list[int]) -> Tensor:
        logs = (probs.log()[chosen].sum(0) + self.times * probs.log()) / (len(chosen) + self.times)
        return _log_loss(logs.softmax(2), y)

    def without_return(self, probs: Tensor, y: Tensor, chosen: list[int]) -> Tensor:
        losses = self.losses(probs, y, chosen)
        losses[chosen] = torch.inf
        return losses


def _alone(d: _Search, probs: Tensor, y: Tensor, chosen: list[int]) -> int:
    return int(d.losses(probs, y, []).argmin())


def _smallest(losses: Choice) -> Callable[[Tensor, Tensor, list[int]], int]:
    """Return which view has the smallest loss."""
    return lambda probs, y, chosen: int(losses(probs, y, chosen).argmin())


NEXT_VIEW = Exercise(
    id="uncertain.next_view",
    prompt="Which view does the greedy search add? Answer: a function of (probs, y, chosen), probs (A, N, C) of all "
    "views and chosen a list of numbers, that returns the number of the view whose plain mean with the chosen has the "
    "smallest log loss.",
    given="Greedy search adds the view with which the mean of all chosen has the smallest log loss; a view may come "
    "again. y are the true classes, of shape (N,).",
    nudge="What is averaged with what, before the logarithm?",
    hint="means = (probs[chosen].sum(0) + probs) / (len(chosen) + 1), for all A at once; then -log of the true class.",
    right="The best next view is often not the best view: it is one that errs elsewhere.",
    reference=_smallest(_Search().losses),
    inputs=_views,
    diagnoses=(
        Diagnosis("alone", "This is the best view alone; asked is the best mean with those chosen.",
                  partial(_alone, _Search())),
        Diagnosis("largest", "This one raises the loss most.",
                  lambda probs, y, chosen: int(_Search().losses(probs, y, chosen).argmax())),
        Diagnosis("logs", "You averaged logarithms; average probabilities, then take the logarithm.",
                  _smallest(_Search().geometric)),
        Diagnosis("no return", "A view may be chosen again: that is how it gets more weight.",
                  _smallest(_Search().without_return)),
    ),
)  # fmt: skip


def _reached(losses: Choice) -> Callable[[Tensor, Tensor, list[int]], float]:
    """Return the smallest loss."""
    return lambda probs, y, chosen: float(losses(probs, y, chosen).min())


def _next_loss(d: _Search) -> Exercise:
    counts = "" if d.times == 1 else f", in which the new view counts {WORDS[d.times]}"
    w = "" if d.times == 1 else f"{d.times:g} * "
    once = () if d.times == 1 else (
        Diagnosis("once", f"The new view counts {WORDS[d.times]}.", _reached(_Search().losses)),
    )  # fmt: skip
    return Exercise(
        id="uncertain.next_view",
        prompt="What does the greedy search reach with the view that it adds? Answer: a function of (probs, y, "
        "chosen), probs (A, N, C) of all views and chosen a list of numbers, that returns the smallest log "
        f"loss of a plain mean of one more view and the chosen{counts}.",
        given=NEXT_VIEW.given,
        nudge=NEXT_VIEW.nudge,
        hint=f"means = (probs[chosen].sum(0) + {w}probs) / (len(chosen) + {d.times:g}), for all A at once; then "
        "-log of the true class, and the smallest of all A.",
        right=NEXT_VIEW.right,
        reference=_reached(d.losses),
        inputs=_views,
        diagnoses=(
            Diagnosis("alone", "You took the view that is best alone; another one may be better with those chosen.",
                      lambda probs, y, chosen: float(d.losses(probs, y, chosen)[_alone(d, probs, y, chosen)])),
            Diagnosis("largest", "This is the largest one.",
                      lambda probs, y, chosen: float(d.losses(probs, y, chosen).max())),
            Diagnosis("logs", "You averaged logarithms; average probabilities, then take the logarithm.",
                      _reached(d.geometric)),
            Diagnosis("no return", "A view may be chosen again: that is how it gets more weight.",
                      _reached(d.without_return)),
            Diagnosis("number", "This is the number of the view; asked is the log loss.", _smallest(d.losses)),
            *once,
        ),
    )  # fmt: skip


COST_OF_VIEWS, SAME_CLASS = _cost_of_views(16), _same_class((0, 1, 2, 3, 4))
TURN_BACK = _turn_back((0, 1, 2, 3))

VARIANTS = {
    COST_OF_VIEWS.id: Variants(_cost_of_views, lambda generator: one_of(generator, tuple(COUNTS))),
    SAME_CLASS.id: Variants(_same_class, lambda generator: several(generator, range(5), 5)),
    TURN_BACK.id: Variants(_turn_back, lambda generator: several(generator, range(4), 4)),
    NEXT_VIEW.id: Variants(
        _next_loss,
        lambda generator: _Search(one_of(generator, tuple(WORDS))),
        "the best view is nearly always the same, whatever is counted",
    ),
}
