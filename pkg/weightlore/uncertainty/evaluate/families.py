"""The families of methods side by side: what each costs and what it can see, as the algorithms imply.

M members, S samples, A views, P parameters, F and B the cost of a pass forward and backward.

family_table    one row for each family; what it says of costs is measured in ``cost_table``
"""

from dataclasses import dataclass

__all__ = ["FamilyRow", "family_table", "markdown_table"]


@dataclass(frozen=True)
class FamilyRow:
    """One family of methods.

    Args:
        family: its name.
        idea: where the uncertainty comes from.
        trained: how many networks are trained.
        training: its cost in trainings of one network.
        prediction: its cost in passes forward (F) and backward (B).
        stored: numbers that are kept.
        change: what an existing network must change.
        modes: how many regions of parameters are seen.
        strength: what speaks for it.
        limit: what speaks against it.

    Source: ours, derived from the algorithms; the questions are those of [gawlikowski2023uncertainty], section 3
    """

    family: str
    idea: str
    trained: str
    training: str
    prediction: str
    stored: str
    change: str
    modes: str
    strength: str
    limit: str


def family_table() -> tuple[FamilyRow, ...]:
    """Return the families of methods, one row each.

    Example:
        >>> len(family_table())
        8

    Source: ours, derived from the algorithms
    """
    return tuple(FamilyRow(*row) for row in ROWS)


def markdown_table(columns: tuple[str, ...] = ("family", "idea", "training", "prediction", "stored", "limit")) -> str:
    """Return the table as Markdown.

    Args:
        columns: names of the fields to show.

    Raises:
        KeyError: if there is no such column.

    Example:
        >>> print(markdown_table(("family", "trained")).splitlines()[2])
        | one network, from within | 1 |

    Source: ours
    """
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    lines += [f"| {' | '.join(vars(row)[name] for name in columns)} |" for row in family_table()]
    return "\n".join(lines)


ROWS = (
    (
        *("one network, from within", "its output is a distribution over predictions", "1"),
        *("1 (a gradient penalty twice; outside data more)", "F", "P", "head and loss", "1"),
        "the cheapest prediction",
        "rests on the recipe and the start of training, and often on the outside data that it saw",
    ),
    (
        *("one network, judged from outside", "a second component looks at features or gradients", "1 and a small one"),
        *("1 and a small fit", "F (with gradients F + B)", "P and statistics", "none", "1"),
        "any trained network, whose answers stay as they are",
        "sees only what the features keep",
    ),
    (
        *("variational", "a distribution over parameters is optimized", "1", "1, with 2 P parameters", "S F", "2 P"),
        *("its layers", "1"),
        "compact",
        "independent weights are too sure where weights depend on one another; its divergence wants tuning",
    ),
    (
        *(
            "dropout that stays on",
            "units or weights are left out at random",
            "1",
            "1",
            "S F",
            "P",
            "needs dropout",
            "1",
        ),
        "one line of code",
        "the rate fixes the uncertainty, not the data",
    ),
    (
        *("sampling", "a chain walks through the posterior", "1 chain", "long", "S F", "S P", "none"),
        "several, if the chain is long or cyclical",
        "exact in the limit",
        "time, and the question whether the chain has arrived",
    ),
    (
        *("Laplace", "a Gaussian around the trained parameters", "1", "1 and a pass for curvature"),
        "F and a Jacobian, or S F",
        "P; diagonal 2 P; Kronecker P and two factors a layer; low rank P and columns of P; full P^2",
        *("none", "1"),
        "after training, with an evidence",
        "local; every structure but the full one leaves correlations out",
    ),
    (
        *("ensembles", "several solutions are asked", "M"),
        "M (snapshots and averages about 1; members that share weights 1 to 2)",
        "M F (several answers of one network F)",
        "M P (members that share weights P and a few each; averages columns of P)",
        *("none (shared weights: its layers)", "several"),
        "hard to beat",
        "its price, and members that agree on the same mistake",
    ),
    (
        *("views at test time", "the input is varied, not the network", "1", "0", "A F", "P", "none", "1"),
        "no training at all",
        "needs views that keep the answer, and asks about the input only",
    ),
)
