"""The study of crossed fates composes the package, and its rule judges in both directions."""

import numpy as np
import pytest
from tests.claims.claims_crossed import CLAIMS, FAST, better
from tests.claims.crossed_study import CHANCE, CROSSINGS, OTHER, OWN, PRICES, ROWS, crossed, network, seeded

from weightlore.crossed import PAIRS, agrees, tells_apart


def test_property_the_rows_are_all_crossings_all_checks_and_all_prices():
    assert [one for pair in PAIRS for one in pair.experiments] == CROSSINGS
    assert len(ROWS) == len(set(ROWS)) == len(CLAIMS)
    assert set(ROWS) <= set(CROSSINGS) | set(OWN) | set(PRICES)
    assert all(claim.comparisons == len(ROWS) and claim.whose == "ours" for claim in CLAIMS)
    assert sum(claim.fast for claim in CLAIMS) == len(FAST)


def test_oracle_a_row_is_the_difference_of_two_answers():
    found = crossed("struck", "tells-apart", 0)
    value, control = (tells_apart(network(name, 0), generator=seeded(CHANCE)) for name in ("struck", "healthy"))
    assert found == {"value": value - control, "network": value, "healthy": control}


def test_oracle_explanations_are_compared_with_those_of_another_seed():
    found = crossed("struck", "agrees-abs", 0)
    assert found["healthy"] == agrees(network("healthy", OTHER), network("healthy", 0), sign="abs")


@pytest.mark.parametrize(
    ("differences", "verdict"),
    [
        ([1.0, 1.1, 0.9], "reproduced"),
        ([-1.0, -1.1, -0.9], "not reproduced"),
        ([1.0, -1.0, 0.5], "undecided"),
        ([0.0, 0.0, 0.0], "undecided"),
    ],
)
def test_property_the_rule_says_better_worse_or_undecided(differences, verdict):
    assert better(np.array(differences)) == verdict
