"""Score pairs of profiles natively: weight in millibits, its explanation, and what forbids a pair.

Invariants: scores are symmetric and whole millibits; `weigh` is the one place where levels become a weight,
so the bulk engine, which calls it once for each distinct pattern, gives exactly the same numbers.

How it is fast: the document is compiled once to one straight-line Python function that numbers the level
pattern of a pair; the weight of a pattern is computed once and remembered.
 1. pattern = sum over comparisons of (0 absent, else 1 + level) * radix of the comparison;
 2. term steps = sum over comparisons with frequencies of (step + 128) * 256^index, steps of 100
     millibits;
 3. weight = weigh(pattern, term steps, prior) from a dictionary.
Elsewhere: the measures (`matching.compare`), the document and its formula (`matching.scoring_model`),
judgements and one-per-customer sources (`identity`), which also forbid pairs.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from rapidfuzz.distance import OSA

from matching.compare import NATIVE_MEASURES, Condition, render_python
from matching.errors import ScoringModelInvalid
from matching.model import PROFILE_COLUMNS, TEXT_COLUMNS, Millibits, Profile, column_position
from matching.scoring_model import TERM_STEP_MILLIBITS, TERM_STEPS_MAX, Comparison, ScoringModel, TermTable

__all__ = [
    "ComparisonScore",
    "PairScore",
    "PatternWeigher",
    "Scorer",
    "TermSteps",
    "compile_scorer",
    "hash_term",
    "probability_of",
]

_TERM_RADIX: Final = 256
_TERM_ZERO: Final = 128
_WEIGHTS_MAX: Final = 1 << 20
_KIND: Final = column_position("kind")
_IDENTIFIERS: Final = column_position("identifiers")


@dataclass(frozen=True, slots=True)
class ComparisonScore:
    """What one comparison said: its level's label (`absent` when a side has no value) and its millibits."""

    name: str
    level: str
    millibits: Millibits
    term_millibits: Millibits


@dataclass(frozen=True, slots=True)
class PairScore:
    """A weight and how it came about. The parts add up to `weight`."""

    weight: Millibits
    probability: float
    prior: Millibits
    same_as: Millibits
    dependence: Millibits
    comparisons: tuple[ComparisonScore, ...]
    conflict: str | None


def probability_of(weight: Millibits) -> float:
    """Return the match probability of a weight: 1 / (1 + 2^-bits)."""
    bits = weight / 1000
    return 1 / (1 + 2.0**-bits) if bits > -1000 else 0.0


def hash_term(table: str, value: str, *, hash_key: bytes) -> str:
    """Return the keyed hash under which a rare value's frequency stands in a scoring model."""
    return hashlib.blake2b(f"{table}\x1f{value}".encode(), digest_size=12, key=hash_key).hexdigest()


class TermSteps:
    """Frozen adjustments of one term use: value -> steps of 100 millibits, already scaled by its percent."""

    def __init__(self, table: TermTable, percent: int, hash_key: bytes) -> None:
        if table.hashed and not hash_key:
            raise ScoringModelInvalid(f"term table {table.name} holds hashed values: a hash key is needed")
        self._table = table
        self._percent = percent
        self._hash_key = hash_key
        self.rarest = self._step(table.rarest)
        self.listed: dict[str | None, int] = {
            value: self._step(share) for value, share in table.values.items()
        }
        self.listed[None] = 0

    def find(self, value: Any) -> int:
        """Return the steps of a value: 0 when absent, those of the rarest listed value when not listed."""
        found: int | None = self.listed.get(value)
        if found is not None:
            return found
        if value is not None and self._table.hashed:
            share = self._table.hashed.get(hash_term(self._table.name, value, hash_key=self._hash_key))
            if share is not None:
                return self._step(share)
        return self.rarest

    def _step(self, share: float) -> int:
        bits = math.log2(self._table.agreement / share) * self._percent / 100
        return max(-TERM_STEPS_MAX, min(TERM_STEPS_MAX, round(bits * 1000 / TERM_STEP_MILLIBITS)))


class PatternWeigher:
    """Turns level patterns into weights; both engines take every weight from `weigh`."""

    def __init__(self, model: ScoringModel) -> None:
        self.comparisons = model.comparisons
        self.radices: list[int] = []
        radix = 1
        for comparison in model.comparisons:
            self.radices.append(radix)
            radix *= len(comparison.levels) + 1
        self.term_users = [c.name for c in model.comparisons if any(level.terms for level in c.levels)]
        self.no_terms = self.pack_terms({})
        self._millibits = [[0, *(level.millibits for level in c.levels)] for c in model.comparisons]
        self._classes = [
            (
                found.counts_as_same,
                round(1000 * math.log2(found.rate)),
                [self._ratios(found.shares.get(c.name), c) for c in model.comparisons],
                frozenset(found.shares),
            )
            for found in model.classes
        ]

    def weigh(self, pattern: int, term_steps: int, prior: Millibits) -> Millibits:
        """Return the weight of a pair from its numbered levels, packed term steps and prior."""
        levels = self.levels_of(pattern)
        terms = self.terms_of(term_steps)
        base = prior + sum(self._millibits[index][level] for index, level in enumerate(levels))
        base += sum(terms.values())
        if not self._classes:
            return base
        same, different = 0.0, 1.0
        for counts_as_same, rate, ratios, own in self._classes:
            ratio = rate + sum(ratios[index][level] for index, level in enumerate(levels))
            ratio += sum(millibits for name, millibits in terms.items() if name not in own)
            if counts_as_same:
                same += 2.0 ** (ratio / 1000)
            else:
                different += 2.0 ** (ratio / 1000)
        gained = 1000 * math.log2(2.0 ** (base / 1000) + same) if same else base
        return round(gained - 1000 * math.log2(different))

    def levels_of(self, pattern: int) -> list[int]:
        """Return for each comparison 0 (absent) or 1 + the position of its level."""
        levels = []
        for comparison in self.comparisons:
            pattern, level = divmod(pattern, len(comparison.levels) + 1)
            levels.append(level)
        return levels

    def pack_terms(self, steps: Mapping[str, int]) -> int:
        """Return the steps of the comparisons that use term frequencies as one number."""
        return sum(
            (steps.get(name, 0) + _TERM_ZERO) * _TERM_RADIX**index
            for index, name in enumerate(self.term_users)
        )

    def term_radix(self, name: str) -> int:
        """Return what a step of this comparison counts in packed term steps."""
        index = self.term_users.index(name)
        return int(_TERM_RADIX**index)

    def terms_of(self, term_steps: int) -> dict[str, Millibits]:
        """Return the adjustment of each comparison that uses term frequencies, in millibits."""
        terms = {}
        for name in self.term_users:
            term_steps, step = divmod(term_steps, _TERM_RADIX)
            terms[name] = (step - _TERM_ZERO) * TERM_STEP_MILLIBITS
        return terms

    @staticmethod
    def _ratios(shares: tuple[float, ...] | None, comparison: Comparison) -> list[int]:
        if shares is None:
            return [0] * (len(comparison.levels) + 1)
        pairs = zip(shares, comparison.levels, strict=True)
        return [0, *(round(1000 * math.log2(share / level.u)) for share, level in pairs)]


class Scorer:
    """Scores pairs under one scoring model; made by `compile_scorer`. Safe to share between threads."""

    def __init__(self, model: ScoringModel, *, hash_key: bytes = b"") -> None:
        self._model = model
        self._exclusive = frozenset(model.exclusive)
        self.weigher = PatternWeigher(model)
        self._find_pattern = _compile_pattern(model, self.weigher, hash_key)
        self._weights: dict[Millibits, dict[tuple[int, int], Millibits]] = {}
        self._priors: dict[tuple[str, str], Millibits] = {}

    def score_pair(
        self, left: Profile, right: Profile, *, left_source: str, right_source: str, same_as: bool = False
    ) -> Millibits:
        """Return the weight of a pair of records; `same_as`: one's source states that it is the other."""
        prior = self._priors.get((left_source, right_source))
        if prior is None:
            prior = self._prior(left_source, right_source)
        numbered = self._find_pattern(left, right)
        weights = self._weights.get(prior)
        weight = weights.get(numbered) if weights else None
        if weight is None:
            weight = self._weigh(numbered, prior)
        return weight + self._model.same_as_millibits if same_as else weight

    def score_many(self, left: Profile, rights: Iterable[Profile], *, prior: Millibits) -> list[Millibits]:
        """Return the weights of one record against many that share a prior (`ScoringModel.find_prior`)."""
        weights = self._weights.setdefault(prior, {})
        find_pattern = self._find_pattern
        found = []
        for right in rights:
            numbered = find_pattern(left, right)
            weight = weights.get(numbered)
            found.append(self._weigh(numbered, prior) if weight is None else weight)
        return found

    def find_pattern(self, left: Profile, right: Profile) -> tuple[int, int]:
        """Return the numbered levels and the packed term steps of a pair."""
        return self._find_pattern(left, right)

    def explain_pair(
        self, left: Profile, right: Profile, *, left_source: str, right_source: str, same_as: bool = False
    ) -> PairScore:
        """Return the weight of a pair with every comparison's part in it."""
        prior = self._prior(left_source, right_source)
        pattern, term_steps = self._find_pattern(left, right)
        terms = self.weigher.terms_of(term_steps)
        comparisons = []
        for comparison, level in zip(self._model.comparisons, self.weigher.levels_of(pattern), strict=True):
            found = comparison.levels[level - 1] if level else None
            comparisons.append(
                ComparisonScore(
                    comparison.name,
                    found.label if found else "absent",
                    found.millibits if found else 0,
                    terms.get(comparison.name, 0),
                )
            )
        weight = self.weigher.weigh(pattern, term_steps, prior)
        stated = self._model.same_as_millibits if same_as else 0
        parts = prior + sum(part.millibits + part.term_millibits for part in comparisons)
        return PairScore(
            weight + stated,
            probability_of(weight + stated),
            prior,
            stated,
            weight - parts,
            tuple(comparisons),
            self.conflict(left, right),
        )

    def conflict(self, left: Profile, right: Profile) -> str | None:
        """Return the constraint that forbids the pair: `kind`, `exclusive:<scheme>`, or None."""
        if left[_KIND] is not None and right[_KIND] is not None and left[_KIND] != right[_KIND]:
            return "kind"
        ours, theirs = left[_IDENTIFIERS], right[_IDENTIFIERS]
        if ours is None or theirs is None or ours == theirs:
            return None
        scheme = _find_exclusion(ours, theirs, self._exclusive)  # type: ignore[arg-type]
        return f"exclusive:{scheme}" if scheme else None

    def _prior(self, left_source: str, right_source: str) -> Millibits:
        prior = self._priors.get((left_source, right_source))
        if prior is None:
            prior = self._model.find_prior(left_source, right_source)
            self._priors[left_source, right_source] = prior
        return prior

    def _weigh(self, numbered: tuple[int, int], prior: Millibits) -> Millibits:
        weights = self._weights.setdefault(prior, {})
        weight = weights.get(numbered)
        if weight is None:
            if len(weights) >= _WEIGHTS_MAX:
                weights.clear()
            weight = weights[numbered] = self.weigher.weigh(*numbered, prior)
        return weight


@lru_cache(maxsize=8)
def compile_scorer(model: ScoringModel, *, hash_key: bytes = b"") -> Scorer:
    """Return the scorer of a model; compiled once for each.

    Args:
        hash_key: needed only by models that list rare values under a keyed hash.
    """
    return Scorer(model, hash_key=hash_key)


def _find_exclusion(ours: tuple[str, ...], theirs: tuple[str, ...], exclusive: frozenset[str]) -> str | None:
    """Return the exclusive scheme of which both have values, none within one typing error of another."""
    by_scheme: dict[str, list[str]] = {}
    for value in ours:
        by_scheme.setdefault(value.partition(":")[0], []).append(value)
    close: dict[str, bool] = {}
    for value in theirs:
        issued = value.partition(":")[0]
        if issued in by_scheme:
            close[issued] = close.get(issued, False) or any(
                OSA.distance(value, other, score_cutoff=1) <= 1 for other in by_scheme[issued]
            )
    for issued in sorted(close):
        scheme, _, issuer = issued.partition("@")
        if not close[issued] and (scheme in exclusive or (issuer and f"{scheme}@" in exclusive)):
            return scheme
    return None


def _compile_pattern(
    model: ScoringModel, weigher: PatternWeigher, hash_key: bytes
) -> Callable[[Profile, Profile], tuple[int, int]]:
    """Compile the comparisons to one function. Names and numbers come from a validated document only."""
    namespace: dict[str, Any] = dict(NATIVE_MEASURES)
    namespace |= {f"words_{name}": frozenset(words) for name, words in model.vocabulary.items()}
    width = range(len(PROFILE_COLUMNS))
    lines = [
        "def find_pattern(left, right):",
        f"    {', '.join(f'a{position}' for position in width)} = left",
        f"    {', '.join(f'b{position}' for position in width)} = right",
        f"    pattern, terms = 0, {weigher.no_terms}",
    ]
    for index, comparison in enumerate(model.comparisons):
        lines += _comparison_lines(index, comparison, model, weigher, namespace, hash_key)
    lines.append("    return pattern, terms")
    exec(compile("\n".join(lines), "<scoring model>", "exec"), namespace)  # noqa: S102 - built from checked names
    compiled: Callable[[Profile, Profile], tuple[int, int]] = namespace["find_pattern"]
    return compiled


def _comparison_lines(
    index: int,
    comparison: Comparison,
    model: ScoringModel,
    weigher: PatternWeigher,
    namespace: dict[str, Any],
    hash_key: bytes,
) -> list[str]:
    positions = [column_position(name) for name in comparison.columns]
    sides = ["(" + " and ".join(f"{side}{position} is None" for position in positions) + ")" for side in "ab"]
    present = frozenset(comparison.columns) if len(positions) == 1 else frozenset()
    lines = [f"    if not ({sides[0]} or {sides[1]}):"]
    ladder = _ladder_start(comparison)
    known: Any = {
        "comparison": comparison,
        "model": model,
        "weigher": weigher,
        "namespace": namespace,
        "hash_key": hash_key,
    }
    for position, level in enumerate(comparison.levels):
        if position == ladder:
            column = positions[0]
            namespace[f"ladder_{index}"] = _compile_ladder(comparison, ladder, namespace)
            call = f"ladder_{index}(a{column}, b{column})"
            lines.append(f"        {'else' if position else 'if True'}:")
            lines.append(f"            level = {call}")
            lines.append(f"            pattern += level * {weigher.radices[index]}")
            for later in range(ladder, len(comparison.levels)):
                if comparison.levels[later].terms:
                    lines.append(f"            if level == {later + 1}:")
                    lines += _term_lines("    ", index, later, **known)
            break
        word = "if" if position == 0 else "elif"
        condition = (
            "else" if level.condition is None else f"{word} {render_python(level.condition, present=present)}"
        )
        lines.append(f"        {condition}:")
        lines.append(f"            pattern += {(position + 1) * weigher.radices[index]}")
        if level.terms:
            lines += _term_lines("", index, position, **known)
    return lines


def _term_lines(
    indent: str,
    index: int,
    position: int,
    *,
    comparison: Comparison,
    model: ScoringModel,
    weigher: PatternWeigher,
    namespace: dict[str, Any],
    hash_key: bytes,
) -> list[str]:
    terms = comparison.levels[position].terms
    assert terms is not None
    table = model.term_tables[terms.table]
    steps = TermSteps(table, terms.percent, hash_key)
    name = f"steps_{index}_{position}"
    # Rare values under a keyed hash are looked up through it; without any, one dictionary look-up is enough.
    namespace[name] = lru_cache(maxsize=1 << 16)(steps.find) if table.hashed else steps.listed.get
    rarest = "" if table.hashed else f", {steps.rarest}"
    column = column_position(terms.column)
    return [
        f"{indent}            s, t = {name}(a{column}{rarest}), {name}(b{column}{rarest})",
        f"{indent}            terms += (s if s < t else t) * {weigher.term_radix(comparison.name)}",
    ]


def _ladder_start(comparison: Comparison) -> int | None:
    """Return the first level from which all others compare one text column only: these can be remembered."""
    if len(comparison.columns) != 1 or comparison.columns[0] not in TEXT_COLUMNS:
        return None
    start = len(comparison.levels) - 1
    while start and _reads_only(comparison.levels[start - 1].condition, comparison.columns):
        start -= 1
    start = max(start, 1)  # equality is cheaper than remembering it
    return start if start < len(comparison.levels) - 1 else None


def _reads_only(condition: Condition | None, columns: tuple[str, ...]) -> bool:
    if condition is None:
        return True
    return set(condition.columns) <= set(columns) and all(
        _reads_only(part, columns) for part in condition.parts
    )


def _compile_ladder(
    comparison: Comparison, start: int, namespace: dict[str, Any]
) -> Callable[[str, str], int]:
    column = column_position(comparison.columns[0])
    present = frozenset(comparison.columns)
    lines = [f"def climb(a{column}, b{column}):"]
    for position in range(start, len(comparison.levels)):
        condition = comparison.levels[position].condition
        if condition is None:
            lines.append(f"    return {position + 1}")
        else:
            lines.append(f"    if {render_python(condition, present=present)}:")
            lines.append(f"        return {position + 1}")
    scope = dict(namespace)
    exec(compile("\n".join(lines), "<scoring model>", "exec"), scope)  # noqa: S102 - built from checked names
    return lru_cache(maxsize=1 << 17)(scope["climb"])
