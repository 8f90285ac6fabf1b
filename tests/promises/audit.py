"""Read a whole store, and assert what must hold of any store at any time: P1, P2, P5, P7.

Written from the design with plain queries and plain Python.
"""

from __future__ import annotations

import json
from collections import defaultdict
from itertools import pairwise
from typing import NamedTuple

from sqlalchemy import text

from identity.model import FOREVER, Instant
from identity.service import Identity

__all__ = ["assert_sound", "cid_states", "history_rows"]


class _HistoryRow(NamedTuple):
    rid: int
    system_from: Instant
    valid_from: Instant
    valid_to: Instant
    system_to: Instant
    cid: str | None
    status: str


class _EventRow(NamedTuple):
    known_at: Instant
    seq: int
    type: str
    rid: int
    cid: str | None
    previous_cid: str | None
    version: int
    valid_from: Instant


class _RecordRow(NamedTuple):
    rid: int
    cid: str | None
    status: str
    key_version: int
    first_valid_from: Instant
    valid_from: Instant
    pid: int | None


def assert_sound(identity: Identity) -> None:
    """Assert everything that this room knows of."""
    with identity.store.read() as connection:

        def query(sql: str) -> list[tuple]:  # type: ignore[type-arg]
            return [tuple(row) for row in connection.execute(text(sql))]

        records = {
            row.rid: row
            for row in (
                _RecordRow(*one)
                for one in query(
                    "SELECT rid, cid, status, key_version, first_valid_from, valid_from, pid FROM record"
                )
            )
        }
        history = history_rows(query)
        states = cid_states(query)
        events = [
            _EventRow(*one)
            for one in query(
                "SELECT known_at, seq, type, rid, cid, previous_cid, version, valid_from FROM event "
                "ORDER BY rid, version"
            )
        ]
        pids = {row[0] for row in query("SELECT pid FROM profile")}
        holders = {row[0] for row in query("SELECT DISTINCT pid FROM blocking_key")}
        versions = query("SELECT rid, count(*) FROM record_version GROUP BY rid, superseded_at "
                         f"HAVING superseded_at = {FOREVER}")  # fmt: skip
    _assert_owners(records, states)
    _assert_successors(states)
    _assert_two_clocks(records, history)
    _assert_events(records, history, events)
    assert pids == {row.pid for row in records.values() if row.pid is not None}
    assert holders <= pids
    assert sorted(versions) == [(rid, 1) for rid in sorted(records)]


def history_rows(query) -> dict[int, list[_HistoryRow]]:  # type: ignore[no-untyped-def]
    """Return all history rows by rid."""
    history: dict[int, list[_HistoryRow]] = defaultdict(list)
    for one in query(
        "SELECT rid, system_from, valid_from, valid_to, system_to, cid, status FROM crosswalk_history"
    ):
        row = _HistoryRow(*one)
        history[row.rid].append(row)
    return history


def cid_states(query) -> dict[str, list[tuple[Instant, Instant, str, list[str]]]]:  # type: ignore[no-untyped-def]
    """Return (system_from, system_to, status, successors) of every CID, in order."""
    states: dict[str, list[tuple[Instant, Instant, str, list[str]]]] = defaultdict(list)
    for cid, system_from, system_to, status, successors in query(
        "SELECT cid, system_from, system_to, status, successors FROM cid_state ORDER BY cid, system_from"
    ):
        states[cid].append((system_from, system_to, status, json.loads(successors) if successors else []))
    return states


def _assert_owners(records, states) -> None:  # type: ignore[no-untyped-def]
    """P1: a live record has exactly one CID, which is live; a live CID has a record."""
    live = {cid for cid, rows in states.items() if rows[-1][2] == "live"}
    assert {row.cid for row in records.values() if row.status == "live"} == live
    assert all(row.cid is not None for row in records.values() if row.status == "live")
    assert all((row.status == "live") == (row.pid is not None) for row in records.values())


def _assert_successors(states) -> None:  # type: ignore[no-untyped-def]
    """P2: a CID resolves at every instant since it was issued: to itself, to live successors, to a tombstone."""
    for rows in states.values():
        assert rows[-1][1] == FOREVER
        assert rows[0][2] == "live"
        for row, following in pairwise(rows):
            assert row[1] == following[0]
            assert row[0] < row[1]
        for _, _, status, successors in rows:
            assert bool(successors) == (status in ("merged", "split"))
            assert len(set(successors)) == len(successors)
            assert all(successor in states for successor in successors)
            assert len(successors) == 1 if status == "merged" else len(successors) != 1
    for cid in states:
        waiting, seen = [cid], set()
        while waiting:
            at = waiting.pop()
            seen.add(at)
            waiting.extend(set(states[at][-1][3]) - seen)
        ends = [one for one in seen if not states[one][-1][3]]
        assert ends, f"{cid} leads nowhere"


def _assert_two_clocks(records, history) -> None:  # type: ignore[no-untyped-def]
    """P7: at each (valid, system) instant from the first `valid_from` said on, exactly one row of a key holds."""
    assert set(history) == set(records)
    for rid, rows in history.items():
        assert len({(row.system_from, row.valid_from) for row in rows}) == len(rows)
        instants = sorted({row.system_from for row in rows} | {row.system_to for row in rows})
        for at in instants[:-1]:
            said = sorted(
                (row for row in rows if row.system_from <= at < row.system_to), key=lambda row: row.valid_from
            )
            assert said, "a gap on the system clock"
            assert said[-1].valid_to == FOREVER
            assert all(row.valid_from < row.valid_to for row in said)
            for row, following in pairwise(said):
                assert row.valid_to == following.valid_from, "a gap or an overlap on the source's clock"
        said = [row for row in rows if row.system_to == FOREVER]
        first, last = min(said, key=lambda row: row.valid_from), max(said, key=lambda row: row.valid_from)
        record = records[rid]
        assert (record.cid, record.status) == (last.cid, last.status)
        assert (record.first_valid_from, record.valid_from) == (first.valid_from, last.valid_from)


def _assert_events(records, history, events) -> None:  # type: ignore[no-untyped-def]
    """P5: folding the events of each key by version gives its row in the crosswalk, and its history."""
    folded: dict[int, list[_EventRow]] = defaultdict(list)
    for event in events:
        folded[event.rid].append(event)
    assert set(folded) == set(records)
    assert len({(event.known_at, event.seq) for event in events}) == len(events)
    for rid, told in folded.items():
        record = records[rid]
        assert [event.version for event in told] == list(range(1, record.key_version + 1))
        places = [(event.known_at, event.seq) for event in told]
        assert places == sorted(places), "the events of a key arrive in order"
        cid: str | None = None
        status, first, valid_from = "unknown", FOREVER, 0
        changes: list[tuple[Instant, str | None, str]] = []
        for event in told:
            assert event.previous_cid == cid
            is_first_row = valid_from == first
            first = min(first, event.valid_from)
            if event.type == "backdated":
                assert event.cid == cid
                valid_from = first if is_first_row else valid_from
                continue
            before = (cid, status)
            cid = event.cid
            status = event.type if event.type in ("withdrawn", "renamed") else "live"
            assert (cid, status) != before, "an event that tells nothing"
            valid_from = event.valid_from
            changes.append((event.known_at, cid, status))
        assert (cid, status) == (record.cid, record.status)
        assert first == record.first_valid_from
        assert valid_from == record.valid_from
        in_force = sorted(
            (row.system_from, row.cid, row.status) for row in history[rid] if row.valid_to == FOREVER
        )
        said: list[tuple[Instant, str | None, str]] = []
        for row in in_force:
            if not said or said[-1][1:] != row[1:]:
                said.append(row)
        assert said == changes, "history and events tell different stories"
