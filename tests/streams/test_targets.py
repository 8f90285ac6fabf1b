"""Filling the identity attributes of a statement."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.errors import MappingInvalid
from streams.targets import LISTS, TEXTS, compile_attributes

TARGETS = (*TEXTS[:4], *LISTS, "address.city", "address.postcode", "identifiers.tax_id", "identifiers.iban")
VALUES = st.none() | st.text(max_size=5) | st.integers(-9, 9) | st.lists(st.text(max_size=3), max_size=1)


@given(row=st.fixed_dictionaries(dict.fromkeys(TARGETS, VALUES)))
def test_the_quick_tables_state_the_same_as_the_steps_of_nested_paths(row: dict[str, object]) -> None:
    plain = compile_attributes({target: target.replace(".", "_") for target in TARGETS}, frozenset())
    nested = compile_attributes({target: f"in.{target.replace('.', '_')}" for target in TARGETS}, frozenset())
    flat = {target.replace(".", "_"): value for target, value in row.items()}

    one, other = plain(flat), nested({"in": flat})

    assert _without_order(one) == _without_order(other)


@pytest.mark.parametrize("target", ["colour", "address.colour", "address.x.city", "identifiers.", "email.0"])
def test_a_target_that_is_no_attribute_is_refused(target: str) -> None:
    with pytest.raises(MappingInvalid, match="no identity attribute"):
        compile_attributes({target: "column"}, frozenset())


def test_schemes_of_one_s_own_begin_with_x() -> None:
    read = compile_attributes({"identifiers.x-club": "club"}, frozenset())

    assert read({"club": "7"}) == {"identifiers": [{"scheme": "x-club", "value": "7"}]}


def _without_order(stated: dict[str, object]) -> dict[str, object]:
    found = dict(stated)
    if isinstance(identifiers := found.get("identifiers"), list):
        found["identifiers"] = sorted(identifiers, key=str)
    return found
