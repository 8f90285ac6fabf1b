"""Scores are symmetric whole millibits, their explanation adds up, and constraints are told."""

from __future__ import annotations

import random
from collections.abc import Mapping

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matching.errors import ScoringModelInvalid
from matching.model import Profile
from matching.score import PairScore, compile_scorer, probability_of
from matching.scoring_model import default_scoring_model, load_scoring_model
from matching.standardise import standardise
from tests.matching.profiles import make_profile, make_random_profile

CUT = default_scoring_model().cut_millibits
ANNA = {
    "given_name": "Anna", "family_name": "Kowalczyk", "birth_date": "1984-05-17", "phone": "+49 30 9018270",
    "address": {"line": "Hauptstr. 5", "postcode": "10115", "city": "Berlin"},
}  # fmt: skip


def _read(attributes: Mapping[str, object]) -> Profile:
    return standardise(attributes, region="DE").profile


def _explain(left: Mapping[str, object], right: Mapping[str, object]) -> PairScore:
    scorer = compile_scorer(default_scoring_model())
    return scorer.explain_pair(_read(left), _read(right), left_source="crm", right_source="shop")


@given(st.integers(min_value=0, max_value=10**6))
def test_scores_are_symmetric_and_their_parts_add_up(seed: int) -> None:
    r = random.Random(seed)
    left, right = make_random_profile(r), make_random_profile(r)
    scorer = compile_scorer(default_scoring_model())

    weight = scorer.score_pair(left, right, left_source="crm", right_source="shop")
    told = scorer.explain_pair(right, left, left_source="shop", right_source="crm")

    assert isinstance(weight, int)
    assert told.weight == weight
    parts = sum(part.millibits + part.term_millibits for part in told.comparisons)
    assert told.prior + told.dependence + parts == weight


def test_the_same_person_with_a_nickname_and_a_typing_error_is_linked() -> None:
    other = {**ANNA, "given_name": "Ania", "family_name": "Kowalcyzk"}

    assert _explain(dict(ANNA), other).weight > 5000


@pytest.mark.parametrize(
    "change",
    [
        {"given_name": "Piotr", "birth_date": "1982-11-30"},
        {"given_name": "Piotr", "birth_date": "1984-05-17", "sex": "m"},
        {"given_name": "Zofia", "birth_date": "2012-01-09"},
    ],
    ids=["spouse", "twin", "child"],
)
def test_a_household_with_one_phone_and_address_is_not_one_person(change: dict[str, object]) -> None:
    assert _explain({**ANNA, "sex": "f"}, {**ANNA, **change}).weight < CUT


def test_junior_and_senior_at_one_address_are_not_one_person() -> None:
    senior = {**ANNA, "full_name": "John Harrow Sr."}
    junior = {**ANNA, "full_name": "John Harrow Jr.", "birth_date": "2010-02-01"}
    for stated in (senior, junior):
        del stated["given_name"], stated["family_name"]

    assert _explain(senior, junior).weight < CUT


def test_a_common_full_name_alone_is_not_enough() -> None:
    stated: dict[str, object] = {"given_name": "John", "family_name": "Smith"}

    assert _explain(stated, dict(stated)).weight < CUT


def test_two_firms_in_one_building_with_one_switchboard_are_not_one_customer() -> None:
    shared = {"phone": ANNA["phone"], "address": ANNA["address"]}

    assert (
        _explain(
            {"org_name": "Nordlicht Optik GmbH", **shared}, {"org_name": "Petri Bau AG", **shared}
        ).weight
        < CUT
    )


def test_the_same_firm_with_another_spelling_of_its_legal_form_is_linked() -> None:
    shared = {"address": ANNA["address"]}

    told = _explain(
        {"org_name": "Nordlicht Optik GmbH", **shared},
        {"org_name": "Nordlicht Optik Gesellschaft mit beschränkter Haftung", **shared},
    )

    assert told.weight > CUT + 4000


def test_a_rare_name_weighs_more_than_a_common_one() -> None:
    common, rare = ({"given_name": "John", "family_name": name} for name in ("Smith", "Abernathy"))

    def family(stated: dict[str, object]) -> int:
        return next(
            p.term_millibits for p in _explain(stated, dict(stated)).comparisons if p.name == "family"
        )

    assert family(dict(rare)) > family(dict(common))


def test_what_a_source_states_as_the_same_adds_its_weight() -> None:
    scorer, model = compile_scorer(default_scoring_model()), default_scoring_model()
    left, right = make_profile(given="anna"), make_profile(given="olga")

    plain = scorer.score_pair(left, right, left_source="a", right_source="b")
    stated = scorer.score_pair(left, right, left_source="a", right_source="b", same_as=True)

    assert stated - plain == model.same_as_millibits


def test_person_and_organisation_conflict() -> None:
    scorer = compile_scorer(default_scoring_model())

    assert scorer.conflict(make_profile(kind="person"), make_profile(kind="organisation")) == "kind"
    assert scorer.conflict(make_profile(kind="person"), make_profile()) is None


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (("tax_id:12345678",), ("tax_id:87654321",), "exclusive:tax_id"),
        (("tax_id:12345678",), ("tax_id:12345687",), None),
        (("tax_id:12345678",), ("tax_id:12345678", "tax_id:99999999"), None),
        (("tax_id:12345678",), ("lei:87654321",), None),
        (("loyalty:12345678",), ("loyalty:87654321",), None),
        (("national_id:12345678",), ("national_id:87654321",), None),
        (("national_id@se:12345678",), ("national_id@se:87654321",), "exclusive:national_id"),
        (("national_id@se:12345678",), ("national_id@no:87654321",), None),
        (None, ("tax_id:87654321",), None),
    ],
)
def test_exclusive_identifiers_conflict_when_more_than_one_typing_error_apart(
    left: tuple[str, ...] | None, right: tuple[str, ...], expected: str | None
) -> None:
    scorer = compile_scorer(default_scoring_model())

    assert scorer.conflict(make_profile(identifiers=left), make_profile(identifiers=right)) == expected
    assert scorer.conflict(make_profile(identifiers=right), make_profile(identifiers=left)) == expected


def test_a_model_with_hashed_frequencies_needs_the_secret() -> None:
    stated = orjson.loads(default_scoring_model().document)
    stated["term_tables"][0]["hashed"] = {"00ff": 0.001}
    model = load_scoring_model(orjson.dumps(stated))

    with pytest.raises(ScoringModelInvalid, match="hash key is needed"):
        compile_scorer(model)


def test_probability_is_the_logistic_of_the_bits() -> None:
    assert probability_of(0) == 0.5
    assert probability_of(1000) == pytest.approx(2 / 3)
    assert probability_of(-2_000_000) == 0
    assert probability_of(2_000_000) == 1
