"""Profiles are laid out as columns."""

from __future__ import annotations

import orjson
import pyarrow as pa

from matching.model import LIST_COLUMNS, PROFILE_COLUMNS
from matching.score import TermSteps, hash_term
from matching.scoring_model import default_scoring_model, load_scoring_model
from matching.standardise import standardise
from matching.tabulate import ProfileTabler, lay_out_profiles, list_term_uses

MODEL = default_scoring_model()
KEY = b"h" * 32
PEOPLE: tuple[dict[str, object], ...] = (
    {"given_name": "Anna", "family_name": "Smith", "email": ["a@web.de", "b@web.de"]},
    {"org_name": "Acme Ltd"},
    {},
)


def test_each_profile_is_a_row_with_its_values_and_the_steps_of_its_terms() -> None:
    profiles = [standardise(stated, region=None).profile for stated in PEOPLE]

    table = ProfileTabler(MODEL, hash_key=b"h" * 32).tabulate(profiles)

    rows = table.to_pylist()
    assert [
        tuple(
            tuple(row[name]) if name in LIST_COLUMNS and row[name] else row[name] for name in PROFILE_COLUMNS
        )
        for row in rows
    ] == profiles
    steps = [f"steps_{number}" for number in range(len(list_term_uses(MODEL)))]
    assert table.column_names == [*PROFILE_COLUMNS, *steps]
    assert all(rows[2][name] == 0 for name in steps)
    assert any(rows[0][name] != 0 for name in steps)


def test_steps_are_those_of_the_model_that_adds_them_whichever_way_the_columns_come() -> None:
    named: list[dict[str, object]] = [
        {"given_name": name, "family_name": name} for name in ("Anna", "Qwertz", "Anna", "Smith")
    ]
    profiles = [standardise(stated, region=None).profile for stated in (*PEOPLE, *named)]
    document = orjson.loads(MODEL.document)
    for table in document["term_tables"]:
        table["values"], table["hashed"] = (
            {"anna": 0.5},
            {hash_term(table["name"], "smith", hash_key=KEY): 0.25},
        )
    other = load_scoring_model(orjson.dumps(document))
    laid_out = lay_out_profiles(profiles)
    sliced = pa.concat_tables([laid_out.slice(0, 3), laid_out.slice(3)])

    for model in (MODEL, other):
        added = ProfileTabler(model, hash_key=KEY).add_steps(sliced)

        assert added.combine_chunks() == ProfileTabler(model, hash_key=KEY).tabulate(profiles)
        for number, use in enumerate(list_term_uses(model)):
            steps = TermSteps(model.term_tables[use.table], use.percent, KEY)
            values = laid_out[use.column].to_pylist()
            assert added[f"steps_{number}"].to_pylist() == [steps.find(value) for value in values]
    assert ProfileTabler(other, hash_key=KEY).add_steps(laid_out) != ProfileTabler(
        MODEL, hash_key=KEY
    ).add_steps(laid_out)


def test_no_profiles_make_an_empty_table_of_the_same_columns() -> None:
    tabler = ProfileTabler(MODEL, hash_key=b"h" * 32)

    assert tabler.tabulate(()).schema == tabler.tabulate([standardise({}, region=None).profile]).schema
