"""Measures: what they mean, natively; that DuckDB gives the same is `test_parity`."""

from __future__ import annotations

from typing import Any

import duckdb
import pytest

from matching.compare import NATIVE_FUNCTIONS, ExpressionWriter, express, read_condition, render_sql
from matching.errors import ScoringModelInvalid
from matching.model import LIST_COLUMNS, PROFILE_COLUMNS
from tests.matching.profiles import make_profile

WORDS = {"dull": ("group", "the"), "official": ("lei", "tax_id")}


def _holds_natively(condition: dict[str, Any], left: dict[str, Any], right: dict[str, Any]) -> bool:
    expression = express(read_condition(condition, place="here", vocabulary=WORDS))
    written = ExpressionWriter([expression]).write(expression)
    values: dict[str, Any] = dict(NATIVE_FUNCTIONS)
    values |= {f"words_{name}": frozenset(words) for name, words in WORDS.items()}
    for side, columns in (("a", left), ("b", right)):
        values |= {f"{side}{position}": value for position, value in enumerate(make_profile(**columns))}
    return bool(eval(written.text, values))


def _holds_in_duckdb(condition: dict[str, Any], left: dict[str, Any], right: dict[str, Any]) -> bool:
    expression = render_sql(read_condition(condition, place="here", vocabulary=WORDS))
    selected = ", ".join(
        f"CAST(? AS VARCHAR{'[]' if name in LIST_COLUMNS else ''}) AS {name}_{side}"
        for side in "lr"
        for name in PROFILE_COLUMNS
    )
    values = [
        list(value) if isinstance(value, tuple) else value
        for columns in (left, right)
        for value in make_profile(**columns)
    ]
    with duckdb.connect() as con:
        found = con.execute(f"SELECT {expression} FROM (SELECT {selected})", values).fetchall()
    return bool(found[0][0])


CASES = [
    ({"measure": "same", "column": "given"}, {"given": "anna"}, {"given": "anna"}, True),
    ({"measure": "same", "column": "given"}, {}, {}, False),
    ({"not": {"measure": "same", "column": "given"}}, {}, {"given": "anna"}, True),
    (
        {"measure": "crossed", "columns": ["given", "family"]},
        {"given": "anna", "family": "berg"},
        {"given": "berg", "family": "anna"},
        True,
    ),
    ({"measure": "initial", "column": "given"}, {"given": "j"}, {"given": "john"}, True),
    ({"measure": "initial", "column": "given"}, {"given": "j"}, {"given": "j"}, False),
    (
        {"measure": "extends", "column": "given", "length_min": 3},
        {"given": "chris"},
        {"given": "christopher"},
        True,
    ),
    (
        {"measure": "extends", "column": "given", "length_min": 3},
        {"given": "ch"},
        {"given": "christopher"},
        False,
    ),
    # 0.92 is a value that this pair reaches exactly: the slack decides alike in both engines.
    (
        {"measure": "jaro_winkler", "column": "given", "at_least": 0.92},
        {"given": "abcde"},
        {"given": "abcdfe"},
        True,
    ),
    ({"measure": "damerau", "column": "given", "at_most": 2}, {"given": "hans"}, {"given": "hsa"}, True),
    (
        {"measure": "damerau", "column": "given", "at_most": 1, "length_min": 4},
        {"given": "ann"},
        {"given": "ann"},
        False,
    ),
    (
        {"measure": "levenshtein", "column": "given", "at_most": 1},
        {"given": "x" * 64 + "abc"},
        {"given": "x" * 64},
        True,
    ),
    (
        {"measure": "word_shared", "column": "family", "length_min": 3},
        {"family": "garcia lopez"},
        {"family": "lopez"},
        True,
    ),
    (
        {"measure": "date_swapped", "column": "birth_date"},
        {"birth_date": "1980-02-03"},
        {"birth_date": "1980-03-02"},
        True,
    ),
    (
        {"measure": "date_parts", "column": "birth_date", "at_least": 2},
        {"birth_date": "1980-02-03"},
        {"birth_date": "1980-02-04"},
        True,
    ),
    (
        {"measure": "date_parts", "column": "birth_date", "at_least": 1},
        {"birth_date": "1980-02"},
        {"birth_date": "1980-02"},
        False,
    ),
    ({"measure": "initials_fit", "column": "middle"}, {"middle": "j r"}, {"middle": "kate"}, False),
    ({"measure": "initials_fit", "column": "middle"}, {"middle": "j"}, {"middle": "john paul"}, True),
    (
        {"measure": "found_in", "columns": ["family", "family_alts"]},
        {"family": "berg"},
        {"family_alts": ("berg", "tal")},
        True,
    ),
    (
        {"measure": "found_in", "columns": ["family", "family_alts"]},
        {"family_alts": ("berg",)},
        {"family": "berg"},
        True,
    ),
    (
        {"measure": "shares", "column": "org_tokens", "at_least": 1, "ignoring": "dull"},
        {"org_tokens": ("group", "x")},
        {"org_tokens": ("group",)},
        False,
    ),
    (
        {"measure": "contained", "column": "org_tokens", "at_least": 2},
        {"org_tokens": ("a", "b")},
        {"org_tokens": ("a", "b", "c")},
        True,
    ),
    (
        {"measure": "share_percent", "column": "org_tokens", "at_least": 50},
        {"org_tokens": ("a", "b")},
        {"org_tokens": ("b", "c")},
        True,
    ),
    (
        {"measure": "shares_end", "column": "phones", "length": 7},
        {"phones": ("4930123456",)},
        {"phones": ("0123456",)},
        True,
    ),
    (
        {"measure": "shares_start", "column": "postcodes", "length": 3},
        {"postcodes": ("12345",)},
        {"postcodes": ("12399",)},
        True,
    ),
    (
        {"measure": "best_damerau", "column": "phones", "at_most": 1},
        {"phones": ("1", "4930123456")},
        {"phones": ("4930123465",)},
        True,
    ),
    (
        {"measure": "best_damerau", "column": "phones", "at_most": 1},
        {"phones": ("x" * 64 + "abc",)},
        {"phones": ("x" * 64,)},
        True,
    ),
    (
        {"measure": "best_jaro_winkler", "column": "cities", "at_least": 0.9},
        {"cities": ("aachen", "winterthur")},
        {"cities": ("wintertuhr",)},
        True,
    ),
    (
        {"measure": "shares_end", "column": "phones", "length": 7},
        {"phones": ("123456",)},
        {"phones": ("123456",)},
        False,
    ),
    (
        {"measure": "contained", "column": "org_tokens", "at_least": 1, "ignoring": "dull"},
        {"org_tokens": ("group", "the")},
        {"org_tokens": ("group",)},
        False,
    ),
    (
        {"measure": "word_shared", "column": "family", "length_min": 3},
        {"family": "li"},
        {"family": "li"},
        False,
    ),
    (
        {"measure": "damerau", "column": "given", "at_most": 1},
        {"given": "ab"},
        {"given": "ba"},
        True,
    ),
    (
        {"measure": "scheme_shared", "column": "identifiers", "only": "official"},
        {"identifiers": ("x-a:1",)},
        {"identifiers": ("x-a:2",)},
        False,
    ),
    (
        {"measure": "scheme_shared", "column": "identifiers", "only": "official"},
        {"identifiers": ("tax_id:1",)},
        {"identifiers": ("tax_id:2",)},
        True,
    ),
    (
        {"measure": "named_mailbox", "columns": ["emails", "given", "family"]},
        {"emails": ("anna.berg@x.de",), "given": "anna", "family": "berg"},
        {"emails": ("anna.berg@x.de",)},
        True,
    ),
    (
        {"measure": "shares_mailbox", "column": "emails", "ignoring": "dull"},
        {"emails": ("group@x.de",)},
        {"emails": ("group@x.de",)},
        False,
    ),
]


@pytest.mark.parametrize(("condition", "left", "right", "expected"), CASES)
def test_a_measure_means_the_same_in_both_engines_and_in_both_directions(
    condition: dict[str, Any], left: dict[str, Any], right: dict[str, Any], expected: bool
) -> None:
    assert _holds_natively(condition, left, right) is expected
    assert _holds_natively(condition, right, left) is expected
    assert _holds_in_duckdb(condition, left, right) is expected
    assert _holds_in_duckdb(condition, right, left) is expected


def test_an_unknown_word_list_is_refused() -> None:
    stated = {"measure": "shares", "column": "emails", "at_least": 1, "ignoring": "nothing"}

    with pytest.raises(ScoringModelInvalid, match="there is no word list"):
        read_condition(stated, place="here", vocabulary=WORDS)
