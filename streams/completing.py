"""Complete changes from what is held of their records: values that were not sent, and changed keys.

How a changed key is taken, of which Debezium tells twice, on partitions without a common order:
1. The event under the new key has the row. If it comes first, the old key ends as renamed and the new one is stated,
   in one transaction, so that the CID goes along.
2. If the event under the old key comes first, the new key is stated as the old one was, as of just before the change;
   the other event then is an update.
3. Whichever comes second finds the old key renamed already, and changes nothing there.

Invariant: what was read without a lock is named with its number of versions, for the transaction to check.
Elsewhere: finding versions (`streams.held`), values that were not sent (`streams.unavailable`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from identity.model import Instant, RecordCommand, RecordRef
from identity.store_sql.opening import SqlStore
from matching.errors import SameasError
from streams.held import HeldVersion, find_held
from streams.model import Rename, Statement, Withdrawal
from streams.reading import Reading, Refusal, command_of
from streams.refused import RejectBook
from streams.unavailable import fill_unavailable

__all__ = ["BEHIND", "Completed", "complete_readings"]

BEHIND: Final = Refusal(
    "value_unavailable",
    "The change does not carry all values, and what it lands on was refused: replay that reject first, then this one.",
)
_LACKING: Final = Refusal(
    "value_unavailable",
    "The change does not carry all values, and no version of the record is held from which to complete it. Have the "
    "source state the record anew (a snapshot, or any change of the missing columns).",
)
_Held = Mapping[RecordRef, HeldVersion]


class Completed(NamedTuple):
    """Readings with their commands, and how many versions each record had that they rely on."""

    readings: list[Reading]
    relied_on: dict[RecordRef, int]


def complete_readings(
    store: SqlStore, readings: Sequence[Reading], *, now: Instant, is_replay: bool = False
) -> Completed:
    """Return the readings with the commands of their changes; a change of a whole source stays as it is.

    Args:
        is_replay: the readings are rejects themselves, of which none older stands open.
    """
    wanted: dict[RecordRef, int | None] = {}
    for one in readings:
        if isinstance(one.change, Statement):
            wanted[one.refs[0]] = one.change.version
        elif isinstance(one.change, Rename):
            old = RecordRef(one.contract.name, one.change.old_key)
            wanted[old] = None
            wanted[RecordRef(one.contract.name, one.change.new_key)] = one.change.version
    if not wanted:
        return Completed(list(readings), {})
    contracts = {one.contract.name: one.contract for one in readings}
    with store.inspect() as tx:
        held = find_held(tx, wanted, contracts)
        behind = set() if is_replay else RejectBook(store).find_open(tx, wanted)
    completed = []
    for one in readings:
        try:
            completed.append(_complete(one, held, is_behind=one.refs[:1] and one.refs[0] in behind, now=now))
        except SameasError as refused:
            refusal = Refusal(refused.code, refused.detail)
            completed.append(replace(one, change=None, refusal=refusal))
    return Completed(completed, {ref: version.version_count for ref, version in held.items()})


def _complete(reading: Reading, held: _Held, *, is_behind: object, now: Instant) -> Reading:
    change = reading.change
    if isinstance(change, Rename):
        return _complete_rename(reading, change, held, is_behind=bool(is_behind), now=now)
    if not isinstance(change, Statement):
        return reading
    base = held[reading.refs[0]].attributes
    if is_behind or base is None:
        return replace(reading, change=None, refusal=BEHIND if is_behind else _LACKING)
    return replace(reading, change=None, commands=(_state(reading, _fill(change, base), now=now),))


def _complete_rename(
    reading: Reading, change: Rename, held: _Held, *, is_behind: bool, now: Instant
) -> Reading:
    source = reading.contract.name
    old, new = held[RecordRef(source, change.old_key)], held[RecordRef(source, change.new_key)]
    then = change.then
    if isinstance(then, Withdrawal):
        return _with(reading, [_end(reading, change, now=now), _state(reading, then, now=now)])
    if then is None:
        if old.version_count == 0:
            return replace(
                reading, change=None
            )  # the event under the new key tells all that there is to tell
        commands = [_end(reading, change, now=now, renamed_to=change.new_key)]
        if old.attributes is not None:
            before = None if change.version is None else change.version - 1
            stated = Statement(change.new_key, dict(old.attributes), before, committed_at=change.committed_at)
            commands.append(_state(reading, stated, now=now))
        return _with(reading, commands)
    if then.unavailable:
        base = new.attributes if _is_of_change(new, change) else old.attributes
        if is_behind or base is None:
            return replace(reading, change=None, refusal=BEHIND if is_behind else _LACKING)
        then = _fill(then, base)
    commands = [_state(reading, then, now=now)]
    if old.version_count or change.version is not None:
        commands.insert(0, _end(reading, change, now=now, renamed_to=change.new_key))
    return _with(reading, commands)


def _is_of_change(new: HeldVersion, change: Rename) -> bool:
    """Tell whether what is held under the new key is this change, or what stood in for it."""
    if new.attributes is None:
        return False
    return change.version is None or new.version in (change.version, change.version - 1)


def _end(reading: Reading, change: Rename, *, now: Instant, renamed_to: str | None = None) -> RecordCommand:
    gone = Withdrawal(change.old_key, change.version, None, change.committed_at)
    return replace(_state(reading, gone, now=now), renamed_to=renamed_to)


def _state(reading: Reading, said: Statement | Withdrawal, *, now: Instant) -> RecordCommand:
    return command_of(reading.contract, said, author=reading.author, now=now)


def _fill(said: Statement, base: Mapping[str, object]) -> Statement:
    attributes = fill_unavailable(said.attributes, said.unavailable, base)
    return replace(said, attributes=attributes, unavailable=frozenset())


def _with(reading: Reading, commands: Sequence[RecordCommand]) -> Reading:
    return replace(reading, change=None, commands=tuple(commands))
