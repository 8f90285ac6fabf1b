"""Decide which judgements may be recorded, and which of them bind the partition now.

A judgement names records, whether they exist, live or are withdrawn. *Same* says that all the records
it names are one customer; *different* parts each record of its left side from each of its right side.

Invariants: what binds never joins two records that it keeps apart; it depends on the set of judgements
and of live records alone, not on their order, ids or history. So withdrawing a judgement gives what
holds without it.
Pure. Elsewhere: what a constraint does to a cluster (`matching.cluster`), where judgements are kept
(`identity.store`).

Which ones hold
  1. Judgements are gone through strongest class first; in a class *different* before *same* (keeping
     apart is the safe error), then by the records named.
  2. One that contradicts those held so far, through the closure of their *same*, sleeps as a whole;
     every other one is held. So what sleeps is minimal: waking any one sleeper alone would contradict.
  3. For what binds now, each judgement first shrinks to its live records: a *same* still joins those
     that are left of it, a *different* still parts them. A judgement that sleeps because its records
     are withdrawn does not put a weaker one to sleep until they return.

The check of a new judgement takes no notice of who lives: it uses every judgement that was not
withdrawn, so a returning record never brings two judgements of one class into contradiction. It also
counts sleepers of the new one's own class, so withdrawing what made them sleep never does either.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import pairwise, product
from typing import TYPE_CHECKING, Final

from identity.errors import JudgementRefused
from identity.model import JudgementClass, RecordRef, Verdict, order_bytes

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

__all__ = [
    "Admission",
    "Bindings",
    "JudgementFact",
    "bindings",
    "check_judgement",
    "expand_pairs",
    "order_pair",
    "require_sound",
]

RecordPair = tuple[RecordRef, RecordRef]

_RANKS: Final = {JudgementClass.STEWARD: 0, JudgementClass.ISSUER: 1}


@dataclass(frozen=True, slots=True)
class JudgementFact:
    """A judgement that was not withdrawn; `id` only names it, it decides nothing."""

    id: str
    verdict: Verdict
    judgement_class: JudgementClass
    left: tuple[RecordRef, ...]
    right: tuple[RecordRef, ...] = ()
    author: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Admission:
    """What recording a judgement would meet.

    It is refused when `conflicts` names any judgement: those of its own or a higher class that
    contradict it. Otherwise `sleeps` names those of lower classes that newly sleep while it is in
    force. Ids are sorted.
    """

    conflicts: tuple[str, ...] = ()
    sleeps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Bindings:
    """What the judgements ask of the partition now.

    `joined` are disjoint groups of two or more live records, smallest record first; `apart` are
    ordered pairs (`order_pair`) of live records, as stated (it holds for their joined groups too);
    `lifting` are the live records of each *same* that holds: between them, and only them, weaker
    constraints are lifted; `asleep` are the ids of those that are contradicted.
    """

    joined: tuple[frozenset[RecordRef], ...] = ()
    apart: frozenset[RecordPair] = frozenset()
    lifting: tuple[frozenset[RecordRef], ...] = ()
    asleep: tuple[str, ...] = ()


_NOTHING: Final = Bindings()


def require_sound(fact: JudgementFact) -> None:
    """Return when the judgement says something that can hold.

    Raises:
        JudgementRefused: a *same* names fewer than two records; a *different* has an empty side, or a
            record on both sides.
    """
    if fact.verdict is Verdict.SAME:
        if len({*fact.left, *fact.right}) < 2:
            raise JudgementRefused("a judgement 'same' must name at least two different records")
        return
    if not fact.left or not fact.right:
        raise JudgementRefused("a judgement 'different' must name at least one record on each side")
    if not set(fact.left).isdisjoint(fact.right):
        raise JudgementRefused("a judgement 'different' names a record on both sides; leave it out of one")


def expand_pairs(fact: JudgementFact) -> list[RecordPair]:
    """Return the pairs of records that a judgement speaks of, each ordered, in order, once.

    A *same* gives a chain through all its records; a *different* each left record with each right one.
    """
    if fact.verdict is Verdict.SAME:
        return list(pairwise(sorted({*fact.left, *fact.right}, key=order_bytes)))
    pairs = {order_pair(left, right) for left, right in product(fact.left, fact.right) if left != right}
    return sorted(pairs, key=_pair_bytes)


def order_pair(one: RecordRef, other: RecordRef) -> RecordPair:
    """Return the two records, the smaller one first."""
    return (one, other) if order_bytes(one) <= order_bytes(other) else (other, one)


def check_judgement(new: JudgementFact, in_force: Sequence[JudgementFact]) -> Admission:
    """Return what contradicts a new judgement, or what will sleep while it is in force.

    Conflicts are named along a shortest chain: each *different* that the new judgement would breach with
    the *same* ones that lead to it, or the *same* ones that join what it would part.

    Args:
        new: sound (`require_sound`); one with the id of a given judgement is checked in its stead.
        in_force: judgements that were not withdrawn, sleeping ones too: at least those that name a
            record reached from the new one's records over any number of *same* judgements.
    """
    others = [fact for fact in in_force if fact.id != new.id]
    if not others:
        return Admission()
    rank = _RANKS[new.judgement_class]
    own_class = [fact for fact in others if _RANKS[fact.judgement_class] == rank]
    own_or_higher = [fact for fact in others if _RANKS[fact.judgement_class] <= rank]
    conflicts = _find_conflicts(new, own_or_higher) | _find_conflicts(new, own_class)
    if conflicts:
        return Admission(conflicts=tuple(sorted(conflicts)))
    if len(own_or_higher) == len(others):
        return Admission()
    asleep_before = {fact.id for fact in _hold(others)[1]}
    asleep_after = {fact.id for fact in _hold([*others, new])[1]}
    return Admission(sleeps=tuple(sorted(asleep_after - asleep_before)))


def bindings(facts: Sequence[JudgementFact], live: Collection[RecordRef]) -> Bindings:
    """Return what binds the partition of the live records now.

    Args:
        facts: judgements that were not withdrawn, in any order: for a component at least those that
            name one of its records or one reached from them over any number of *same* judgements.
        live: the records that may be clustered: neither withdrawn nor held. Asked per named record, so
            hand a set or a mapping.
    """
    if not facts:
        return _NOTHING
    shrunk = [fact for fact in (_shrink(fact, live) for fact in facts) if fact is not None]
    if not shrunk:
        return _NOTHING
    held, asleep, groups = _hold(shrunk)
    return Bindings(
        joined=groups.list_joined(),
        apart=frozenset(
            pair for fact in held if fact.verdict is Verdict.DIFFERENT for pair in expand_pairs(fact)
        ),
        lifting=tuple(frozenset((*fact.left, *fact.right)) for fact in held if fact.verdict is Verdict.SAME),
        asleep=tuple(sorted(fact.id for fact in asleep)),
    )


class _Groups:
    """Records joined so far, with what each group must be kept apart from."""

    __slots__ = ("_foes", "_groups")

    def __init__(self) -> None:
        self._groups: dict[RecordRef, set[RecordRef]] = {}
        self._foes: dict[RecordRef, set[RecordRef]] = {}

    def hold_unless_contradicted(self, fact: JudgementFact) -> bool:
        """Take a judgement in, or leave all as it is and return False when it contradicts."""
        if fact.verdict is Verdict.DIFFERENT:
            return self._part(fact)
        return self._join(fact)

    def list_joined(self) -> tuple[frozenset[RecordRef], ...]:
        """Return the groups of two or more records, by their smallest record."""
        distinct = {id(group): group for group in self._groups.values()}
        return tuple(
            sorted(map(frozenset, distinct.values()), key=lambda group: min(map(order_bytes, group)))
        )

    def _part(self, fact: JudgementFact) -> bool:
        right = set(fact.right)
        if any(not right.isdisjoint(self._groups.get(ref, (ref,))) for ref in fact.left):
            return False
        for one, other in product(fact.left, fact.right):
            self._foes.setdefault(one, set()).add(other)
            self._foes.setdefault(other, set()).add(one)
        return True

    def _join(self, fact: JudgementFact) -> bool:
        union: set[RecordRef] = set()
        for ref in (*fact.left, *fact.right):
            if ref not in union:
                union |= self._groups.get(ref, {ref})
        if any(not union.isdisjoint(self._foes.get(ref, ())) for ref in union):
            return False
        for ref in union:
            self._groups[ref] = union
        return True


def _hold(facts: Iterable[JudgementFact]) -> tuple[list[JudgementFact], list[JudgementFact], _Groups]:
    """Return the judgements that hold, those that sleep for being contradicted, and the groups."""
    held: list[JudgementFact] = []
    asleep: list[JudgementFact] = []
    groups = _Groups()
    for fact in sorted(facts, key=_precedence):
        (held if groups.hold_unless_contradicted(fact) else asleep).append(fact)
    return held, asleep, groups


def _precedence(
    fact: JudgementFact,
) -> tuple[int, bool, list[tuple[bytes, bytes]], list[tuple[bytes, bytes]]]:
    # Not the id: it tells when a judgement arrived, and the partition must not depend on that (P3).
    # Judgements that are equal here say the same thing, so they hold or sleep together.
    if fact.verdict is Verdict.SAME:
        named = sorted(order_bytes(ref) for ref in {*fact.left, *fact.right})
        return _RANKS[fact.judgement_class], True, named, []
    sides = sorted(sorted(order_bytes(ref) for ref in set(side)) for side in (fact.left, fact.right))
    return _RANKS[fact.judgement_class], False, sides[0], sides[1]


def _shrink(fact: JudgementFact, live: Collection[RecordRef]) -> JudgementFact | None:
    left = tuple(ref for ref in fact.left if ref in live)
    right = tuple(ref for ref in fact.right if ref in live)
    if fact.verdict is Verdict.SAME:
        if len({*left, *right}) < 2:
            return None
    elif not left or not right:
        return None
    if len(left) == len(fact.left) and len(right) == len(fact.right):
        return fact
    return JudgementFact(fact.id, fact.verdict, fact.judgement_class, left=left, right=right)


def _find_conflicts(new: JudgementFact, facts: Sequence[JudgementFact]) -> set[str]:
    """Return the ids of the judgements that contradict `new` among those of `facts` that hold."""
    held, _, groups = _hold(facts)
    if groups.hold_unless_contradicted(new):
        return set()
    joining = [fact for fact in held if fact.verdict is Verdict.SAME]
    if new.verdict is Verdict.DIFFERENT:
        chains = _index_by_record(joining)
        return {step.id for pair in expand_pairs(new) for step in _find_chain(pair[0], pair[1], chains) or ()}
    chains = _index_by_record([*joining, new])
    conflicts: set[str] = set()
    for fact in held:
        if fact.verdict is Verdict.DIFFERENT:
            for one, other in expand_pairs(fact):
                chain = _find_chain(one, other, chains)
                if chain:
                    conflicts.update(step.id for step in (*chain, fact) if step is not new)
                    break
    return conflicts


def _index_by_record(facts: Iterable[JudgementFact]) -> dict[RecordRef, list[JudgementFact]]:
    index: dict[RecordRef, list[JudgementFact]] = {}
    for fact in sorted(facts, key=lambda fact: (_precedence(fact), fact.id)):
        for ref in sorted({*fact.left, *fact.right}, key=order_bytes):
            index.setdefault(ref, []).append(fact)
    return index


def _find_chain(
    one: RecordRef, other: RecordRef, by_record: Mapping[RecordRef, Sequence[JudgementFact]]
) -> list[JudgementFact] | None:
    """Return a shortest chain of *same* judgements that joins two records, None when there is none."""
    came_by: dict[RecordRef, tuple[RecordRef, JudgementFact] | None] = {one: None}
    waiting = deque([one])
    while waiting and other not in came_by:
        at = waiting.popleft()
        for fact in by_record.get(at, ()):
            for ref in sorted({*fact.left, *fact.right}, key=order_bytes):
                if ref not in came_by:
                    came_by[ref] = (at, fact)
                    waiting.append(ref)
    if other not in came_by:
        return None
    chain: list[JudgementFact] = []
    step = came_by[other]
    while step is not None:
        chain.append(step[1])
        step = came_by[step[0]]
    return chain


def _pair_bytes(pair: RecordPair) -> tuple[tuple[bytes, bytes], tuple[bytes, bytes]]:
    return order_bytes(pair[0]), order_bytes(pair[1])
