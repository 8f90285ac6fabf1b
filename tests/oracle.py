"""The partition by the letter of the design, slowly: what every faster path is compared with.

Independent of the code under test: plain Python, `Fraction`, every rule written out from the text of the
design ("The partition"), no matter what it costs (cubic; meant for up to some forty records).

    records = [OracleRecord("crm", "1", profile="ann", keys=frozenset({"k1"})), ...]
    numbers = OracleNumbers(holders_max=4, component_max=6, thresholds=(1, 2), cut=0, clip=2)
    found = oracle_partition(records, numbers, lambda left, right: table[left.profile, right.profile])

- `weigh(left, right)` gets two different records and must be symmetric: unclipped millibits.
- `is_apart(left, right)` says whether kind or an exclusive identifier forbids the pair.
- Blocking keys may be any hashable values; hashes from the code under test do as well as made-up ones.
- `find_oracle_components` shows the step before clustering, for tests that assert what they met.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from itertools import combinations
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Iterable, Sequence

__all__ = [
    "OracleComponent",
    "OracleJudgement",
    "OracleNumbers",
    "OracleRecord",
    "find_judgements_in_force",
    "find_oracle_components",
    "list_usable_keys",
    "oracle_partition",
]

RecordName = tuple[str, str]


@dataclass(frozen=True)
class OracleRecord:
    """The current version of one source record; withdrawn records are simply not given."""

    source: str
    source_key: str
    profile: Hashable  # standardised attributes; with the source it makes the profile of the design
    keys: frozenset[Hashable] = field(default_factory=frozenset)  # blocking keys

    @property
    def name(self) -> RecordName:
        return self.source, self.source_key

    @property
    def order(self) -> tuple[bytes, bytes]:
        return self.source.encode(), self.source_key.encode()

    @property
    def full_profile(self) -> Hashable:
        return self.source, self.profile


@dataclass(frozen=True)
class OracleNumbers:
    """The numbers of the scoring model that the partition depends on."""

    holders_max: int
    component_max: int
    thresholds: Sequence[int]  # rising
    cut: int
    clip: int


@dataclass(frozen=True)
class OracleJudgement:
    """A judgement that was not withdrawn, whether or not it is in force at the moment."""

    verdict: str  # same | different
    left: tuple[RecordName, ...]
    right: tuple[RecordName, ...] = ()
    rank: int = 0  # class: 0 stewards and trusted sources, 1 imported issuers

    def narrow(self, current: Collection[RecordName]) -> OracleJudgement:
        """Return what it says about current records: where a record is withdrawn it sleeps."""
        return OracleJudgement(
            self.verdict,
            tuple(name for name in self.left if name in current),
            tuple(name for name in self.right if name in current),
            self.rank,
        )


@dataclass(frozen=True)
class OracleComponent:
    """Records to be clustered together; `level` is that of the threshold used, None if none was enough."""

    names: frozenset[RecordName]
    level: int | None


def oracle_partition(
    records: Sequence[OracleRecord],
    numbers: OracleNumbers,
    weigh: Callable[[OracleRecord, OracleRecord], int],
    *,
    judgements: Sequence[OracleJudgement] = (),
    is_apart: Callable[[OracleRecord, OracleRecord], bool] = lambda left, right: False,
    one_per_customer: Collection[str] = (),
    evidence: Iterable[tuple[RecordName, RecordName]] = (),
    collapses: bool = True,
) -> set[frozenset[RecordName]]:
    """Return the clusters of all records.

    Args:
        one_per_customer: sources that declare one record per customer.
        evidence: pairs that `same_as` names as evidence: candidates whatever keys they share.
        collapses: join unpinned records of one profile first, where the profile weighs at least the clip
            against itself; False computes over records one by one, as the design's text has it. Both
            agree unless a profile weighs more against another than against itself.
    """
    evidence = list(evidence)
    in_force = find_judgements_in_force(judgements, {record.name for record in records})
    components = find_oracle_components(records, numbers, weigh, judgements=judgements, evidence=evidence)
    by_name = {record.name: record for record in records}
    judged_apart = {
        frozenset((left, right))
        for judgement in in_force
        if judgement.verdict == "different"
        for left in judgement.left
        for right in judgement.right
    }
    pinned = {name for judgement in in_force for name in (*judgement.left, *judgement.right)}
    pinned |= {name for pair in evidence for name in pair}

    def is_forbidden_weakly(left: OracleRecord, right: OracleRecord) -> bool:
        return is_apart(left, right) or (left.source == right.source and left.source in one_per_customer)

    def is_joined_by_profile(left: OracleRecord, right: OracleRecord) -> bool:
        return (
            collapses
            and left.full_profile == right.full_profile
            and not {left.name, right.name} & pinned
            and not is_forbidden_weakly(left, right)
            and weigh(left, right) >= numbers.clip
        )

    found: set[frozenset[RecordName]] = set()
    for component in components:
        members = [by_name[name] for name in component.names]
        judged = _closures(component.names, _same_groups(in_force))
        group_of = {name: group for group in judged for name in group}
        forbidden = {
            frozenset((left.name, right.name))
            for left, right in combinations(members, 2)
            if frozenset((left.name, right.name)) in judged_apart
            or (group_of[left.name] != group_of[right.name] and is_forbidden_weakly(left, right))
        }
        by_profile = [
            {left.name, right.name}
            for left, right in combinations(members, 2)
            if is_joined_by_profile(left, right)
        ]
        first = _closures(component.names, [*judged, *by_profile])
        found |= _link_on_average([[by_name[n] for n in g] for g in first], numbers, weigh, forbidden)
    return found


def list_usable_keys(records: Iterable[OracleRecord], holders_max: int) -> set[Hashable]:
    """Return the keys that at most `holders_max` distinct profiles hold."""
    holders: dict[Hashable, set[Hashable]] = {}
    for record in records:
        for value in record.keys:
            holders.setdefault(value, set()).add(record.full_profile)
    return {value for value, profiles in holders.items() if len(profiles) <= holders_max}


def find_oracle_components(
    records: Sequence[OracleRecord],
    numbers: OracleNumbers,
    weigh: Callable[[OracleRecord, OracleRecord], int],
    *,
    judgements: Sequence[OracleJudgement] = (),
    evidence: Iterable[tuple[RecordName, RecordName]] = (),
) -> set[OracleComponent]:
    """Return the component of every record, looked for from each record on its own."""
    usable = list_usable_keys(records, numbers.holders_max)
    named = {frozenset(pair) for pair in evidence}
    by_name = {record.name: record for record in records}
    candidates = [
        (left, right)
        for left, right in combinations(records, 2)
        if left.keys & right.keys & usable or frozenset((left.name, right.name)) in named
    ]
    same = _same_groups(find_judgements_in_force(judgements, by_name.keys()))
    components = set()
    for record in records:
        for level, threshold in enumerate(numbers.thresholds):
            links = [{left.name, right.name} for left, right in candidates if weigh(left, right) >= threshold]
            names = next(g for g in _closures(by_name, [*links, *same]) if record.name in g)
            if len({by_name[name].full_profile for name in names}) <= numbers.component_max:
                components.add(OracleComponent(names, level))
                break
        else:
            names = next(group for group in _closures(by_name, same) if record.name in group)
            components.add(OracleComponent(names, None))
    return components


def find_judgements_in_force(
    judgements: Sequence[OracleJudgement], current: Collection[RecordName]
) -> list[OracleJudgement]:
    """Return the judgements that hold, narrowed to current records.

    A lower one sleeps when some smallest set of judgements that cannot all hold has both it and a higher
    one in it. Judgements of one class that contradict each other are refused as they are made, so they
    are an error here.
    """
    awake = [judgement.narrow(current) for judgement in judgements]
    awake = [
        j for j in awake if (len(j.left) + len(j.right) > 1 if j.verdict == "same" else j.left and j.right)
    ]
    asleep: set[int] = set()
    conflicts: list[set[int]] = []
    for size in range(1, len(awake) + 1):
        for chosen in map(set, combinations(range(len(awake)), size)):
            if any(conflict <= chosen for conflict in conflicts):
                continue
            if _is_contradictory([awake[number] for number in chosen]):
                conflicts.append(chosen)
                ranks = {awake[number].rank for number in chosen}
                if len(ranks) == 1:
                    raise AssertionError("judgements of one class contradict each other")
                asleep |= {number for number in chosen if awake[number].rank > min(ranks)}
    return [judgement for number, judgement in enumerate(awake) if number not in asleep]


def _is_contradictory(judgements: list[OracleJudgement]) -> bool:
    groups = _same_groups(judgements)
    joined = _closures({name for group in groups for name in group}, groups)
    return any(
        left == right or any({left, right} <= group for group in joined)
        for judgement in judgements
        if judgement.verdict == "different"
        for left in judgement.left
        for right in judgement.right
    )


def _same_groups(judgements: Iterable[OracleJudgement]) -> list[set[RecordName]]:
    return [set(j.left + j.right) for j in judgements if j.verdict == "same"]


def _closures(
    names: Iterable[RecordName], groups: Iterable[Collection[RecordName]]
) -> set[frozenset[RecordName]]:
    """Return the parts that `names` fall into when each group is held together."""
    parts = [{name} for name in names]
    for group in groups:
        touched = [part for part in parts if part & set(group)]
        parts = [part for part in parts if not part & set(group)]
        if touched:
            parts.append(set().union(*touched))
    return {frozenset(part) for part in parts}


def _link_on_average(
    groups: list[list[OracleRecord]],
    numbers: OracleNumbers,
    weigh: Callable[[OracleRecord, OracleRecord], int],
    forbidden: set[frozenset[RecordName]],
) -> set[frozenset[RecordName]]:
    """Merge the best pair of groups again and again while its mean is at least the cut."""
    groups = [list(group) for group in groups]
    while True:
        best = None
        for left, right in combinations(groups, 2):
            pairs = [(a, b) for a in left for b in right]
            if any(frozenset((a.name, b.name)) in forbidden for a, b in pairs):
                continue
            raw = [weigh(a, b) for a, b in pairs]
            clipped = [max(-numbers.clip, min(numbers.clip, weight)) for weight in raw]
            mean = Fraction(sum(clipped), len(pairs))
            if mean < numbers.cut:
                continue
            smallest = sorted((min(a.order for a in left), min(b.order for b in right)))
            rating = (-mean, -Fraction(sum(raw), len(pairs)), *smallest)
            if best is None or rating < best[0]:
                best = (rating, left, right)
        if best is None:
            return {frozenset(record.name for record in group) for group in groups}
        _, left, right = best
        groups = [group for group in groups if group is not left and group is not right]
        groups.append(left + right)
