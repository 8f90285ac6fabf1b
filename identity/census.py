"""Count who holds the blocking keys that a batch touches, before it and after, and find its candidates.

Invariant: a key is usable while at most `holders_max` distinct profiles of current records hold it. What
is counted for the keys of the batch is counted under their locks; other keys are read as they stand,
and who lets one of those cross the limit has to lock the components of all its holders.
What keys that too many hold skipped is counted by blocking rule: how often a record that came in held such a
key. The value behind a key stays here.
Elsewhere: the keys of a profile (`matching.block`), weights (`identity.region`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Final

from identity.change import BeginAnew, Change, Seeds
from identity.prepare import Preparer
from identity.region import PairScores, Partitioner, ProfileLink, pair_of
from identity.store import SourcedProfile, WriteTransaction
from matching.block import KeyRevealer
from matching.model import Profile

__all__ = ["Census", "KeyRules"]

_RULES_MAX: Final = 100_000


class KeyRules:
    """The blocking rule of keys that too many hold; remembered, since the same few come again and again."""

    def __init__(self, reveal: KeyRevealer) -> None:
        self._reveal = reveal
        self._rules: dict[int, str] = {}

    def recall(self, key: int) -> str | None:
        """Return the rule of a key, if it was asked for before."""
        return self._rules.get(key)

    def find(self, key: int, holder: Profile) -> str:
        """Return the rule that gave this key of a profile."""
        if len(self._rules) >= _RULES_MAX:
            self._rules.clear()
        rule = self._rules[key] = self._reveal(holder)[key][0]
        return rule


class Census:
    """The profiles and blocking keys of one transaction."""

    def __init__(
        self, tx: WriteTransaction, *, preparer: Preparer, partitioner: Partitioner, key_rules: KeyRules
    ) -> None:
        self.profiles: dict[int, SourcedProfile] = {}
        self.hashes: dict[int, tuple[int, ...]] = {}
        self.fresh: set[int] = set()  # profiles that the batch brings
        self.vanished: set[int] = set()  # profiles that no record holds any more
        self.crossed: set[int] = set()  # stored profiles that hold a key that crossed the limit
        self.crossings: list[set[int]] = []  # the same, key by key
        self.counters: Counter[str] = Counter()
        self.keys_unusable: Counter[str] = Counter()  # by blocking rule
        self.scores: PairScores = partitioner.open_scores(self.profiles, fresh=self.fresh)
        self._tx = tx
        self._blocker = preparer.blocker
        self._key_rules = key_rules
        self._link_min = partitioner.link_min
        self._holders_max = partitioner.model.holders_max
        self._read: dict[int, list[int]] = {}  # holders read under the locks, up to `_read_limit` of each key
        self._read_keys: Collection[int] = ()
        self._read_limit = 0
        self._before: dict[int, Collection[int]] = {}
        self._after: dict[int, Collection[int]] = {}

    def read_profiles(self, pids: Collection[int]) -> dict[int, SourcedProfile]:
        """Return stored profiles; begins anew when one went meanwhile."""
        missing = [pid for pid in pids if pid not in self.profiles]
        if missing:
            read = self._tx.read_profiles(missing)
            if len(read) < len(missing):
                raise BeginAnew
            self.profiles.update(read)
        return {pid: self.profiles[pid] for pid in pids}

    def keys_of(self, pid: int) -> tuple[int, ...]:
        """Return the blocking keys of a profile."""
        keys = self.hashes.get(pid)
        if keys is None:
            keys = self.hashes[pid] = self._blocker(self.read_profiles([pid])[pid][1])
        return keys

    def holders_limit(self, *, leaving_max: int, extra: int) -> int:
        """Return how many holders of a key tell at most the limit from more, after as many as can go have gone."""
        return self._holders_max + 1 + leaving_max + extra

    def take_holders(self, keys: Collection[int], holders: dict[int, list[int]], *, limit: int) -> None:
        """Keep the holders of keys that were read together with their locks; `limit` bounded each list."""
        self._read, self._read_keys, self._read_limit = holders, keys, limit

    def take(self, moving: Sequence[Change], *, seeds: Seeds) -> None:
        """Count the holders of every key of the moving records, and of the keys among the seeds."""
        joining = {change.pid for change in moving if change.pid is not None}
        self.vanished = self._find_vanished(moving)
        keys = set(seeds.keys)
        for pid in joining | self.vanished:
            keys.update(self.keys_of(pid))
        limit = self._holders_max
        enough = self.holders_limit(leaving_max=len(self.vanished), extra=seeds.holders_extra)
        before = self._read
        unread = keys.difference(self._read_keys) if enough <= self._read_limit else keys
        if unread:
            before = before | self._tx.read_holders(unread, limit=enough)
        after: dict[int, Collection[int]] = {key: before.get(key, ()) for key in keys}
        for pid in self.vanished:
            for key in self.keys_of(pid):
                after[key] = set(after[key]) - {pid}
        for pid in self.fresh:
            for key in self.keys_of(pid):
                after[key] = {*after[key], pid}
        crossed = [key for key in keys if (len(before.get(key, ())) <= limit) != (len(after[key]) <= limit)]
        self._before = {key: before.get(key, ()) for key in keys}
        self._after = after
        self.crossings = [{*before.get(key, ()), *after[key]} - self.fresh for key in {*crossed, *seeds.keys}]
        self.crossed = set().union(*self.crossings)
        self.counters["keys"] += len(keys)
        self.counters["keys_crossed"] += len(crossed)
        unusable = {key for key, holders in after.items() if len(holders) > limit}
        if unusable:
            self._count_unusable(moving, unusable)

    def link(self, moving: Sequence[Change]) -> list[ProfileLink]:
        """Score every moving profile against its candidates; return the links."""
        candidates: dict[int, set[int]] = {}
        for pid in {change.pid for change in moving if change.pid is not None}:
            candidates[pid] = {
                other
                for key in self.keys_of(pid)
                if len(holders := self._after[key]) <= self._holders_max
                for other in holders
            }
        self.read_profiles({pid for found in candidates.values() for pid in found})
        weigh = self.scores.weigh
        links = {
            pair_of(pid, other): weight
            for pid, found in candidates.items()
            for other in found
            if (weight := weigh(pid, other)) >= self._link_min
        }
        self.counters["candidates"] += sum(len(found - {pid}) for pid, found in candidates.items())
        return [ProfileLink(left, right, weight) for (left, right), weight in links.items()]

    def find_left_behind(self, pid: int) -> set[int]:
        """Return the profiles that a vanished profile linked to before the batch."""
        others = {
            other
            for key in self.keys_of(pid)
            if len(holders := self._before[key]) <= self._holders_max
            for other in holders
        }
        self.read_profiles({pid, *others})
        return {other for other in others - {pid} if self.scores.weigh(pid, other) >= self._link_min}

    def find_usable_keys(self, pids: Iterable[int]) -> tuple[dict[int, tuple[int, ...]], set[int]]:
        """Return the blocking keys of these profiles, and which of them are usable after the batch."""
        keys = {pid: self.keys_of(pid) for pid in pids}
        wanted = {key for hashes in keys.values() for key in hashes}
        unread = wanted - self._after.keys()
        if unread:
            read = self._tx.read_holders(unread, limit=self._holders_max + 1)
            self._after.update((key, read.get(key, ())) for key in unread)
        return keys, {key for key in wanted if len(self._after[key]) <= self._holders_max}

    def find_holders(self, pid: int) -> set[int]:
        """Return the profiles that share a usable key with this one after the batch, itself included if it has one."""
        keys, usable = self.find_usable_keys([pid])
        found = {other for key in keys[pid] if key in usable for other in self._after[key]}
        self.read_profiles(found)
        return found

    def _count_unusable(self, moving: Sequence[Change], unusable: Collection[int]) -> None:
        """Count by rule the keys of the moving records that are not usable."""
        for change in moving:
            if change.pid is not None:
                for key in self.keys_of(change.pid):
                    if key in unusable:
                        rule = self._key_rules.recall(key)
                        if rule is None:
                            _, profile = self.read_profiles([change.pid])[change.pid]
                            rule = self._key_rules.find(key, profile)
                        self.keys_unusable[rule] += 1

    def _find_vanished(self, moving: Sequence[Change]) -> set[int]:
        leaving = Counter(change.row.pid for change in moving if change.row is not None and change.row.pid)
        leaving.subtract(change.pid for change in moving if change.pid is not None)
        gone = {pid: count for pid, count in leaving.items() if count > 0 and pid is not None}
        counts = self._tx.count_records_of_profiles(list(gone))
        return {pid for pid, count in gone.items() if counts.get(pid, 0) <= count}
