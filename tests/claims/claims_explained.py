"""Chapter 4, explanations: do maps notice that the network is random? The same maps, asked in several ways.

Rank correlations are means over a hundred images, maps of a trained network against those of a wholly random one of the
same shape and law; the class is what the trained network predicts, the score its logit. The paper's own tables are not
known to us; numbers named as another's are those that the public code of the challenged study has stored, for networks
that read MNIST. Whether people who look at the pictures tell the networks apart was not studied, there or here.
"""

from collections.abc import Callable
from functools import lru_cache, partial

import torch
from tests.claims.claims_corrupted import within
from tests.claims.explained_study import (
    CLOTHES,
    DIGITS,
    PATH,
    PRODUCT,
    STUDIES,
    Explained,
    found,
    images,
    methods,
    network,
    noise,
    splits,
)
from torch import nn

from weightlore.attribution import (
    compare_networks,
    entropy_rise,
    fit_permuted,
    integrated_gradients,
    randomize,
    rank_similarity,
    scores,
    smoothed,
)
from weightlore.networks import cnn
from weightlore.teaching.claims import Claim, Rule, beyond
from weightlore.training import fit

torch.set_num_threads(1)

CHAPTER, PAPER, CHECKS = "4_explained", "sundararajan2018note", "adebayo2018sanity"
LIKE, UNLIKE = beyond(0.85, same=0.5), within(-0.15, 0.15)
PUBLIC = "stored output of the public code for a CNN on MNIST"
VIEWERS = "nobody was asked what he sees"


def number(study: Explained, name: str, seed: int) -> float:
    """One of the numbers of a seed."""
    return found(study, seed)[name]


def ways(study: Explained, method: str, seed: int) -> dict[str, float]:
    """How much the correlation falls when sign and background are accounted for."""
    numbers = found(study, seed)
    naive, right = (numbers[f"{method}, all, {way}"] for way in ("abs all", "signed active"))
    return {"value": naive - right, "absolute, all": naive, "signed, active": right}


def control(study: Explained, seed: int) -> dict[str, float]:
    """How much more alike the maps of two trained networks are than those of a trained and a random one."""
    numbers = found(study, seed)
    trained, random = (numbers[f"{PATH}, {other}, signed active"] for other in ("trained", "all"))
    return {"value": trained - random, "trained": trained, "random": random}


def lowest(study: Explained, method: str, seed: int) -> dict[str, float]:
    """The lowest absolute correlation on the way from the output to the input, and all four."""
    numbers = found(study, seed)
    steps = {step: numbers[f"{method}, {step}, abs all"] for step in ("readout", "hidden", "second", "all")}
    return {"value": min(steps.values()), **steps}


def fallen(study: Explained, method: str, seed: int) -> dict[str, float]:
    """How far the absolute correlation falls from the first step to the last."""
    steps = lowest(study, method, seed)
    return {"value": steps["readout"] - steps["all"], **{name: steps[name] for name in ("readout", "all")}}


def drawn(study: Explained, measure: str, seed: int) -> dict[str, float]:
    """How much less alike signed pictures are than absolute grey ones."""
    numbers = found(study, seed)
    gray, signed = (numbers[f"{PATH}, all, {measure} {way}"] for way in ("gray", "signed"))
    return {"value": gray - signed, "gray": gray, "signed": signed}


@lru_cache(maxsize=4)
def softened(seed: int) -> nn.Module:
    """The digits CNN with softplus in the place of each ReLU, trained."""
    generator = torch.Generator().manual_seed(seed)
    model = cnn(generator=generator)
    model.nonlinear = nn.ModuleList(nn.Softplus() for _ in model.nonlinear)
    fit(model, splits(DIGITS)[0], generator=generator, epochs=DIGITS.epochs, batch_size=32)
    return model.eval()


def legendre(model: nn.Module, nodes: int) -> dict[str, float]:
    """Decades between the median gaps of Gauss-Legendre nodes and of midpoints."""
    x = images(DIGITS).x
    classes = model(x).argmax(1)
    gaps = {
        rule: float(
            integrated_gradients(model, x, classes, baseline=0.0, rule=rule, nodes=nodes).gap.abs().median().log10()
        )
        for rule in ("gauss_legendre", "midpoint")
    }
    return {"value": gaps["gauss_legendre"] - gaps["midpoint"], **gaps}


def on_rectifiers(seed: int) -> dict[str, float]:
    return legendre(network(DIGITS, seed), 32)


def on_softplus(seed: int) -> dict[str, float]:
    return legendre(softened(seed), 16)


def enough(study: Explained, seed: int) -> dict[str, float]:
    """Nodes at which 95 of 100 images miss less than five percent, and the share that 20 nodes serve."""
    model, x = network(study, seed), images(study).x
    classes = model(x).argmax(1)
    start = methods(study)[PATH].keywords["baseline"]
    change = scores(model, x, classes) - scores(model, torch.zeros_like(x) + start, classes)

    def served(nodes: int) -> float:
        gap = integrated_gradients(model, x, classes, baseline=start, rule="trapezoid", nodes=nodes).gap
        return float((gap.abs() < 0.05 * change.abs()).double().mean())

    least = next((nodes for nodes in (5, 10, 20, 50, 100, 200, 500, 1000) if served(nodes) >= 0.95), 2000)
    return {"value": float(least), "share at 20": served(20)}


def repredicted(seed: int) -> dict[str, float]:
    """Share of the images for which a random network predicts its favorite class."""
    numbers = found(DIGITS, seed)
    return {"value": numbers["random predicts one class"], "agrees with the trained": numbers["random agrees"]}


def class_choice(seed: int) -> dict[str, float]:
    """Correlation when the random network's class is explained minus that for the trained network's class."""
    model, data = network(DIGITS, seed), images(DIGITS)
    (copy,) = randomize(model, scheme="full", generator=torch.Generator().manual_seed(seed))
    values = {}
    for target in ("fixed", "repredict"):
        options = {"signs": ("signed",), "masks": ("active",), "target": target}
        table = compare_networks(model, data, {PATH: methods(DIGITS)[PATH]}, others={"random": [copy.model]}, **options)
        values[target] = table.summarize()[0].mean
    return {"value": values["repredict"] - values["fixed"], **values}


def permuted(seed: int) -> dict[str, float]:
    """Correlation with the maps of a network that learned permuted labels by heart."""
    model, generator = network(DIGITS, seed), torch.Generator().manual_seed(seed)
    learned = fit_permuted(model, splits(DIGITS)[0][torch.arange(300)], generator=generator, epochs=200)
    maps = [
        methods(DIGITS)[PATH](one, images(DIGITS).x, model(images(DIGITS).x).argmax(1)).values
        for one in (model, learned.model)
    ]
    x = images(DIGITS).x
    signed = rank_similarity(*maps, sign="signed", mask="active", x=x, baseline=0.0)
    absolute = rank_similarity(*maps, sign="abs", mask="all", x=x, baseline=0.0)
    numbers = {"absolute, all": float(absolute.nanmean()), "training accuracy": learned.accuracy}
    return {"value": float(signed.nanmean()), **numbers}


def smooth_test(seed: int) -> float:
    """Correlation of maps that are means over noisy images, signed, active."""
    model, data = network(DIGITS, seed), images(DIGITS)
    (copy,) = randomize(model, scheme="full", generator=torch.Generator().manual_seed(seed))
    method = smoothed(methods(DIGITS)[PATH], generator=torch.Generator().manual_seed(seed), samples=10)
    options = {"signs": ("signed",), "masks": ("active",)}
    return compare_networks(model, data, {PATH: method}, others={"random": [copy.model]}, **options).summarize()[0].mean


def rise(seed: int) -> dict[str, float]:
    """How much the entropy of maps rises when the network becomes random, relative; for noise beside it."""
    model, x = network(DIGITS, seed), images(DIGITS).x
    target, values = model(x).argmax(1), {}
    for name, method in (("value", methods(DIGITS)[PATH]), ("noise", noise)):
        result = entropy_rise(model, x, method, target=target, generator=torch.Generator().manual_seed(seed), draws=3)
        values[name] = float(result.rise.nanmean())
    return values


def claim(
    id: str,
    study: Explained,
    statement: str,
    setting: str,
    measure: Callable[[int], object],
    rule: Rule,
    **more: object,
) -> Claim:
    """Return a claim on the networks of a study."""
    known = {"source": PAPER, "whose": "ours", "tolerance": 0.02} | more
    return Claim(
        id=f"{id}-{study.name}",
        chapter=CHAPTER,
        statement=statement,
        setting=f"{study.words}; {setting}",
        measure=measure,
        seeds=study.seeds,
        verdict=rule,
        needs=(study.data,) if study.data else (),
        **known,
    )


def dispute(study: Explained) -> list[Claim]:
    """Return the claims on the same maps under four correlations."""
    fast = study is DIGITS
    rows = []
    for method, short in ((PATH, "path"), (PRODUCT, "product")):
        rows += [
            claim(
                f"{short}-absolute-all",
                study,
                f"Without sign and with the background, maps of {method} of a trained and a random network are alike.",
                "mean rank correlation, wanted above 0.85, above 0.5 is the same direction",
                partial(number, study, f"{method}, all, abs all"),
                LIKE,
                source=CHECKS,
                whose="other",
                fast=fast,
            ),
            claim(
                f"{short}-signed-active",
                study,
                f"With sign and without the background, maps of {method} of a trained and a random network are "
                "uncorrelated.",
                "mean rank correlation, wanted between -0.15 and 0.15",
                partial(number, study, f"{method}, all, signed active"),
                UNLIKE,
                whose="paper" if method is PATH else "ours",
                fast=fast,
            ),
            claim(
                f"{short}-signed-all",
                study,
                f"Keeping the sign alone is enough for {method}.",
                "mean rank correlation with the background, wanted between -0.15 and 0.15",
                partial(number, study, f"{method}, all, signed all"),
                UNLIKE,
            ),
            claim(
                f"{short}-absolute-active",
                study,
                f"Leaving out the background alone is enough for {method}.",
                "mean rank correlation without sign, wanted between -0.15 and 0.15",
                partial(number, study, f"{method}, all, abs active"),
                UNLIKE,
            ),
            claim(
                f"{short}-falls",
                study,
                f"Both corrections together take the likeness away for {method}.",
                "absolute with background minus signed without, wanted above 0.7, above 0.3 is the same direction",
                partial(ways, study, method),
                beyond(0.7, same=0.3),
                whose="paper" if method is PATH else "ours",
            ),
        ]
    return rows


def controls(study: Explained) -> list[Claim]:
    """Return what says that the correlations mean something."""
    rows = [
        claim(
            "other-seed",
            study,
            "Signed maps of two networks trained from other seeds are more alike than those of a trained and a random "
            "one.",
            "integrated gradients, active pixels, wanted above 0.1",
            partial(control, study),
            beyond(0.1, same=0.0),
            fast=study is DIGITS,
        ),
        claim(
            "noise-passes",
            study,
            "Pure noise passes the test: its maps of a trained and a random network are uncorrelated.",
            "signed, all pixels, wanted between -0.05 and 0.05",
            partial(number, study, "noise, all, signed all"),
            within(-0.05, 0.05),
        ),
        claim(
            "tie-formula",
            study,
            "The absolute correlation is that of the active pixels, lifted by the background as the closed form says.",
            "integrated gradients, largest error over the images, wanted below 0.001",
            partial(number, study, "tie formula, largest error"),
            beyond(1e-3, below=True),
            tolerance=1e-4,
        ),
        claim(
            "structure-falls",
            study,
            "Pictures drawn with signs around zero are less alike by structure (SSIM) than absolute grey ones.",
            f"integrated gradients, window of {study.window} pixels, grey minus signed, wanted above 0; {VIEWERS}",
            partial(drawn, study, "SSIM"),
            beyond(0.0),
        ),
        claim(
            "nodes-five-percent",
            study,
            "Between 20 and 1,000 steps bring the gap of integrated gradients under five percent.",
            "trapezoid, fewest of 5, 10, ... 1000 steps that serve 95 of 100 images; wanted at most 1,000",
            partial(enough, study),
            beyond(1000.5, below=True),
            source="sundararajan2017axiomatic",
            whose="other",
            paper_number="20 to 1,000 steps for a gap of about 5 %: how-to of the authors' public code",
        ),
    ]
    if study.background:
        rows.append(
            claim(
                "skew-formula",
                study,
                "The signed correlation with background is near what the shares of negative pixels let expect.",
                "integrated gradients, error of the mean over the images, wanted below 0.1",
                partial(number, study, "skew formula, mean error"),
                beyond(0.1, below=True),
            )
        )
    if study.cell is not None:
        rows.append(
            claim(
                "edges-fall",
                study,
                "Pictures drawn with signs around zero are less alike by edges (HOG) than absolute grey ones.",
                f"integrated gradients, cells of {study.cell} pixels, grey minus signed, wanted above 0; {VIEWERS}",
                partial(drawn, study, "HOG"),
                beyond(0.0),
            )
        )
    return rows


def cascades(study: Explained) -> list[Claim]:
    """Return what the public numbers of the challenged study say of other methods, asked of our networks."""
    known = {"source": CHECKS, "whose": "other"}
    last = "absolute rank correlation with background when all blocks are random"
    ends = {
        "gradient": (0.3, "0.082"),
        "SmoothGrad": (0.4, "0.213"),
        "smoothed path": (0.5, "0.361"),
        "Grad-CAM": (0.5, "0.299"),
        "guided Grad-CAM": (0.5, "0.282"),
    }
    rows = [
        claim(
            f"cascade-{method.lower().replace(' ', '-')}",
            study,
            f"Without sign and with background, maps of {method} change when all blocks become random.",
            f"{last}, wanted below {limit:g}",
            partial(number, study, f"{method}, all, abs all"),
            beyond(limit, below=True),
            paper_number=f"{value}: {PUBLIC}",
            **known,
        )
        for method, (limit, value) in ends.items()
    ]
    for method, short, value in (
        (PATH, "path", "0.994, 0.993, 0.993, 0.992"),
        (PRODUCT, "product", "0.993, 0.993, 0.993, 0.992"),
    ):
        rows.append(
            claim(
                f"cascade-{short}",
                study,
                f"Without sign and with background, maps of {method} stay as they are while block after block becomes "
                "random.",
                "lowest of four steps, wanted above 0.98, above 0.85 is the same direction",
                partial(lowest, study, method),
                beyond(0.98, same=0.85),
                paper_number=f"{value}: {PUBLIC}",
                **known,
            )
        )
    return [
        *rows,
        claim(
            "guided-upper",
            study,
            "Guided backpropagation hardly notices a random output layer.",
            "absolute rank correlation with background, wanted above 0.8, above 0.5 is the same direction",
            partial(number, study, "guided backprop, readout, abs all"),
            beyond(0.8, same=0.5),
            paper_number=f"0.888: {PUBLIC}",
            **known,
        ),
        claim(
            "guided-lower",
            study,
            "Guided backpropagation notices random lower layers.",
            "first minus last step, wanted above 0.2, above 0 is the same direction",
            partial(fallen, study, "guided backprop"),
            beyond(0.2, same=0.0),
            paper_number=f"0.888 to 0.444: {PUBLIC}",
            **known,
        ),
        claim(
            "independent-signed",
            study,
            "With signs, maps of integrated gradients change when the fully connected layer alone becomes random.",
            "signed rank correlation with background, wanted between -0.15 and 0.15",
            partial(number, study, f"{PATH}, hidden alone, signed all"),
            UNLIKE,
            paper_number=f"-0.003, mean of five digits: {PUBLIC}",
            **known,
        ),
    ]


def on_digits() -> list[Claim]:
    """Return claims that are asked of digits alone."""
    later, asked = {"source": "hedstrom2024fresh", "whose": "other"}, "integrated gradients, signed, active pixels"
    return [
        claim(
            "one-class",
            DIGITS,
            "A random network predicts one class for most images.",
            "share of its favorite class, wanted above 0.5",
            repredicted,
            beyond(0.5),
        ),
        claim(
            "class-choice",
            DIGITS,
            "Explaining the class that the random network predicts, and not the trained one's, moves the correlation.",
            f"{asked}; predicted again minus fixed, wanted away from 0 by more than 0.05",
            class_choice,
            beyond(0.05),
        ),
        claim(
            "permuted-labels",
            DIGITS,
            "A network that learned permuted labels by heart has other maps.",
            f"{asked}; 300 training images, wanted below 0.3",
            permuted,
            beyond(0.3, below=True),
            source=CHECKS,
            whose="other",
        ),
        claim(
            "smooth-test",
            DIGITS,
            "Maps averaged over noisy images are uncorrelated as well.",
            f"{asked}; 10 noisy copies of each image, wanted between -0.15 and 0.15",
            smooth_test,
            UNLIKE,
            **later,
        ),
        claim(
            "entropy-rises",
            DIGITS,
            "Maps become more disordered when the network becomes random.",
            "integrated gradients, relative rise of the entropy of a histogram of 100 bins, wanted above 0",
            rise,
            beyond(0.0),
            **later,
        ),
        claim(
            "legendre-rectifiers",
            DIGITS,
            "On a network of ReLUs Gauss-Legendre nodes have no advantage over midpoints.",
            "decades between the median gaps, 32 nodes, wanted between -0.5 and 0.5",
            on_rectifiers,
            within(-0.5, 0.5),
        ),
        claim(
            "legendre-softplus",
            DIGITS,
            "On a smooth network Gauss-Legendre nodes are better than midpoints by many decades.",
            "softplus in the place of ReLU; decades between the median gaps, 16 nodes, wanted below -3",
            on_softplus,
            beyond(-3.0, below=True, same=-1.0),
        ),
    ]


CLAIMS = [
    *(one for study in STUDIES.values() for one in [*dispute(study), *controls(study)]),
    *(one for study in (DIGITS, CLOTHES) for one in cascades(study)),
    *on_digits(),
]
