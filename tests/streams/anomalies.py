"""Look for every anomaly of Jepsen's Kafka workload in what a run left behind, by its name there.

The names are those of jepsen.tests.kafka; each is applied to both sides of the service: messages in (sent, then taken into
the store) and messages out (told by the relay, then polled). What is allowed: after a crash a relay may tell a batch
again, byte for byte; a reader tells it by the version. It is counted, and is no anomaly.

Pure: a history in, anomalies out; an empty mapping is what a run has to end with.
Elsewhere: making histories (`tests.streams.storm`), each anomaly planted (`tests/streams/test_anomalies.py`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

__all__ = [
    "ANOMALIES",
    "History",
    "Polled",
    "Sent",
    "StoredKey",
    "count_repeats",
    "find_anomalies",
]

ANOMALIES = (
    "lost-write",
    "duplicate",
    "write-reordered",
    "inconsistent-offsets",
    "G1a",
    "precommitted-read",
    "unseen",
    "poll-skip",
    "int-poll-skip",
    "nonmonotonic-poll",
    "int-nonmonotonic-poll",
    "nonmonotonic-send",
    "int-nonmonotonic-send",
    "fold",
)

Place = tuple[str, int]
"""A partition: topic and number."""


class Sent(NamedTuple):
    """A message that the broker acknowledged to its source; `version` grows with each message of a key."""

    place: Place
    offset: int
    key: str
    version: int


class StoredKey(NamedTuple):
    """What the store holds of one source key: source versions as often as they are stored, and the crosswalk's row."""

    versions: Mapping[int, int]
    newest: int | None
    row: tuple[str | None, str, int]


class Polled(NamedTuple):
    """A message out, as a reader got it; `batch` numbers the polls of that reader."""

    place: Place
    offset: int
    key: str
    version: int
    content: bytes
    state: tuple[str | None, str, int]
    batch: int = 0


@dataclass(frozen=True)
class History:
    """What is known of a run after its end.

    Args:
        consumed: how many messages of each partition the store counted, and how many its fates add up to.
        expected_versions: how many contents each key has stated.
        outbox: (key, version) of every event, with the state that it gives the key.
        polls: what each reader got while the run went on, in its order.
        log: what stands in the topics at the end, in the order of each partition.
        polled_uncommitted: what a reader got though its event was not yet in the store.
    """

    sent: Sequence[Sent]
    consumed: Mapping[Place, tuple[int, int, int]]
    stored: Mapping[str, StoredKey]
    expected_versions: Mapping[str, int]
    outbox: Mapping[tuple[str, int], tuple[str | None, str, int]]
    polls: Sequence[Sequence[Polled]]
    log: Sequence[Polled]
    polled_uncommitted: Sequence[Polled] = field(default_factory=tuple)


def find_anomalies(history: History) -> dict[str, list[str]]:
    """Return what was found, by the name of the anomaly; at most ten of each are described."""
    found: dict[str, list[str]] = defaultdict(list)

    def note(name: str, what: str) -> None:
        assert name in ANOMALIES
        if len(found[name]) < 10:
            found[name].append(what)

    for check in (_check_taken, _check_stored, _check_told, _check_log, _check_folds):
        for name, what in check(history):
            note(name, what)
    for number, reader in enumerate(history.polls):
        for name, what in _check_reader(reader, history.log):
            note(name, f"reader {number}: {what}")
    return dict(found)


def count_repeats(log: Iterable[Polled]) -> int:
    """Return how many messages say what an earlier one has said: what a relay told again after a crash."""
    seen: set[tuple[str, int]] = set()
    repeated = 0
    for one in log:
        repeated += (one.key, one.version) in seen
        seen.add((one.key, one.version))
    return repeated


Found = Iterable[tuple[str, str]]


def _check_taken(history: History) -> Found:
    """Each partition was consumed once: to its end, and no message twice."""
    ends: Counter[Place] = Counter()
    offsets: dict[Place, set[int]] = defaultdict(set)
    for one in history.sent:
        ends[one.place] = max(ends[one.place], one.offset + 1)
        if one.offset in offsets[one.place]:
            yield "inconsistent-offsets", f"two messages were acknowledged at {one.place} {one.offset}"
        offsets[one.place].add(one.offset)
    for place, end in ends.items():
        next_offset, consumed, counted = history.consumed.get(place, (0, 0, 0))
        if next_offset < end:
            yield "lost-write", f"{place} was taken up to {next_offset} of {end}"
        if consumed > len(offsets[place]):
            yield "duplicate", f"{place}: {consumed} messages consumed of {len(offsets[place])}"
        if consumed < len(offsets[place]):
            yield "lost-write", f"{place}: {consumed} messages consumed of {len(offsets[place])}"
        if consumed != counted:
            yield "lost-write", f"{place}: {consumed} consumed, but their fates are {counted}"


def _check_stored(history: History) -> Found:
    """Each content stands in the store once, and the newest holds."""
    newest: dict[str, int] = {}
    by_key: dict[str, list[Sent]] = defaultdict(list)
    for one in history.sent:
        newest[one.key] = max(one.version, newest.get(one.key, 0))
        by_key[one.key].append(one)
    for key, version in newest.items():
        held = history.stored.get(key)
        if held is None:
            yield "lost-write", f"{key} is not in the store"
            continue
        if held.newest != version:
            yield "write-reordered", f"{key} holds version {held.newest}, sent was {version}"
        twice = [number for number, count in held.versions.items() if count > 1]
        if twice:
            yield "duplicate", f"{key} has versions {twice} twice"
        stored_count, expected = sum(held.versions.values()), history.expected_versions[key]
        if stored_count < expected:
            yield "lost-write", f"{key} has {stored_count} contents, stated were {expected}"
        if stored_count > expected:
            yield "duplicate", f"{key} has {stored_count} contents, stated were {expected}"


def _check_told(history: History) -> Found:
    """What was read is in the outbox, and what is in the outbox was told."""
    told = {(one.key, one.version): one for one in history.log}
    for one in [*history.log, *(one for reader in history.polls for one in reader)]:
        state = history.outbox.get((one.key, one.version))
        if state is None:
            yield "G1a", f"{one.key} {one.version} was read, and is no event"
        elif state != one.state:
            yield "G1a", f"{one.key} {one.version} was read as {one.state}, and is {state}"
    for one in history.polled_uncommitted:
        yield "precommitted-read", f"{one.key} {one.version} was read before the store had it"
    for key, version in history.outbox.keys() - told.keys():
        yield "unseen", f"{key} {version} is an event that nobody can read"


def _check_log(history: History) -> Found:
    """In the topics each key's versions stand in order, by one; what comes again is what it was."""
    seen: dict[str, dict[int, bytes]] = defaultdict(dict)
    where: dict[str, Place] = {}
    last: dict[str, int] = {}
    for one in history.log:
        told = seen[one.key]
        if where.setdefault(one.key, one.place) != one.place:
            yield "nonmonotonic-send", f"{one.key} stands in two partitions"
        if one.version in told:
            if told[one.version] != one.content:
                yield "inconsistent-offsets", f"{one.key} {one.version} was told in two ways"
        elif one.version != len(told) + 1:
            name = "lost-write" if one.version > len(told) + 1 else "nonmonotonic-send"
            yield name, f"{one.key} {one.version} comes after {len(told)} versions"
        told.setdefault(one.version, one.content)
        last[one.key] = one.version
    for key, version in last.items():
        if version != max(seen[key]):
            yield "nonmonotonic-send", f"{key} ends with {version}, after {max(seen[key])}"
    by_place: dict[Place, list[Polled]] = defaultdict(list)
    for one in history.log:
        by_place[one.place].append(one)
    for place, messages in by_place.items():
        for one, other in pairwise(messages):
            if one.offset >= other.offset:
                yield "int-nonmonotonic-send", f"{place} {other.offset} comes after {one.offset}"


def _check_folds(history: History) -> Found:
    """fold(topic) = fold(outbox) = crosswalk."""
    crosswalk = {key: held.row for key, held in history.stored.items()}
    topic = {one.key: one.state for one in history.log}
    outbox: dict[str, tuple[str | None, str, int]] = {}
    for (key, _), state in sorted(history.outbox.items(), key=lambda entry: entry[0][1]):
        outbox[key] = state
    for name, folded in (("topic", topic), ("outbox", outbox)):
        differing = {key for key in crosswalk.keys() | folded.keys() if crosswalk.get(key) != folded.get(key)}
        for key in sorted(differing)[:10]:
            yield "fold", f"{key}: crosswalk {crosswalk.get(key)}, {name} {folded.get(key)}"


def _check_reader(reader: Sequence[Polled], log: Sequence[Polled]) -> Found:
    """A reader that stays gets each message of each partition once, in order, and the same as all others."""
    offsets: dict[Place, list[int]] = defaultdict(list)
    content: dict[tuple[Place, int], bytes] = {}
    for one in log:
        offsets[one.place].append(one.offset)
        content[one.place, one.offset] = one.content
    follows = {(place, one): other for place, numbers in offsets.items() for one, other in pairwise(numbers)}
    last: dict[Place, Polled] = {}
    for one in reader:
        if content.get((one.place, one.offset), one.content) != one.content:
            yield "inconsistent-offsets", f"{one.place} {one.offset} was something else"
        before = last.get(one.place)
        if before is not None:
            inner = "int-" if before.batch == one.batch else ""
            following = follows.get((one.place, before.offset))
            if one.offset <= before.offset:
                yield f"{inner}nonmonotonic-poll", f"{one.place} {one.offset} comes after {before.offset}"
            elif following is not None and one.offset > following:
                yield (
                    f"{inner}poll-skip",
                    f"{one.place} {one.offset} comes after {before.offset}, not {following}",
                )
        last[one.place] = one
