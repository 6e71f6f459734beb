"""The rows on the split and on the families count right, and say of each statement whose it is; nothing is trained."""

import pytest
import torch
from tests.claims import claims_uncertain_families as families
from tests.claims import collected
from tests.claims.claims_uncertain import CHAPTER
from tests.claims.uncertain_posteriors import unseen
from tests.claims.uncertain_recipes import KINDS, WAYS, WIDTHS, recipe
from tests.claims.uncertain_study import DIGITS

from weightlore.data import Split

ROWS = [claim for claim in collected() if claim.chapter == CHAPTER]


@pytest.fixture
def told(monkeypatch):
    """Stored numbers of one seed: only the evidential network depends on its recipe."""
    numbers = {
        f"{way}, {strange}, {kind} {name}": 0.9 - (0.1 * place if way == "evidential" else 0.0)
        for way in WAYS
        for strange in unseen(DIGITS)
        for kind, names in KINDS.items()
        for place, name in enumerate(names)
    }
    monkeypatch.setattr(families, "found", lambda study, seed, group: numbers)
    return numbers


def test_oracle_a_method_that_depends_on_its_recipe(told):
    assert families.depends("evidential", "width", 0)["value"] == pytest.approx(0.2 / 3)
    assert families.depends("prior", "half", 0)["value"] == pytest.approx(0.0)
    told["ensemble, noise, half 2"] = 0.0
    assert families.depends("prior", "half", 0)["value"] == pytest.approx(-0.1)


def test_oracle_of_several_the_one_that_speaks_against_the_claim_counts():
    costs = (("a", 6.0), ("b", 4.0)), ("c", 2.0)
    assert families.ratio(*costs, False, 0) == {"value": 2.0, "a": 6.0, "b": 4.0, "c": 2.0}
    assert families.ratio(*costs, True, 0)["value"] == 3.0
    bounds = {claim.id: claim.measure(0)["value"] for claim in families.costs()}
    known = {row.method: row for row in families.cost_table()}
    assert bounds["cost-single"] == known["Gaussian process at the end"].prediction / known["ensemble"].prediction
    assert bounds["cost-posterior"] == known["Laplace, last layer"].prediction


def test_oracle_a_fit_with_a_known_noise_is_split():
    numbers = families.part_slope("model", 3)
    assert numbers["value"] == numbers["model"] == pytest.approx(-1, abs=0.15)
    assert families.part_slope("data", 3)["value"] == pytest.approx(0, abs=0.1)


def test_property_recipes_differ_in_one_thing():
    train = Split(torch.arange(10.0)[:, None], torch.arange(10))
    wide, data = recipe(DIGITS, train, 0, "width", 2)
    assert wide.sizes == (64, WIDTHS[2], WIDTHS[2], 10)
    assert data is train
    same, half = recipe(DIGITS, train, 0, "half", 1)
    assert same == DIGITS
    assert len(set(half.y.tolist())) == 5
    assert half.y.tolist() != recipe(DIGITS, train, 0, "half", 2)[1].y.tolist()


def test_property_the_survey_is_said_to_claim_what_its_abstract_says():
    owned = {claim.id.partition("-")[0] for claim in ROWS if claim.whose == "paper"}
    assert owned == {"over", "under", "split"}


def test_property_ensembles_were_compared_under_shift_with_what_their_authors_compared():
    others = {claim.id for claim in ROWS if claim.source == "ovadia2019trust" and claim.whose == "other"}
    assert {id for id in others if id.startswith("posterior")} == {
        f"posterior-{way}-ensemble-{images}" for way in ("dropout", "variational") for images in ("digits", "clothes")
    }
    kinds = ("", "-temperature", "-temperatures")
    assert {id for id in others if id.startswith("shift-ensemble")} == {
        f"shift-ensemble{kind}-{images}" for kind in kinds for images in ("digits", "clothes")
    }


def test_property_no_number_is_printed_as_that_of_a_paper():
    assert [claim.id for claim in ROWS if claim.paper_number is not None] == []
