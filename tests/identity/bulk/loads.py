"""Load statements into a small world in bulk, however few they are, and count the hard cases met.

Invariant: what is loaded is told to the world's books too, so that its oracle knows of it.
Elsewhere: the world and its books (`tests.promises.world`).
"""

from __future__ import annotations

import itertools
import os
import random
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from identity.bulk import foresee as foresee_room
from identity.bulk import joining, move, slices
from identity.bulk import load as load_room
from identity.bulk.foresee import Foreseen
from identity.bulk.joining import PartedJoin
from identity.bulk.load import load_records
from identity.bulk.new_records import NewRecords
from identity.bulk.preparing import StatedRow
from identity.bulk.request import LoadReport, LoadRequest
from identity.bulk.stored_side import StoredHolders
from identity.contract import SourceContract
from identity.model import Cid, Instant, Outcome
from tests.identity.bulk.plain_engine import PlainEngine
from tests.promises.small_model import NUMBERS
from tests.promises.world import ONE_EACH, TRUSTED, Clock, Command, Judge, State, Unjudge, World, command_of

__all__ = ["HARD_CASES", "Listed", "Loads", "draw_judge", "draw_state", "draw_states", "settle"]

HARD_CASES = (
    "a key crossed the limit by the load",
    "a key crossed the limit that stored records hold",
    "a component too large",
    "a single record too much is linked to",
    "a profile repeated",
    "a profile in two components",
    "a key repeated in the file",
    "new records joined with stored ones",
    "a group left to be resolved one by one",
    "customers split in a slice",
    "a CID taken back in a slice",
    "a stored component changed before its slice",
    "a component too large that touches stored ones",
    "a component left because of a live write",
    "a live write between slices",
    "settling was asked for while the load ran",
)

_NAMES = {"crm": 60, ONE_EACH: 20, TRUSTED: 12}
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Listed:
    """Statements by list, as if they were read from a file."""

    states: tuple[State, ...]

    def is_small(self) -> bool:
        return True

    def iter_chunks(self, contract: SourceContract, *, part: int, parts: int) -> Iterator[list[StatedRow]]:
        """Yield them seven a chunk."""
        assert parts == 1
        rows = [
            StatedRow(number, state.name[1], command_of(state)) for number, state in enumerate(self.states, 1)
        ]
        for start in range(0, len(rows), 7):
            yield rows[start : start + 7]


class Loads:
    """Loads with small slices and an engine that starts at once; notes what they met."""

    def __init__(self, patch: pytest.MonkeyPatch, *, slice_records: int = 1, plain: bool = True) -> None:
        self.met: Counter[str] = Counter()
        patch.setattr(slices, "_FIRST_SLICE", slice_records)
        patch.setattr(slices, "_SLICE_RECORDS_MIN", slice_records)
        patch.setattr(slices, "_SLICE_RECORDS_MAX", slice_records)
        patch.setattr(slices, "_PAUSE_SHARE", 0.0)
        if plain:
            patch.setattr("identity.bulk.foresee.DuckDbEngine", PlainEngine)
        foresee = foresee_room.foresee

        def note(new: NewRecords, stored: StoredHolders, **arguments: Any) -> Foreseen:
            foreseen = foresee(new, stored, **arguments)
            self._note(new, stored, foreseen)
            return foreseen

        patch.setattr(load_room, "foresee", note)
        self.before_lock: Callable[[], object] = lambda: None
        part_groups, find_unchanged = joining.part_groups, joining.find_unchanged

        def part_noted(*arguments: Any, **options: Any) -> tuple[list[PartedJoin], list[int]]:
            parted, left = part_groups(*arguments, **options)
            self.met["new records joined with stored ones"] += len(parted)
            self.met["a group left to be resolved one by one"] += bool(left)
            return parted, left

        def find_noted(tx: Any, joins: Sequence[PartedJoin]) -> list[PartedJoin]:
            unchanged = find_unchanged(tx, joins)
            self.met["a stored component changed before its slice"] += len(unchanged) < len(joins)
            return unchanged

        move_groups = move.Mover.write

        def move_noted(
            mover: move.Mover, tx: Any, joins: Sequence[PartedJoin], writer: Any
        ) -> dict[int, Outcome]:
            borne = tx.read_borne([rid for join in joins for rid in join.members])
            outcomes = move_groups(mover, tx, joins, writer)
            self.met["customers merged in a slice"] += Outcome.MERGED in outcomes.values()
            self.met["customers split in a slice"] += Outcome.SPLIT in outcomes.values()
            now = tx.read_cids([cid for cids in borne.values() for cid in cids])
            self.met["a CID taken back in a slice"] += any(row.status == "live" for row in now.values())
            return outcomes

        patch.setattr(move.Mover, "write", move_noted)
        patch.setattr(slices, "part_groups", part_noted)
        patch.setattr(slices, "find_unchanged", find_noted)
        write_slice = slices.SliceWriter._write_slice

        def write_slice_noted(writer: slices.SliceWriter, *ready: Any) -> Any:
            self.before_lock()
            return write_slice(writer, *ready)

        patch.setattr(slices.SliceWriter, "_write_slice", write_slice_noted)
        write = slices.SliceWriter.write

        def write_noted(writer: slices.SliceWriter, components: Any, **arguments: Any) -> Any:
            outcomes, left = write(writer, components, **arguments)
            self.met["a component left because of a live write"] += bool(left)
            return outcomes, left

        patch.setattr(slices.SliceWriter, "write", write_noted)

    def load(
        self,
        world: World,
        source: str,
        states: Sequence[State],
        *,
        between: Callable[[], object] = lambda: None,
        **options: Any,
    ) -> LoadReport:
        """Load statements of one source; `between` is called after each slice and each batch of the rest."""
        refused: set[int] = set()
        first = len(world.told)

        def progress(step: str, _done: int, _total: int | None) -> None:
            if step in ("match", "store", "resolve"):
                between()

        clock = Clock(1_700_000_500_000_000 + 10**9 * next(_numbers))
        number = next(_numbers)
        ids = itertools.count((os.getpid() * 1_000 + number) * 10**9)

        def new_cid(now: Instant) -> Cid:
            return Cid(str(uuid.UUID(int=((now // 1000) << 80) | (7 << 76) | (2 << 62) | next(ids))))

        request = LoadRequest(
            source,
            Listed(tuple(states)),
            f"load-{os.getpid()}-{number}",
            "test",
            processes=1,
            **{"bulk_records_min": 1, **options},
            on_error=lambda error: refused.add(error[0]),
            on_progress=progress,
        )
        report = load_records(world.identity, request, clock=clock, new_cid=new_cid)
        self.met["a key repeated in the file"] += len({state.name for state in states}) < len(states)
        self.note_books(world, [state for number, state in enumerate(states, 1) if number not in refused])
        assert report.rows == len(states)
        assert first <= len(world.told)
        return report

    def note_books(self, world: World, states: Sequence[State]) -> None:
        """Tell the books of a world what was loaded."""
        for state in states:
            world.told.setdefault(state.name, []).append(state)

    def missing(self) -> list[str]:
        """Return the hard cases that were not met."""
        return [case for case in HARD_CASES if not self.met[case]]

    def _note(self, new: NewRecords, stored: StoredHolders, foreseen: Foreseen) -> None:
        is_crossing = new.held_counts + stored.count(new.held_keys) > NUMBERS.holders_max
        self.met["a key crossed the limit by the load"] += bool(is_crossing.any())
        was_usable = np.isin(new.held_keys[is_crossing], stored.holders[0])
        self.met["a key crossed the limit that stored records hold"] += bool(was_usable.any())
        self.met["a component too large"] += any(one.level > 0 for one in foreseen.components)
        self.met["a single record too much is linked to"] += bool((foreseen.single_levels > 0).any())
        self.met["a profile repeated"] += new.profile_count < len(new.keys)
        places = [
            {node.pid for cluster in one.clusters for node in cluster} for one in foreseen.components
        ] + [{int(new.profile_of[at])} for at in foreseen.singles]
        self.met["a profile in two components"] += sum(map(len, places)) > len(set().union(*places))
        self.met["a component too large that touches stored ones"] += bool(len(foreseen.left))


def settle(world: World) -> None:
    """Settle all that is unsettled."""
    while world.identity.unsettled():
        world.identity.settle_some(limit=1000)


def draw_states(chance: random.Random, source: str, count: int) -> list[State]:
    """Draw statements of one source, each with a version of its own."""
    return [draw_state(chance, source) for _ in range(count)]


def draw_state(chance: random.Random, source: str) -> State:
    """Draw a statement or a withdrawal; its version tells which of two is the newer, whatever comes first."""
    name = (source, str(chance.randrange(_NAMES[source])))
    version = chance.randrange(2**40)
    if chance.random() < 0.12:
        return State(name, None, version=version)
    statement: dict[str, object] = {}
    if chance.random() < 0.85:
        # Some are held by many; most by few, who have several: long chains of records.
        emails = [min(chance.randrange(22), chance.randrange(22)) for _ in range(chance.choice((1, 2, 2, 3)))]
        statement["email"] = tuple(sorted({f"mail{number}" for number in emails}))
    if chance.random() < 0.3:
        statement["city"] = (chance.choice(("bonn", "ulm", "trier", "koeln", "jena", "gera", "suhl")),)
    if chance.random() < 0.2:
        statement["website"] = (chance.choice(("sun", "moon", "star")),)
    if chance.random() < 0.3:
        statement["place"] = chance.choice(("rome", "oslo", "paris"))
    if chance.random() < 0.1:
        statement["kind"] = chance.choice(("person", "organisation"))
    if chance.random() < 0.1:
        statement["loyalty"] = chance.choice(("AA1111", "BB2222"))
    same_as = None
    if source != TRUSTED and chance.random() < 0.04:
        same_as = ("crm", str(chance.randrange(_NAMES["crm"])))
    return State(name, statement, version=version, same_as=same_as)


def draw_judge(chance: random.Random) -> Command:
    """Draw a judgement or the withdrawal of one."""
    if chance.random() < 0.2:
        return Unjudge(chance.randrange(6))
    left, right = (("crm", str(chance.randrange(_NAMES["crm"]))) for _ in "lr")
    return Judge(chance.choice(("same", "different")), (left,), (right,))
