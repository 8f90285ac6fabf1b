"""Take messages of records topics: one transaction stores what they did, what was refused, and where to go on.

The steps of one batch:
1. Read the messages under the contracts in force. Of each partition they are taken from its front on, up to the first
   one about a record that the batch holds already.
2. Complete changes that lack values from the versions that they land on.
3. Resolve the commands; in the same transaction check that contracts and versions are still those of steps 1 and 2,
   write the rejects, move the offsets on, and note which CIDs the rows bear already. A truncation comes alone, with
   transactions of its own before.

Invariant: all of that is stored, or nothing. Messages about one record are taken in their order; a message is passed
over only with its fate counted.
Elsewhere: reading (`streams.reading`), offsets (`streams.offsets`), rejects (`streams.refused`), threads and retries
(`streams.worker`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final

from identity.contract_book import ContractEntry
from identity.errors import InvariantBroken, RecordUnknown, StoreBusy
from identity.model import Instant, RecordAnswer, RecordRef
from identity.resolve import BATCH_RECORDS_MAX
from identity.service import Identity
from identity.store_sql.transaction import SqlTransaction
from matching.errors import Category, SameasError
from streams.completing import BEHIND, complete_readings
from streams.delivery import NO_NUMBER, Acknowledgement, Evidence
from streams.fate import Fate, Tally, fate_of
from streams.held import is_as_found
from streams.ledger import DeliveryLedger
from streams.model import Truncation
from streams.offsets import NOTHING_REACHED, Advance, OffsetBook, Partition, Reached
from streams.reading import CommandReader, Fetched, Reading, Refusal
from streams.refused import RejectBook
from streams.topics import TopicNames

__all__ = ["STEPS", "Slice", "Step", "Taken", "Taker"]

STEPS: Final = ("read", "written", "committed")
"""Where a test can end the process: before the transaction, at the end of it, after its commit."""

Step = Callable[[str], None]
"""Told each step of a batch by its name."""

_SAYS_WHAT_IS_SO: Final = frozenset({Fate.APPLIED, Fate.HELD, Fate.DUPLICATE})
_READ_MAX: Final = 20
"""How often a batch is read anew in a row before it is called busy."""


@dataclass(frozen=True, slots=True)
class Slice:
    """Messages of one partition in their order, without a gap, from the offset on that the store holds."""

    partition: Partition
    expected: int
    messages: Sequence[Fetched]
    taken_before: range = range(0)
    """Offsets that were taken before, and come again."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What was stored of a slice: how many of its messages were taken, and what became of them."""

    partition: Partition
    source: str
    message_count: int
    next_offset: int
    tally: Tally
    reached: Reached = NOTHING_REACHED


class _ReadAnew(Exception):
    """What the batch was read by is not in force any more; nothing was stored."""


class Taker:
    """Takes messages into one store."""

    def __init__(
        self, identity: Identity, topics: TopicNames, *, clock: Callable[[], Instant], step: Step
    ) -> None:
        self._identity = identity
        self._prefix = topics.records("")
        self._clock = clock
        self._step = step
        self._reader = CommandReader()
        self._rejects = RejectBook(identity.store)
        self._ledger = DeliveryLedger(identity)

    def take(self, slices: Sequence[Slice]) -> list[Taken]:
        """Take as many messages of the slices as one transaction can hold; at least one of the first slice.

        Raises:
            OffsetMoved: somebody else takes from one of the partitions.
            LockTableFull: give fewer messages.
            StoreBusy, StoreUnreachable, StoreFull, StoreMigrating: the same call can succeed later.
            InvariantBroken: going on would lose something.
        In each case nothing was stored.
        """
        for _ in range(_READ_MAX):
            try:
                return self._take(slices)
            except _ReadAnew:
                continue
        raise StoreBusy("Contracts or versions changed each time a batch was read; try again.")

    def _take(self, slices: Sequence[Slice]) -> list[Taken]:
        now = self._clock()
        contracts = self._identity.contracts.read_current()
        readings, relied_on = complete_readings(
            self._identity.store, list(self._read(slices, contracts, now=now)), now=now
        )
        for one in readings:
            if isinstance(one.change, Truncation):
                self._truncate(one, one.change, now=now)
        commands = [command for one in readings for command in one.commands]
        taken: list[Taken] = []

        def keep(tx: SqlTransaction, answers: Sequence[RecordAnswer | SameasError]) -> None:
            self._check_contracts(tx, readings, is_checked=bool(commands))
            if relied_on and not is_as_found(tx, relied_on):
                raise _ReadAnew
            fates, refused = _decide_fates(readings, answers)
            self._rejects.add(tx, refused, now=now)
            known = [one.known_at for one in answers if isinstance(one, RecordAnswer)]
            taken[:] = self._sum_up(readings, fates, now=max([now, *known]))
            expected = {one.partition: one.expected for one in slices}
            OffsetBook.advance(
                tx,
                [
                    Advance(one.partition, expected[one.partition], one.next_offset, one.tally, one.reached)
                    for one in taken
                ],
                now=now,
            )
            self._ledger.acknowledge_in(tx, list(_list_seen(readings, fates, now=now)))
            self._step("written")

        self._step("read")
        self._identity.resolve_together(commands, keep)
        self._step("committed")
        return taken

    # -- reading ------------------------------------------------------------------------------------------

    def _read(
        self, slices: Sequence[Slice], contracts: Mapping[str, ContractEntry], *, now: Instant
    ) -> Iterator[Reading]:
        """Read each slice up to its first message about a record that the batch holds already."""
        last: dict[RecordRef, Reading] = {}
        for one in slices:
            entry = contracts.get(self.source_of(one.partition.topic))
            if entry is None:
                raise InvariantBroken(f"Topic {one.partition.topic} belongs to no source.")
            author = f"topic:{one.partition.topic}"
            for message in one.messages:
                reading = self._reader.read(entry.contract, message, author=author, now=now)
                earlier = next((last[ref] for ref in reading.refs if ref in last), None)
                if isinstance(reading.change, Truncation) and last:
                    break  # it comes after them, and alone
                if earlier is not None:
                    if not _says_nothing_more(reading, earlier):
                        break
                    reading = Reading(message, entry.contract, author)
                last.update(dict.fromkeys(reading.refs, reading))
                if len(last) > BATCH_RECORDS_MAX:
                    return
                yield _without_repeat(reading) if message.offset in one.taken_before else reading
                if isinstance(reading.change, Truncation):
                    return

    def source_of(self, topic: str) -> str:
        """Return the source whose records the topic takes."""
        return topic.removeprefix(self._prefix)

    def _truncate(self, reading: Reading, change: Truncation, *, now: Instant) -> None:
        """Withdraw what is older than a truncation.

        That takes as many transactions as the source is large, so it comes before the one that moves the offset on: a
        crash in between does it again, which changes nothing.
        """
        at = change.committed_at
        self._identity.truncate_source(
            reading.contract.name,
            change.version,
            effective_at=None if at is None else min(at, now),
            author=reading.author,
        )

    # -- in the transaction -------------------------------------------------------------------------------

    def _check_contracts(self, tx: SqlTransaction, readings: Sequence[Reading], *, is_checked: bool) -> None:
        """Raise _ReadAnew unless the messages were read by the contracts in force.

        Args:
            is_checked: the commands were resolved under the contracts last recalled.
        """
        if is_checked:
            in_force = {
                name: entry.contract.version for name, entry in self._identity.contracts.recall().items()
            }
        else:
            in_force = {name: version for name, (version, _) in tx.read_contracts_in_force().items()}
        if any(in_force.get(one.contract.name) != one.contract.version for one in readings):
            raise _ReadAnew

    def _sum_up(self, readings: Sequence[Reading], fates: Sequence[Fate], *, now: Instant) -> list[Taken]:
        taken = []
        with_fate = zip(readings, fates, strict=True)
        for partition, group in groupby(with_fate, key=lambda pair: pair[0].fetched.partition):
            members = list(group)
            tally = Tally(fate for _, fate in members)
            next_offset = members[-1][0].fetched.offset + 1
            reached = _find_reached([reading for reading, _ in members], now=now)
            source = self.source_of(partition.topic)
            taken.append(Taken(partition, source, len(members), next_offset, tally, reached))
        return taken


def _find_reached(readings: Sequence[Reading], *, now: Instant) -> Reached:
    """Return how far these messages of one partition reach in the order of their source's versions.

    What states no time holds from when it is taken.
    """
    commands = [command for one in readings for command in one.commands]
    numbers = [command.version for command in commands if command.version is not None]
    numbers += [one.change.version for one in readings if isinstance(one.change, Truncation)]
    times = [now if command.effective_at is None else command.effective_at for command in commands]
    marks = [one.mark for one in readings if one.mark is not None and one.mark.version is not None]
    numbers += [mark.version for mark in marks if mark.version is not None]
    times += [mark.committed_at for mark in marks if mark.committed_at is not None]
    epoch = max(one.contract.epoch for one in readings)
    return Reached(epoch, max(numbers, default=NO_NUMBER), max(times, default=0))


def _list_seen(
    readings: Sequence[Reading], fates: Sequence[Fate], *, now: Instant
) -> Iterator[Acknowledgement]:
    """Yield which CIDs the rows of sources bear; what is stale says what was so before."""
    for one, fate in zip(readings, fates, strict=True):
        if one.seen is not None and not one.is_repeat and fate in _SAYS_WHAT_IS_SO:
            yield Acknowledgement(one.seen.ref, one.seen.cid, Evidence.CID_SEEN, now)


def _says_nothing_more(reading: Reading, earlier: Reading) -> bool:
    """Tell whether this is the tombstone of the deletion with a number that the batch holds already."""
    return reading.is_tombstone and any(
        command.is_withdrawal and command.version is not None and command.ref in reading.refs
        for command in earlier.commands
    )


def _without_repeat(reading: Reading) -> Reading:
    """Return the reading of a message that comes again, without its command if nothing but arrival orders it.

    A version or a time tells the store what is old; without them what comes again would pass for news.
    """
    if isinstance(reading.change, Truncation):
        return replace(reading, is_repeat=True)
    if not any(command.version is None and command.effective_at is None for command in reading.commands):
        return reading
    return replace(reading, commands=(), is_repeat=True)


def _decide_fates(
    readings: Sequence[Reading], answers: Sequence[RecordAnswer | SameasError]
) -> tuple[list[Fate], list[tuple[Reading, Refusal]]]:
    """Return the fate of each message, and those refused with their reasons."""
    fates: list[Fate] = []
    refused: list[tuple[Reading, Refusal]] = []
    in_order = iter(answers)
    for reading in readings:
        own = [next(in_order) for _ in reading.commands]
        refusal = reading.refusal or _refusal_of(reading, own)
        if refusal is not None:
            refused.append((reading, refusal))
            fates.append(Fate.WAITING if refusal is BEHIND else Fate.REJECTED)
        elif reading.is_repeat:
            fates.append(Fate.DUPLICATE)
        elif isinstance(reading.change, Truncation):
            fates.append(Fate.APPLIED)
        else:
            fates.append(fate_of([answer for answer in own if isinstance(answer, RecordAnswer)]))
    return fates, refused


def _refusal_of(reading: Reading, answers: Sequence[RecordAnswer | SameasError]) -> Refusal | None:
    """Return why the message's commands were refused, None if they were not; raises what refuses nothing."""
    for answer in answers:
        if isinstance(answer, SameasError):
            if answer.retryable or answer.category is Category.FAULT:
                raise answer
            if not (reading.is_tombstone and isinstance(answer, RecordUnknown)):
                return Refusal(answer.code, answer.detail)
    return None
