"""Derive the blocking keys of a record: two records that share a usable one are candidates.

Invariant: the keys depend on the record's profile, the scoring model and the hash key only, never on
other records. There are at most `KEYS_MAX`, taken in the order of the model's rules; a value on the
model's stop list gives none. A key is a keyed hash, so a stolen table of keys does not tell e-mail
addresses or birth dates.
Elsewhere: which keys are usable at the moment (`holders_max`, counted by the store or by
`matching.engine_duckdb`).

How a part takes values from a column (of a list column: from each of its elements):
 - whole: the value, if it has at least `length` characters;
 - start, end: its first or last `length` characters (`end` only if it has so many);
 - words: each of its words of at least `length` characters;
 - sound: a code that similar-sounding names share, of at most `length` letters (0: all);
 - digits: its digits in ascending order, which typing errors of order do not change;
 - user: what stands before its `@`, if that has at least `length` characters;
 - all: the elements of a list as one value; two: each pair of elements of at least `length` characters.
A profile without a value for a part gets no key of the rule; for an optional part, one without it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from itertools import combinations, product
from struct import Struct
from typing import Any, Final

from matching.model import LIST_COLUMNS, Profile, column_position
from matching.scoring_model import BlockingPart, BlockingRule, ScoringModel

__all__ = ["KEYS_MAX", "Blocker", "KeyRevealer", "blocking_values", "compile_blocker", "compile_revealer"]

KEYS_MAX: Final = 32
_ELEMENTS_MAX: Final = 12
_HASH_BYTES: Final = 8

# Hashes of so many values at once, as signed 64-bit numbers.
_UNPACKERS: Final = [Struct(f">{count}q").unpack for count in range(KEYS_MAX + 1)]

Blocker = Callable[[Profile], tuple[int, ...]]
"""Gives the blocking keys of a profile: signed 64-bit, sorted, unique, at most `KEYS_MAX`."""

KeyRevealer = Callable[[Profile], dict[int, tuple[str, str]]]
"""Gives the (rule, value) behind each blocking key of a profile; the values are personal data."""

_Values = str | list[str] | tuple[()]
"""A value, several, or none: most parts give one, and most rules so are one text."""

_Take = Callable[[Any], _Values]
"""Takes values from an element of a column, or from all that it holds; never from None."""

_Found = tuple[int, str]
"""The number of a rule and one of its values."""

_NONE: Final = ()


def compile_blocker(model: ScoringModel, *, hash_key: bytes) -> Blocker:
    """Return the function that gives a profile its blocking keys under this model.

    Args:
        hash_key: the installation's secret, 16 to 64 bytes; other keys give other hashes.
    Cost: about 10 µs for a person with nine keys.
    """
    rules = _compile_rules(model)
    hash_values = _compile_hash(rules, hash_key)

    def block(profile: Profile) -> tuple[int, ...]:
        return tuple(sorted(set(hash_values(rules.find_values(profile)))))

    return block


def compile_revealer(model: ScoringModel, *, hash_key: bytes) -> KeyRevealer:
    """Return the function that tells what stands behind the blocking keys of a profile.

    A key cannot be turned back; who holds it can be asked again what it was made of.
    """
    rules = _compile_rules(model)
    hash_values = _compile_hash(rules, hash_key)

    def reveal(profile: Profile) -> dict[int, tuple[str, str]]:
        found = rules.find_values(profile)
        return dict(zip(hash_values(found), rules.name_values(found), strict=True))

    return reveal


def blocking_values(model: ScoringModel, profile: Profile) -> list[tuple[str, str]]:
    """Return (rule, value) behind each blocking key; personal data, for explanations and tests only."""
    rules = _compile_rules(model)
    return rules.name_values(rules.find_values(profile))


def _compile_hash(rules: _Rules, hash_key: bytes) -> Callable[[Sequence[_Found]], tuple[int, ...]]:
    """Return the function that gives the keyed hash of each rule and value."""
    opened = [
        blake2b(f"{rule.name}\x1f".encode(), digest_size=_HASH_BYTES, key=hash_key) for rule in rules.rules
    ]

    def hash_values(found: Sequence[_Found]) -> tuple[int, ...]:
        hashes = []
        for number, value in found:
            state = opened[number].copy()
            state.update(value.encode())
            hashes.append(state.digest())
        return _UNPACKERS[len(hashes)](b"".join(hashes))

    return hash_values


@lru_cache(maxsize=8)
def _compile_rules(model: ScoringModel) -> _Rules:
    return _Rules(model.blocking_rules, model.stop_values)


class _Rule:
    """A blocking rule; its parts are positions in what was taken from the profile."""

    __slots__ = ("any_order", "name", "parts", "stop", "values_max")

    def __init__(self, rule: BlockingRule, parts: list[int], stop: frozenset[str]) -> None:
        self.name = rule.name
        self.parts = parts
        self.values_max = rule.values_max
        self.any_order = rule.any_order
        self.stop = stop

    def combine_several(self, taken: Sequence[_Values]) -> list[str]:
        """Return the values that the parts make together, at most `values_max`; one part gives several."""
        each = [
            [values] if isinstance(values, str) else values for values in map(taken.__getitem__, self.parts)
        ]
        chosen = product(*each)
        values = {"|".join(sorted(parts) if self.any_order else parts) for parts in chosen}
        return sorted(values - self.stop)[: self.values_max]


class _Rules:
    """All blocking rules of a model. What several rules take is taken once."""

    def __init__(self, rules: Sequence[BlockingRule], stop_values: frozenset[tuple[str, str]]) -> None:
        parts = list(dict.fromkeys(part for rule in rules for part in rule.parts))
        self._takes = [
            (
                "" if part.is_optional else _NONE,
                [
                    (column_position(column), _takes_each(part, column), _TAKES[part.take](part.length))
                    for column in part.columns
                ],
            )
            for part in parts
        ]
        self.rules = [
            _Rule(
                rule,
                [parts.index(part) for part in rule.parts],
                frozenset(value for name, value in stop_values if name == rule.name),
            )
            for rule in rules
        ]

    def name_values(self, found: Sequence[_Found]) -> list[tuple[str, str]]:
        """Return the values with the names of their rules."""
        return [(self.rules[number].name, value) for number, value in found]

    def find_values(self, profile: Profile) -> list[_Found]:
        """Return what each blocking key is made of, in the order of the rules."""
        taken = self._take(profile)
        found: list[_Found] = []
        for number, rule in enumerate(self.rules):
            chosen: list[str] = []
            for part in rule.parts:
                values = taken[part]
                if not isinstance(values, str):
                    if values:
                        found += [(number, value) for value in rule.combine_several(taken)]
                    break
                chosen.append(values)
            else:
                if rule.any_order:
                    chosen.sort()
                value = "|".join(chosen)
                if value not in rule.stop:
                    found.append((number, value))
        return found[:KEYS_MAX]

    def _take(self, profile: Profile) -> list[_Values]:
        """Return the values of each part."""
        taken: list[_Values] = []
        for absent, columns in self._takes:
            values: _Values = _NONE
            for position, is_each, take in columns:
                held: Any = profile[position]
                if held is None:
                    continue
                if not is_each:
                    more = take(held)
                elif len(held) == 1:
                    more = take(held[0])
                else:
                    more = _join(*map(take, held[:_ELEMENTS_MAX]))
                values = _join(values, more) if values else more
            taken.append(values or absent)
        return taken


def _join(*taken: _Values) -> _Values:
    """Return all values, a single one as itself."""
    joined: list[str] = []
    for values in taken:
        if isinstance(values, str):
            joined.append(values)
        else:
            joined += values
    return joined[0] if len(joined) == 1 else joined


def _takes_each(part: BlockingPart, column: str) -> bool:
    """Tell whether values are taken from each element of the column, not from the column as a whole."""
    return column in LIST_COLUMNS and part.take not in ("all", "two")


def _whole(length: int) -> _Take:
    return lambda value: value if len(value) >= length else _NONE


def _start(length: int) -> _Take:
    return lambda value: value[:length]


def _end(length: int) -> _Take:
    return lambda value: value[-length:] if len(value) >= length else _NONE


def _words(length: int) -> _Take:
    return lambda value: _join([word for word in value.split(" ") if len(word) >= length])


def _digits(length: int) -> _Take:
    def take(value: str) -> _Values:
        digits = sorted(filter(str.isdigit, value))
        return "".join(digits) if len(digits) >= max(length, 1) else _NONE

    return take


def _sound(length: int) -> _Take:
    def take(value: str) -> _Values:
        code = _sound_code(value)
        return code[: length or None] if code else _NONE

    return take


def _user(length: int) -> _Take:
    def take(value: str) -> _Values:
        user = value.partition("@")[0]
        return user if len(user) >= length else _NONE

    return take


def _all(length: int) -> _Take:
    return lambda values: " ".join(values) if len(values) >= length else _NONE


def _two(length: int) -> _Take:
    def take(values: tuple[str, ...]) -> _Values:
        long_enough = [value for value in values[:_ELEMENTS_MAX] if len(value) >= length]
        return _join([f"{one} {other}" for one, other in combinations(long_enough, 2)])

    return take


_SOUND_CLASSES: Final = str.maketrans(
    "bpfvwcgjkqsxzdtlmnr", "bbffw" + "ccccc" + "sss" + "tt" + "lnnr", "aeiouyh0123456789 -'"
)
_SOUND_SPELLINGS: Final = (("ph", "f"), ("sch", "s"), ("sh", "s"), ("ck", "k"), ("ce", "se"), ("ci", "si"))


@lru_cache(maxsize=1 << 15)
def _sound_code(value: str) -> str:
    """First letter's class and the classes of the consonants, repeats dropped: mayer, meier, maier -> nr."""
    for spelling, plain in _SOUND_SPELLINGS:
        if spelling in value:
            value = value.replace(spelling, plain)
    start = "a" if value[:1] in "aeiouyh" else ""
    code = start + value.translate(_SOUND_CLASSES)
    return "".join(letter for index, letter in enumerate(code) if index == 0 or letter != code[index - 1])


_TAKES: Final[Mapping[str, Callable[[int], _Take]]] = {
    "whole": _whole,
    "start": _start,
    "end": _end,
    "words": _words,
    "digits": _digits,
    "sound": _sound,
    "user": _user,
    "all": _all,
    "two": _two,
}
