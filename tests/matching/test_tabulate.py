"""Profiles are laid out as columns."""

from __future__ import annotations

from matching.model import LIST_COLUMNS, PROFILE_COLUMNS
from matching.scoring_model import default_scoring_model
from matching.standardise import standardise
from matching.tabulate import ProfileTabler, list_term_uses

MODEL = default_scoring_model()
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


def test_no_profiles_make_an_empty_table_of_the_same_columns() -> None:
    tabler = ProfileTabler(MODEL, hash_key=b"h" * 32)

    assert tabler.tabulate(()).schema == tabler.tabulate([standardise({}, region=None).profile]).schema
