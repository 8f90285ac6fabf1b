"""Read the conditions of a scoring model document, strictly.

A condition is a small tree: `{"measure": …}`, `{"all": […]}`, `{"any": […]}`, `{"not": …}`.
Invariant: what is returned renders in both engines; anything unknown or out of range is refused, saying where.
Elsewhere: the measures and their parameters (`measures`), the rest of the document (`matching.scoring_model`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from matching.compare.condition import Condition, Vocabulary
from matching.compare.measure import TEXT_CHARS_MAX, Measure
from matching.compare.measures import MEASURES
from matching.errors import ScoringModelInvalid
from matching.model import LIST_COLUMNS, TEXT_COLUMNS

__all__ = ["read_condition"]


_WORD: Final = re.compile(r"[a-z0-9:@.\-]{1,40}")


def read_condition(document: object, *, place: str, vocabulary: Vocabulary) -> Condition:
    """Return the condition that a document states.

    Raises:
        ScoringModelInvalid: an unknown measure, field or column, or a value out of range; says where.
    """
    if not isinstance(document, dict) or not document:
        raise ScoringModelInvalid(f"{place}: a condition is an object with `measure`, `all`, `any` or `not`")
    for operator in ("all", "any"):
        if operator in document:
            parts = document[operator]
            if len(document) != 1 or not isinstance(parts, list) or not parts:
                raise ScoringModelInvalid(f"{place}: `{operator}` stands alone and lists conditions")
            return Condition(
                operator,
                tuple(
                    read_condition(part, place=f"{place}.{operator}[{index}]", vocabulary=vocabulary)
                    for index, part in enumerate(parts)
                ),
            )
    if "not" in document:
        if len(document) != 1:
            raise ScoringModelInvalid(f"{place}: `not` stands alone")
        part = read_condition(document["not"], place=f"{place}.not", vocabulary=vocabulary)
        return Condition("not", (part,))
    return _read_measure(document, place=place, vocabulary=vocabulary)


def _read_measure(document: Mapping[str, Any], *, place: str, vocabulary: Vocabulary) -> Condition:
    name = document.get("measure")
    measure = MEASURES.get(name) if isinstance(name, str) else None
    if measure is None:
        raise ScoringModelInvalid(f"{place}: measure {name!r} is not one of {', '.join(sorted(MEASURES))}")
    allowed = {"measure", "column" if measure.columns in ("text", "list") else "columns"}
    if measure.number:
        allowed.add(measure.number)
    for taken, field in (
        (measure.takes_length_min, "length_min"),
        (measure.takes_words, measure.takes_words),
        (measure.takes_text, "text"),
    ):
        if taken and field:
            allowed.add(field)
    unknown = sorted(set(document) - allowed)
    if unknown:
        raise ScoringModelInvalid(f"{place}: measure {name} does not take {', '.join(unknown)}")
    return Condition(
        str(name),
        columns=_read_columns(document, measure, place=place),
        number=_read_number(document, measure, place=place),
        length_min=_read_length_min(document, place=place),
        words=_read_words(document, measure, place=place, vocabulary=vocabulary),
        words_name=str(document.get(measure.takes_words or "", "")),
    )


def _read_columns(document: Mapping[str, Any], measure: Measure, *, place: str) -> tuple[str, ...]:
    stated = document["columns"] if "columns" in document else [document.get("column")]
    wanted = {
        "text": (TEXT_COLUMNS,),
        "list": (LIST_COLUMNS,),
        "texts": (TEXT_COLUMNS, TEXT_COLUMNS),
        "text+list": (TEXT_COLUMNS, LIST_COLUMNS),
        "mailbox": (("emails",), ("given",), ("family",)),
    }[measure.columns]
    if not isinstance(stated, list) or len(stated) != len(wanted):
        raise ScoringModelInvalid(f"{place}: this measure takes {len(wanted)} columns")
    for column, names in zip(stated, wanted, strict=True):
        if column not in names:
            raise ScoringModelInvalid(f"{place}: column {column!r} is not one of {', '.join(names)}")
    return tuple(stated)


def _read_number(document: Mapping[str, Any], measure: Measure, *, place: str) -> float:
    if measure.number is None:
        return 0
    value = document.get(measure.number)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ScoringModelInvalid(f"{place}: {measure.number} has to be a number")
    if measure.fraction:
        if not 0 < value <= 1:
            raise ScoringModelInvalid(f"{place}: {measure.number} has to be above 0 and at most 1")
        return float(value)
    if not isinstance(value, int) or not 0 < value <= 100:
        raise ScoringModelInvalid(f"{place}: {measure.number} has to be a whole number from 1 to 100")
    return value


def _read_length_min(document: Mapping[str, Any], *, place: str) -> int:
    value = document.get("length_min", 0)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= TEXT_CHARS_MAX:
        raise ScoringModelInvalid(f"{place}: length_min has to be a whole number from 0 to {TEXT_CHARS_MAX}")
    return value


def _read_words(
    document: Mapping[str, Any], measure: Measure, *, place: str, vocabulary: Vocabulary
) -> tuple[str, ...]:
    if measure.takes_text:
        text = document.get("text")
        if not isinstance(text, str) or not _WORD.fullmatch(text):
            raise ScoringModelInvalid(f"{place}: text has to be 1 to 40 of a-z, 0-9, : @ . -")
        return (text,)
    if measure.takes_words is None or measure.takes_words not in document:
        return ()
    name = document[measure.takes_words]
    if not isinstance(name, str) or not vocabulary.get(name):
        raise ScoringModelInvalid(f"{place}: there is no word list {name!r}, or it is empty")
    return vocabulary[name]
