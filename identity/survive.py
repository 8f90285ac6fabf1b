"""Choose the identity attributes of a customer that survive from its records: the golden record.

Invariant: each value is one that some record states, given with that record; the order in which
records are handed in changes nothing.
Pure. Elsewhere: cleaning of attributes (`matching.standardise`), which records a customer has
(`identity.assign`).

Which value survives: trust in its source for the attribute (0.5 where the contract says nothing), then
the most recent, then what most records state, then the more complete, then the smallest record.
  - A person's name is one value: its parts (and the full name) come from one record, so a maiden name
    never meets a later given name. A name with a given and a family name, or a full name, goes before
    a fragment of one. It is trusted as the least trusted of its parts that a contract speaks of.
  - An address is one value.
  - A birth date gives way to a more exact one that it does not contradict (1980 to 1980-05-12).
  - A list keeps each value once, compared by folded text, as the best record that states it spells
    it, in that same order, except that a longer text is no better: a record's own order stands.
  - The kind is what most of the most trusted records say, or imply by their names.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from identity.model import Instant, RecordRef, order_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = ["TRUST_DEFAULT", "GoldenInput", "build_golden"]

TRUST_DEFAULT: Final = 0.5
"""How far a source is trusted for an attribute of which its contract says nothing."""

_NAME_PARTS: Final = ("given_name", "middle_name", "family_name", "name_suffix")
_NAME: Final = (*_NAME_PARTS, "full_name")
_ORDER: Final = (
    "kind",
    *_NAME,
    "other_names",
    "birth_date",
    "birth_place",
    "sex",
    "org_name",
    "legal_form",
    "website",
    "email",
    "phone",
    "address",
    "identifiers",
    "preferred_language",
)
_PLACES: Final = {name: place for place, name in enumerate(_ORDER)}
_LISTS: Final = frozenset({"other_names", "email", "phone", "address", "identifiers"})
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NOT_DIALLED: Final = re.compile(r"[^\w+]")


@dataclass(frozen=True, slots=True)
class GoldenInput:
    """One live record of a customer: clean canonical attributes, and since when it states them.

    `trust` maps an attribute to how far its source is trusted for it; a higher number wins.
    """

    ref: RecordRef
    attributes: Mapping[str, object]
    since: Instant
    trust: Mapping[str, float] = field(default_factory=dict)


class _Candidate(NamedTuple):
    """A value that a record states, with what decides between it and others."""

    value: object
    folded: object
    stated: GoldenInput
    trust: float
    completeness: tuple[int, int]
    place: int = 0


def build_golden(inputs: Sequence[GoldenInput]) -> dict[str, object]:
    """Return the surviving attributes, each with the record behind it.

    Returns:
        A mapping of attribute to `{"value", "source", "key", "since"}`, or to a list of these for a list
        attribute; attributes that no record states are absent. `since` is RFC 3339 text in UTC.
    """
    stated = sorted({name for one in inputs for name, value in one.attributes.items() if _has_value(value)})
    golden: dict[str, object] = {}
    kind = _choose_kind(inputs)
    if kind is not None:
        golden["kind"] = _tell(kind)
    name = _choose_name(inputs)
    if name is not None and isinstance(name.value, dict):
        for part, text in name.value.items():
            golden[part] = _tell(name._replace(value=text))
    for attribute in sorted(stated, key=lambda name: (_PLACES.get(name, len(_ORDER)), name)):
        if attribute == "kind" or attribute in _NAME:
            continue
        candidates = list(_list_candidates(inputs, attribute))
        if attribute in _LISTS or any(isinstance(one.attributes.get(attribute), list) for one in inputs):
            golden[attribute] = [_tell(candidate) for candidate in _choose_list(candidates)]
            continue
        if attribute == "birth_date":
            candidates = _drop_less_exact(candidates)
        golden[attribute] = _tell(min(candidates, key=_rank_by(candidates)))
    return golden


def _choose_kind(inputs: Iterable[GoldenInput]) -> _Candidate | None:
    candidates = [
        _Candidate(kind, kind, one, _trust(one, "kind"), (1, 0))
        for one in inputs
        if (kind := _kind_of(one.attributes)) is not None
    ]
    if not candidates:
        return None
    trust_best = max(candidate.trust for candidate in candidates)
    trusted = [candidate for candidate in candidates if candidate.trust == trust_best]
    rank, votes = _rank_by(trusted), _count_records(trusted)
    return min(trusted, key=lambda candidate: (-votes[candidate.folded], rank(candidate)))


def _kind_of(attributes: Mapping[str, object]) -> str | None:
    kind = attributes.get("kind")
    if isinstance(kind, str) and kind:
        return str(kind)
    if any(_has_value(attributes.get(part)) for part in _NAME):
        return "person"
    return "organisation" if _has_value(attributes.get("org_name")) else None


def _choose_name(inputs: Iterable[GoldenInput]) -> _Candidate | None:
    candidates: list[_Candidate] = []
    for one in inputs:
        parts = {part: one.attributes[part] for part in _NAME if _has_value(one.attributes.get(part))}
        if not parts:
            continue
        spelled = " ".join(str(parts[part]) for part in _NAME_PARTS if part in parts)
        trust = min((one.trust[part] for part in parts if part in one.trust), default=TRUST_DEFAULT)
        folded = _fold(spelled or str(parts["full_name"]))
        candidates.append(_Candidate(parts, folded, one, trust, (len(parts), len(spelled))))
    whole = [candidate for candidate in candidates if _is_whole_name(candidate.value)]
    candidates = whole or candidates
    return min(candidates, key=_rank_by(candidates)) if candidates else None


def _is_whole_name(parts: object) -> bool:
    return isinstance(parts, dict) and ("full_name" in parts or {"given_name", "family_name"} <= parts.keys())


def _list_candidates(inputs: Iterable[GoldenInput], attribute: str) -> Iterable[_Candidate]:
    fold = _FOLDS.get(attribute, _fold)
    for one in inputs:
        value = one.attributes.get(attribute)
        trust = _trust(one, attribute)
        for place, item in enumerate(value if isinstance(value, list | tuple) else (value,)):
            if _has_value(item):
                yield _Candidate(item, fold(item), one, trust, _measure(item), place)


def _drop_less_exact(candidates: Sequence[_Candidate]) -> list[_Candidate]:
    dates = {str(candidate.value) for candidate in candidates}
    less_exact = {one for one in dates if any(other.startswith(f"{one}-") for other in dates)}
    return [candidate for candidate in candidates if str(candidate.value) not in less_exact]


def _choose_list(candidates: Sequence[_Candidate]) -> list[_Candidate]:
    rank = _rank_by(candidates)
    best: dict[object, _Candidate] = {}
    for candidate in sorted(candidates, key=rank):
        best.setdefault(candidate.folded, candidate)
    votes = _count_records(candidates)
    return sorted(
        best.values(),
        key=lambda candidate: (
            *_lead(candidate, votes),
            order_bytes(candidate.stated.ref),
            candidate.place,
        ),
    )


def _rank_by(candidates: Iterable[_Candidate]) -> Callable[[_Candidate], tuple[object, ...]]:
    """Return the order of survival among these candidates; the best one is the smallest."""
    votes = _count_records(candidates)

    def rank(candidate: _Candidate) -> tuple[object, ...]:
        length = candidate.completeness[1]
        return (*_lead(candidate, votes), -length, order_bytes(candidate.stated.ref), candidate.place)

    return rank


def _lead(candidate: _Candidate, votes: Mapping[object, int]) -> tuple[float, int, int, int]:
    return (
        -candidate.trust,
        -candidate.stated.since,
        -votes[candidate.folded],
        -candidate.completeness[0],
    )


def _count_records(candidates: Iterable[_Candidate]) -> dict[object, int]:
    records: dict[object, set[RecordRef]] = {}
    for candidate in candidates:
        records.setdefault(candidate.folded, set()).add(candidate.stated.ref)
    return {folded: len(refs) for folded, refs in records.items()}


def _trust(one: GoldenInput, attribute: str) -> float:
    return one.trust.get(attribute, TRUST_DEFAULT)


def _has_value(value: object) -> bool:
    if isinstance(value, Mapping):
        return any(map(_has_value, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_has_value, value))
    return value is not None and value != ""


def _measure(value: object) -> tuple[int, int]:
    """Return how complete a value is: fields that are filled in, then length of the text."""
    if isinstance(value, Mapping):
        filled = [str(part) for part in value.values() if _has_value(part)]
        return len(filled), sum(map(len, filled))
    return 1, len(str(value))


def _fold(value: object) -> object:
    """Return what two spellings of one value have in common; hashable."""
    if isinstance(value, Mapping):
        return tuple(sorted((str(name), _fold(part)) for name, part in value.items() if _has_value(part)))
    if isinstance(value, list | tuple):
        return tuple(_fold(part) for part in value)
    return " ".join(unicodedata.normalize("NFKC", str(value)).casefold().split())


def _fold_phone(value: object) -> object:
    return _NOT_DIALLED.sub("", str(_fold(value)))


def _fold_identifier(value: object) -> object:
    if not isinstance(value, Mapping):
        return _fold(value)
    signs = "".join(char for char in str(_fold(value.get("value", ""))) if char.isalnum())
    return _fold(value.get("scheme", "")), signs, _fold(value.get("issuer") or "")


_FOLDS: Final[dict[str, Callable[[object], object]]] = {
    "phone": _fold_phone,
    "identifiers": _fold_identifier,
}


def _tell(candidate: _Candidate) -> dict[str, object]:
    one = candidate.stated
    return {
        "value": candidate.value,
        "source": one.ref.source,
        "key": one.ref.key,
        "since": (_EPOCH + timedelta(microseconds=one.since))
        .isoformat(timespec="microseconds")
        .replace("+00:00", "Z"),
    }
