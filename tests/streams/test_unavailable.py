"""What a change did not carry stays what it was."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matching.standardise import clean_attributes
from streams.unavailable import fill_unavailable

WORDS = st.text("abcdefgäöü", min_size=1, max_size=6)
FULL = st.fixed_dictionaries(
    {},
    optional={
        "given_name": WORDS,
        "full_name": WORDS,
        "email": st.lists(WORDS.map(lambda word: f"{word}@example.org"), min_size=1, max_size=3, unique=True),
        "other_names": st.lists(WORDS, min_size=1, max_size=2, unique=True),
        "address": st.lists(
            st.fixed_dictionaries({"city": WORDS}, optional={"street": WORDS, "postcode": WORDS}),
            min_size=1,
            max_size=2,
        ),
        "identifiers": st.lists(
            st.fixed_dictionaries({"scheme": st.sampled_from(["tax_id", "iban", "x-no"]), "value": WORDS}),
            min_size=1,
            max_size=3,
            unique_by=str,
        ),
    },
)
TARGETS = st.sets(
    st.sampled_from(
        """given_name full_name email other_names address identifiers address.city address.street address.1.city
        identifiers.tax_id identifiers.x-no""".split()
    )
)


def without(attributes: dict[str, Any], targets: set[str]) -> dict[str, Any]:
    """Return the attributes as a change would carry them that did not send these targets."""
    carried: dict[str, Any] = orjson.loads(orjson.dumps(attributes))
    for target in targets:
        name, _, part = target.partition(".")
        if not part:
            carried.pop(name, None)
        elif name == "identifiers":
            carried[name] = [one for one in carried.get(name, []) if one["scheme"] != part]
        else:
            position, _, field = part.rpartition(".")
            addresses = carried.get(name, [])
            if int(position or 0) < len(addresses):
                addresses[int(position or 0)].pop(field, None)
    return {name: value for name, value in carried.items() if value}


@given(FULL, TARGETS)
def test_a_restatement_filled_from_the_version_held_is_that_version(
    stated: dict[str, Any], unavailable: set[str]
) -> None:
    held = clean_attributes(stated)

    filled = fill_unavailable(without(stated, unavailable), unavailable, held)

    assert orjson.dumps(clean_attributes(filled), default=list) == orjson.dumps(held, default=list)


def test_what_was_carried_wins_over_what_is_held() -> None:
    filled = fill_unavailable(
        {"given_name": "Eva"}, {"full_name"}, {"given_name": "Eve", "full_name": "Eve X"}
    )

    assert filled == {"given_name": "Eva", "full_name": "Eve X"}


def test_a_list_of_several_columns_keeps_what_is_held_beside_what_is_new() -> None:
    filled = fill_unavailable({"email": ["new@x.org"]}, {"email"}, {"email": ["old@x.org", "long@x.org"]})

    assert filled == {"email": ["old@x.org", "long@x.org", "new@x.org"]}


@pytest.mark.parametrize("target", ["email", "address.city", "address.3.city", "identifiers.iban"])
def test_where_nothing_is_held_nothing_is_filled(target: str) -> None:
    assert fill_unavailable({"given_name": "Eva"}, {target}, {"full_name": "x"}) == {"given_name": "Eva"}
