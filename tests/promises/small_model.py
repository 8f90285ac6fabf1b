"""A scoring model in which ties abound and limits are met soon, and the same rules by hand for the oracle.

A shared e-mail weighs +3.1 bits, other e-mails -3.1, city 2.1, website 0.7, the prior is -1: no float is exact.
`birth_place` tells profiles apart and weighs nothing. A key serves 4 profiles, a component holds 6.
Invariant: nothing here comes from the code under test except the reading of the document.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from matching.scoring_model import ScoringModel, load_scoring_model
from tests.oracle import OracleNumbers, OracleRecord

__all__ = [
    "NUMBERS",
    "SAME_AS",
    "Statement",
    "attributes_of",
    "is_apart",
    "keys_of",
    "oracle_record",
    "small_model",
    "small_model_but",
    "strict_model",
    "weigh",
]

NUMBERS = OracleNumbers(holders_max=4, component_max=6, thresholds=(1000, 3000, 5000), cut=0, clip=4000)
SAME_AS = 3000
_PRIOR = -1000
_BITS = {"email": 3100, "city": 2100, "website": 700}
_COLUMNS = {"email": "emails", "city": "cities", "website": "websites"}
_EMPTY = {"email": (), "city": (), "website": (), "place": None, "kind": None, "loyalty": None}

Statement = Mapping[str, Any]
"""What a source states, in short: email, city, website (tuples), place, kind, loyalty."""


def small_model() -> ScoringModel:
    """Return the model as the code reads it."""
    comparisons = []
    for name, bits in _BITS.items():
        share = 2 ** (bits / 1000)
        same = share / (1 + share)
        comparisons.append(
            {
                "name": name,
                "columns": [_COLUMNS[name]],
                "levels": [
                    {
                        "label": "same",
                        "when": {"measure": "shares", "column": _COLUMNS[name], "at_least": 1},
                        "m": same,
                        "u": 1 - same,
                    },
                    {"label": "different", "m": 1 - same, "u": same},
                ],
            }
        )
    blocking = [
        {
            "name": name,
            "parts": [{"columns": [column], "take": "whole", "length": 0}],
            "values_max": 8,
        }
        for name, column in _COLUMNS.items()
    ]
    document = {
        "format": 1,
        "description": "ties abound",
        "population": 100,
        "prior_millibits": _PRIOR,
        "source_priors": [],
        "same_as_millibits": SAME_AS,
        "word_lists": {},
        "term_tables": [{"name": "unused", "agreement": 0.5, "values": {"ann": 0.5}, "hashed": {}}],
        "comparisons": comparisons,
        "dependent_classes": [],
        "blocking": blocking,
        "stop_values": {},
        "holders_max": NUMBERS.holders_max,
        "link_thresholds_millibits": list(NUMBERS.thresholds),
        "component_max": NUMBERS.component_max,
        "cut_millibits": NUMBERS.cut,
        "clip_millibits": NUMBERS.clip,
        "exclusive": ["loyalty"],
    }
    return load_scoring_model(json.dumps(document).encode())


def small_model_but(**changes: object) -> ScoringModel:
    """Return the model with some members of its document changed."""
    return load_scoring_model(json.dumps(json.loads(small_model().document) | changes).encode())


def strict_model() -> ScoringModel:
    """Return the model under which a shared e-mail alone does not link any more."""
    return small_model_but(prior_millibits=4 * _PRIOR)


def attributes_of(statement: Statement) -> dict[str, object]:
    """Return the statement in the attributes of identity."""
    stated: dict[str, Any] = {**_EMPTY, **statement}
    attributes: dict[str, object] = {
        "email": [f"{name}@web.de" for name in stated["email"]],
        "address": [{"city": name} for name in stated["city"]],
    }
    if stated["website"]:
        attributes["website"] = f"https://{stated['website'][0]}.de"
    if stated["place"]:
        attributes["birth_place"] = stated["place"]
    if stated["kind"]:
        attributes["kind"] = stated["kind"]
    if stated["loyalty"]:
        attributes["identifiers"] = {"loyalty": stated["loyalty"]}
    return attributes


def keys_of(statement: Statement) -> frozenset[tuple[str, str]]:
    """Return the blocking keys, in clear."""
    return frozenset((name, value) for name in _BITS for value in _values(statement, name))


def oracle_record(source: str, source_key: str, statement: Statement) -> OracleRecord:
    """Return the record for the oracle; its profile is the statement itself."""
    stated = {**_EMPTY, **statement}
    profile = tuple(
        tuple(sorted(set(value))) if isinstance(value, tuple | list) else value for value in stated.values()
    )
    return OracleRecord(source, source_key, profile=profile, keys=keys_of(statement))


def weigh(left: OracleRecord, right: OracleRecord) -> int:
    """Return the weight of two records, evidence left out."""
    weight = _PRIOR
    for place, bits in enumerate(_BITS.values()):
        ours, theirs = _part(left, place), _part(right, place)
        if ours and theirs:
            weight += bits if set(ours) & set(theirs) else -bits
    return weight


def is_apart(left: OracleRecord, right: OracleRecord) -> bool:
    """Return whether kind or the exclusive identifier forbids the pair; values used here are far apart."""
    return any(
        (ours := _part(left, place)) is not None
        and (theirs := _part(right, place)) is not None
        and ours != theirs
        for place in (4, 5)
    )


def _part(record: OracleRecord, place: int) -> Any:
    assert isinstance(record.profile, tuple)
    return record.profile[place]


def _values(statement: Statement, name: str) -> Collection[str]:
    values = statement.get(name, ())
    assert isinstance(values, tuple | list)
    return values
