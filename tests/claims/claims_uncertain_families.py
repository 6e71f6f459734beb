"""Chapter 3, uncertainty, eighth part: the split into two parts, and what is said of the families of methods.

The split is a statement of the survey's abstract. That single deterministic methods are cheap but depend on data and
architecture, that Bayesian ones and ensembles are dear, and that views need no training, is said of its comparison of
the families, which was not at hand: these rows are ours. Costs are those of the benchmark ``family_costs``, known when
the rules were written; a rule asks no more than on which side of 1 a ratio lies, or whether it is 1.
"""

from functools import partial
from statistics import mean, median

import torch
from tests.claims.claims_corrupted import within
from tests.claims.claims_uncertain import SURVEY, claim
from tests.claims.uncertain_numbers import found
from tests.claims.uncertain_posteriors import unseen
from tests.claims.uncertain_recipes import KINDS, WIDTHS
from tests.claims.uncertain_study import DIGITS
from torch import Tensor

from weightlore.data import Split
from weightlore.teaching.claims import Claim, beyond
from weightlore.uncertainty import sources
from weightlore.uncertainty.evaluate import cost_table

torch.set_num_threads(1)

SIZES, NOISE = (50, 100, 200, 400, 800), 0.2
LINE = (
    f"linear regression on 5 inputs, noise of deviation {NOISE:g}, prior and noise by evidence, {SIZES[0]} to "
    f"{SIZES[-1]} rows; mean over 8 orders of the rows"
)
COSTS = (
    "benchmark family_costs: MLP 64-64-32-10 on 1,077 digits, medians of 9 rounds on one thread; five members or "
    "views, 20 draws, 10 networks of a chain; known when the rule was written"
)
COUNTED = {
    "prediction": "processor time of an answer",
    "training": "processor time of training",
    "stored": "numbers kept",
}
RULES = {"below 1": beyond(1.0, below=True), "above 1": beyond(1.0), "between 0.9 and 1.1": within(0.9, 1.1)}
RECIPES = {
    "width": f"three widths of the hidden layers, {', '.join(map(str, WIDTHS))}",
    "half": "three random halves of the training images",
}
JUDGED = {
    "plain": "one network, by its largest probability,",
    "evidential": "an evidential network",
    "prior": "a prior network",
}


def learn(data: Split, generator: torch.Generator) -> object:
    """Linear regression that finds its prior and its noise, and splits its variance."""
    model = sources.maximize_evidence(data.x, data.y)

    def split(x: Tensor) -> sources.Parts:
        said = model.predict(x)
        return sources.Parts(said.variance, said.aleatoric_var, said.epistemic_var)

    return split


def part_slope(part: str, seed: int) -> dict[str, float]:
    """How a part of the variance falls with the number of rows, on two logarithmic scales; the other part beside."""
    generator = torch.Generator().manual_seed(seed)
    e = [torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in ((SIZES[-1], 5), (5, 1), (100, 5))]
    noise = NOISE * torch.randn(SIZES[-1], 1, generator=generator, dtype=torch.float64)
    pool = Split(e[0], e[0] @ e[1] + noise)
    curve = sources.reducibility_curve(learn, pool, e[2], sizes=SIZES, repeats=8, generator=generator)
    slopes = {name: float(sources.log_slope(curve.sizes, getattr(curve, name).mean(0))) for name in ("model", "data")}
    return {"value": slopes[part], **slopes}


def ratio(ours: tuple[tuple[str, float], ...], theirs: tuple[str, float], largest: bool, seed: int) -> dict[str, float]:
    """The largest or the smallest cost of some methods as a multiple of another's; all of them beside."""
    worst = (max if largest else min)(cost for _, cost in ours)
    return {"value": worst / theirs[1], **dict((*ours, theirs))}


def strayed(numbers: dict[str, float], method: str, kind: str) -> float:
    """How far the AUROC of a recipe is from the median of three, mean over recipes and kinds of outside images."""
    areas = [[numbers[f"{method}, {strange}, {kind} {name}"] for name in KINDS[kind]] for strange in unseen(DIGITS)]
    return mean(abs(area - median(row)) for row in areas for area in row)


def depends(method: str, kind: str, seed: int) -> dict[str, float]:
    """How much further a method strays from its median than the ensemble."""
    ours, theirs = (strayed(found(DIGITS, seed, "recipes"), name, kind) for name in (method, "ensemble"))
    return {"value": ours - theirs, method: ours, "ensemble": theirs}


def parts() -> list[Claim]:
    """Return rows on the reducible and the irreducible part."""
    known = {"source": SURVEY, "whose": "paper", "unit": "slope", "seeds": tuple(range(10)), "fast": True}
    return [
        claim(
            "split-model",
            "Model uncertainty is reducible: more examples take it away.",
            f"{LINE}; slope of the model part of the variance on two logarithmic scales, wanted between -1.1 and -0.9",
            partial(part_slope, "model"),
            within(-1.1, -0.9),
            **known,
        ),
        claim(
            "split-data",
            "Data uncertainty is irreducible: more examples leave it.",
            f"{LINE}; slope of the data part of the variance on two logarithmic scales, wanted between -0.1 and 0.1",
            partial(part_slope, "data"),
            within(-0.1, 0.1),
            **known,
        ),
    ]


def cost(id: str, statement: str, what: str, ours: tuple[str, ...], theirs: str, wanted: str) -> Claim:
    """Return a row on a ratio of costs. They belong to its version: other costs ask for another measurement."""
    known = {row.method: float(getattr(row, what)) for row in cost_table()}
    measured, largest = tuple((name, known[name]) for name in ours), wanted != "above 1"
    which = ("the largest of " if largest else "the smallest of ") if len(ours) > 1 else ""
    return claim(
        id,
        statement,
        f"{COSTS}; {COUNTED[what]}, {which}{', '.join(ours)} as a multiple of {theirs}, wanted {wanted}",
        partial(ratio, measured, (theirs, known[theirs]), largest),
        RULES[wanted],
        source=SURVEY,
        whose="ours",
        unit="ratio",
        seeds=(0,),
        fast=True,
    )


def costs() -> list[Claim]:
    """Return rows on what the families cost, read from what was measured."""
    single = ("evidential", "Mahalanobis", "Gaussian process at the end")
    drawn = ("dropout that stays on", "variational", "chain", "Laplace, last layer", "Laplace, Kronecker")
    asking, training, five, views, one = "prediction", "training", ("ensemble",), ("views",), "one network"
    less, more, same = RULES
    return [
        cost(
            "cost-single", "Networks that answer in one pass are asked faster than five.", asking, single, *five, less
        ),
        cost(
            "cost-single-trained",
            "Networks that answer in one pass are trained faster than five.",
            training,
            single,
            *five,
            less,
        ),
        cost("cost-posterior", "Posteriors are asked slower than one network.", asking, drawn, one, more),
        cost("cost-ensemble", "Five networks take longer to train than one.", training, five, one, more),
        cost("cost-ensemble-kept", "Five networks keep more numbers than one.", "stored", five, one, more),
        cost("cost-views", "Views at test time add nothing to the training.", training, views, one, same),
        cost("cost-views-asked", "Views are asked faster than five networks.", asking, views, *five, less),
    ]


def dependence() -> list[Claim]:
    """Return rows on how much architecture and data matter to one network."""
    on = {"width": "how wide it is", "half": "which half of the examples it saw"}
    return [
        claim(
            f"depends-{kind}-{method}",
            f"The AUROC of {words} depends more on {on[kind]} than that of an ensemble.",
            f"{RECIPES[kind]}; distance from the median over three, mean over three kinds of outside images, minus "
            "that of five networks, wanted above 0",
            partial(depends, method, kind),
            beyond(0.0),
            source=SURVEY,
            whose="ours",
            unit="AUROC",
            study=DIGITS,
            seeds=tuple(range(5)),
            needs=("usps",),
        )
        for kind in KINDS
        for method, words in JUDGED.items()
    ]


CLAIMS = [*parts(), *costs(), *dependence()]
