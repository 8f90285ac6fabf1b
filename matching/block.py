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

from collections.abc import Callable
from functools import lru_cache, partial
from hashlib import blake2b
from itertools import combinations, product
from typing import Final

from matching.model import LIST_COLUMNS, Profile, column_position
from matching.scoring_model import BlockingPart, BlockingRule, ScoringModel

__all__ = ["KEYS_MAX", "Blocker", "KeyRevealer", "blocking_values", "compile_blocker", "compile_revealer"]

KEYS_MAX: Final = 32
_ELEMENTS_MAX: Final = 12

Blocker = Callable[[Profile], tuple[int, ...]]
"""Gives the blocking keys of a profile: signed 64-bit, sorted, unique, at most `KEYS_MAX`."""

KeyRevealer = Callable[[Profile], dict[int, tuple[str, str]]]
"""Gives the (rule, value) behind each blocking key of a profile; the values are personal data."""

_Take = Callable[[Profile], list[str]]


def compile_blocker(model: ScoringModel, *, hash_key: bytes) -> Blocker:
    """Return the function that gives a profile its blocking keys under this model.

    Args:
        hash_key: the installation's secret, 16 to 64 bytes; other keys give other hashes.
    """
    rules = _compile_rules(model)
    hash_value = _compile_hash(hash_key)

    def block(profile: Profile) -> tuple[int, ...]:
        return tuple(sorted({hash_value(name, value) for name, value in _iter_values(rules, profile)}))

    return block


def compile_revealer(model: ScoringModel, *, hash_key: bytes) -> KeyRevealer:
    """Return the function that tells what stands behind the blocking keys of a profile.

    A key cannot be turned back; who holds it can be asked again what it was made of.
    """
    rules = _compile_rules(model)
    hash_value = _compile_hash(hash_key)

    def reveal(profile: Profile) -> dict[int, tuple[str, str]]:
        return {hash_value(*named): named for named in _iter_values(rules, profile)}

    return reveal


def blocking_values(model: ScoringModel, profile: Profile) -> list[tuple[str, str]]:
    """Return (rule, value) behind each blocking key; personal data, for explanations and tests only."""
    return _iter_values(_compile_rules(model), profile)


def _compile_hash(hash_key: bytes) -> Callable[[str, str], int]:
    keyed = blake2b(digest_size=8, key=hash_key)

    def hash_value(name: str, value: str) -> int:
        state = keyed.copy()
        state.update(f"{name}\x1f{value}".encode())
        return int.from_bytes(state.digest(), "big", signed=True)

    return hash_value


@lru_cache(maxsize=8)
def _compile_rules(model: ScoringModel) -> tuple[_CompiledRule, ...]:
    return tuple(_CompiledRule(rule, model.stop_values) for rule in model.blocking_rules)


def _iter_values(rules: tuple[_CompiledRule, ...], profile: Profile) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for rule in rules:
        found += rule.values(profile)
    return found[:KEYS_MAX]


class _CompiledRule:
    """A blocking rule with one function for each part."""

    __slots__ = ("_any_order", "_first", "_name", "_rest", "_stop", "_values_max")

    def __init__(self, rule: BlockingRule, stop_values: frozenset[tuple[str, str]]) -> None:
        takes = [_compile_part(part) for part in rule.parts]
        self._name = rule.name
        self._first = takes[0]
        self._rest = takes[1:]
        self._values_max = rule.values_max
        self._any_order = rule.any_order
        self._stop = frozenset(value for name, value in stop_values if name == rule.name)

    def values(self, profile: Profile) -> list[tuple[str, str]]:
        values = self._first(profile)
        if not values:
            return []
        if self._rest:
            parts = [values]
            for take in self._rest:
                taken = take(profile)
                if not taken:
                    return []
                parts.append(taken)
            chosen = map(sorted, product(*parts)) if self._any_order else product(*parts)
            values = ["|".join(value) for value in chosen]
        if self._stop:
            values = [value for value in values if value not in self._stop]
        if len(values) > 1:
            values = sorted(set(values))[: self._values_max]
        return [(self._name, value) for value in values]


def _compile_part(part: BlockingPart) -> _Take:
    takes = [_compile_take(part, column) for column in part.columns]
    one = takes[0]
    if len(takes) > 1:
        one = lambda profile: [value for take in takes for value in take(profile)]  # noqa: E731 - as one take
    if part.is_optional:
        return lambda profile: one(profile) or [""]
    return one


def _compile_take(part: BlockingPart, column: str) -> _Take:
    position = column_position(column)
    if column not in LIST_COLUMNS:
        return partial(_take_text, position, _TAKES[part.take], part.length)
    if part.take in ("all", "two"):
        return partial(_take_all if part.take == "all" else _take_two, position, part.length)
    return partial(_take_list, position, _TAKES[part.take], part.length)


def _take_text(
    position: int, take: Callable[[str, int], list[str]], length: int, profile: Profile
) -> list[str]:
    value = profile[position]
    return [] if value is None else take(value, length)  # type: ignore[arg-type]


def _take_list(
    position: int, take: Callable[[str, int], list[str]], length: int, profile: Profile
) -> list[str]:
    values = profile[position]
    if values is None:
        return []
    return [taken for value in values[:_ELEMENTS_MAX] for taken in take(value, length)]


def _take_all(position: int, length: int, profile: Profile) -> list[str]:
    values = profile[position]
    return [] if values is None or len(values) < length else [" ".join(values)]


def _take_two(position: int, length: int, profile: Profile) -> list[str]:
    values = profile[position]
    if values is None:
        return []
    long_enough = [value for value in values[:_ELEMENTS_MAX] if len(value) >= length]
    return [f"{one} {other}" for one, other in combinations(long_enough, 2)]


def _whole(value: str, length: int) -> list[str]:
    return [value] if len(value) >= length else []


def _start(value: str, length: int) -> list[str]:
    return [value[:length]]


def _end(value: str, length: int) -> list[str]:
    return [value[-length:]] if len(value) >= length else []


def _words(value: str, length: int) -> list[str]:
    return [word for word in value.split(" ") if len(word) >= length]


def _digits(value: str, length: int) -> list[str]:
    digits = sorted(filter(str.isdigit, value))
    return ["".join(digits)] if len(digits) >= max(length, 1) else []


def _sound(value: str, length: int) -> list[str]:
    code = _sound_code(value)
    return [code[:length] if length else code] if code else []


def _user(value: str, length: int) -> list[str]:
    user = value.partition("@")[0]
    return [user] if len(user) >= length else []


_SOUND_CLASSES: Final = str.maketrans(
    "bpfvwcgjkqsxzdtlmnr", "bbffw" + "ccccc" + "sss" + "tt" + "lnnr", "aeiouyh0123456789 -'"
)
_SOUND_SPELLINGS: Final = (("ph", "f"), ("sch", "s"), ("sh", "s"), ("ck", "k"), ("ce", "se"), ("ci", "si"))


@lru_cache(maxsize=1 << 16)
def _sound_code(value: str) -> str:
    """First letter's class and the classes of the consonants, repeats dropped: mayer, meier, maier -> nr."""
    for spelling, plain in _SOUND_SPELLINGS:
        if spelling in value:
            value = value.replace(spelling, plain)
    start = "a" if value[:1] in "aeiouyh" else ""
    code = start + value.translate(_SOUND_CLASSES)
    return "".join(letter for index, letter in enumerate(code) if index == 0 or letter != code[index - 1])


_TAKES: Final = {
    "whole": _whole,
    "start": _start,
    "end": _end,
    "words": _words,
    "digits": _digits,
    "sound": _sound,
    "user": _user,
}
