"""Two clocks of a key: what opens, replaces and moves rows, and what never changes (P7)."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity.errors import InvariantBroken
from identity.history import (
    HistoryEdit,
    HistoryRow,
    KeyChange,
    OlderVersion,
    OtherCause,
    OwnVersion,
    edit_history,
)
from identity.model import FOREVER, Cid, Instant, KeyStatus

X, Y, Z = Cid("x"), Cid("y"), Cid("z")
LIVE, WITHDRAWN = KeyStatus.LIVE, KeyStatus.WITHDRAWN


def row_at(rows: Iterable[HistoryRow], valid_at: Instant, known_at: Instant) -> HistoryRow | None:
    """Return the one row that covers the instant on both clocks."""
    found = [
        row
        for row in rows
        if row.valid_from <= valid_at < row.valid_to and row.system_from <= known_at < row.system_to
    ]
    assert len(found) <= 1
    return found[0] if found else None


class History:
    """All rows of one key, open and closed, as a store would keep them."""

    def __init__(self) -> None:
        self.rows: list[HistoryRow] = []
        self.last: Instant | None = None

    def open_rows(self) -> list[HistoryRow]:
        return sorted(row for row in self.rows if row.system_to == FOREVER)

    def change(self, change: KeyChange, clock: Instant) -> HistoryEdit:
        # The tick of a transaction: it grows, also where the clock stands still or steps back.
        system_at = clock if self.last is None else max(clock, self.last + 1)
        edit = edit_history(self.open_rows(), change, system_at)
        for row in edit.close:
            self.rows[self.rows.index(row)] = row._replace(system_to=system_at)
        self.rows.extend(edit.open)
        if edit.changed:
            self.last = system_at
        return edit

    def spans(self) -> list[tuple[Instant, Instant, Cid | None]]:
        return [(row.valid_from, row.valid_to, row.cid) for row in self.open_rows()]


def history_of(*changes: KeyChange) -> History:
    history = History()
    for clock, change in enumerate(changes, start=1_000):
        history.change(change, clock)
    return history


def test_the_first_version_opens_at_its_effective_time() -> None:
    edit = edit_history([], OwnVersion(X, LIVE, 10), 1_000)

    assert edit == HistoryEdit((), (HistoryRow(10, FOREVER, 1_000, FOREVER, X, LIVE),), 10)
    assert edit.changed


def test_the_first_version_without_an_effective_time_opens_on_arrival() -> None:
    assert edit_history([], OwnVersion(X, LIVE), 1_000).valid_from == 1_000


def test_an_own_version_that_changes_the_cid_opens_a_row_at_its_effective_time() -> None:
    history = history_of(OwnVersion(X, LIVE, 10), OwnVersion(Y, LIVE, 50))

    assert history.spans() == [(10, 50, X), (50, FOREVER, Y)]


def test_an_own_version_that_changes_neither_cid_nor_status_says_nothing() -> None:
    history = history_of(OwnVersion(X, LIVE, 10))

    assert history.change(OwnVersion(X, LIVE, 50), 1_001) == HistoryEdit((), (), 10)


def test_a_withdrawal_opens_a_row_of_its_own() -> None:
    history = history_of(OwnVersion(X, LIVE, 10), OwnVersion(None, WITHDRAWN, 50))

    found = row_at(history.rows, 50, 1_001)
    assert found is not None
    assert (found.cid, found.status) == (None, WITHDRAWN)


def test_another_cause_replaces_the_row_in_force_and_keeps_its_valid_from() -> None:
    history = history_of(OwnVersion(X, LIVE, 10), OwnVersion(Y, LIVE, 50))

    edit = history.change(OtherCause(Z, LIVE), 2_000)

    assert history.spans() == [(10, 50, X), (50, FOREVER, Z)]
    assert edit.valid_from == 50
    assert edit.backdated_to is None


def test_another_cause_that_changes_nothing_says_nothing() -> None:
    history = history_of(OwnVersion(X, LIVE, 10))

    assert not history.change(OtherCause(X, LIVE), 2_000).changed


def test_another_cause_on_an_empty_history_opens_on_arrival() -> None:
    assert history_of(OtherCause(X, LIVE)).spans() == [(1_000, FOREVER, X)]


def test_an_own_version_not_later_than_the_row_in_force_replaces_it() -> None:
    history = history_of(OwnVersion(X, LIVE, 10), OwnVersion(Y, LIVE, 50), OwnVersion(Z, LIVE, 20))

    assert history.spans() == [(10, 50, X), (50, FOREVER, Z)]


def test_an_own_version_before_the_first_row_replaces_the_one_in_force_and_moves_the_first_back() -> None:
    history = history_of(OwnVersion(X, LIVE, 10), OwnVersion(Y, LIVE, 50))

    edit = history.change(OwnVersion(Z, LIVE, 5), 2_000)

    assert history.spans() == [(5, 50, X), (50, FOREVER, Z)]
    assert (edit.valid_from, edit.backdated_to) == (50, 5)


def test_an_own_version_before_the_only_row_replaces_it_from_there_on() -> None:
    history = history_of(OwnVersion(X, LIVE, 10))

    edit = history.change(OwnVersion(Y, LIVE, 5), 2_000)

    assert history.spans() == [(5, FOREVER, Y)]
    assert (edit.valid_from, edit.backdated_to) == (5, None)


def test_an_unchanged_own_version_before_the_first_row_moves_it_back() -> None:
    history = history_of(OwnVersion(X, LIVE, 10))

    edit = history.change(OwnVersion(X, LIVE, 5), 2_000)

    assert history.spans() == [(5, FOREVER, X)]
    assert (edit.valid_from, edit.backdated_to) == (5, 5)


def test_a_late_older_version_moves_the_first_valid_from_back_and_nothing_else() -> None:
    history = history_of(OwnVersion(X, LIVE, 10), OwnVersion(Y, LIVE, 50))

    edit = history.change(OlderVersion(5), 2_000)

    assert history.spans() == [(5, 50, X), (50, FOREVER, Y)]
    assert (edit.valid_from, edit.backdated_to) == (50, 5)


@pytest.mark.parametrize("effective_at", [10, 30, 99, None])
def test_a_late_older_version_that_is_not_before_the_first_row_says_nothing(
    effective_at: Instant | None,
) -> None:
    history = history_of(OwnVersion(X, LIVE, 10), OwnVersion(Y, LIVE, 50))

    assert not history.change(OlderVersion(effective_at), 2_000).changed


def test_a_late_older_version_of_a_key_never_accepted_says_nothing() -> None:
    assert not edit_history([], OlderVersion(5), 1_000).changed


def test_before_the_first_valid_from_a_key_is_unknown() -> None:
    history = history_of(OwnVersion(X, LIVE, 10))

    assert row_at(history.rows, 9, 1_000) is None
    assert row_at(history.rows, 10, 999) is None


def test_what_was_known_before_a_backdating_stays_unknown_then() -> None:
    history = history_of(OwnVersion(X, LIVE, 10), OlderVersion(5))

    assert row_at(history.rows, 7, 1_000) is None
    assert row_at(history.rows, 7, 1_001) is not None


def test_a_change_that_is_not_later_than_what_it_replaces_breaks_an_invariant() -> None:
    rows = [HistoryRow(10, FOREVER, 1_000, FOREVER, X, LIVE)]

    with pytest.raises(InvariantBroken, match="1000"):
        edit_history(rows, OtherCause(Y, LIVE), 1_000)


instants = st.integers(0, 60)
states = st.sampled_from([(X, LIVE), (Y, LIVE), (Z, LIVE), (None, WITHDRAWN)])
key_changes = st.one_of(
    st.builds(lambda state, at: OwnVersion(state[0], state[1], at), states, st.none() | instants),
    st.builds(lambda state: OtherCause(state[0], state[1]), states),
    st.builds(OlderVersion, st.none() | instants),
)
# The clock runs within the valid times, stands still and steps back.
Steps = list[tuple[KeyChange, Instant]]
steps = st.lists(st.tuples(key_changes, st.integers(0, 40)), min_size=1, max_size=12)


@given(steps)
def test_p7_each_valid_and_system_instant_has_exactly_one_row_from_the_first_valid_from_on(
    steps: Steps,
) -> None:
    history = History()
    for change, clock in steps:
        history.change(change, clock)

    # Rows begin and end at these instants only, so what holds at each of them holds between them too.
    known_ats = {row.system_from for row in history.rows}
    valid_ats = {at for row in history.rows for at in (row.valid_from - 1, row.valid_from)}
    for known_at in known_ats:
        known = [row for row in history.rows if row.system_from <= known_at < row.system_to]
        first = min((row.valid_from for row in known), default=FOREVER)
        for valid_at in valid_ats:
            covering = [row for row in known if row.valid_from <= valid_at < row.valid_to]
            assert len(covering) == (1 if valid_at >= first else 0)
    open_rows = history.open_rows()
    assert all(row.valid_from < row.valid_to and row.system_from < row.system_to for row in history.rows)
    assert not open_rows or open_rows[-1].valid_to == FOREVER


@pytest.mark.slow
@given(steps)
def test_p7_an_answer_for_a_past_known_at_never_changes(steps: Steps) -> None:
    history = History()
    said: dict[tuple[Instant, Instant], tuple[Cid | None, KeyStatus] | None] = {}
    for change, clock in steps:
        history.change(change, clock)
        known_at = history.last or 0
        for valid_at in range(0, 70, 11):
            found = row_at(history.rows, valid_at, known_at)
            said[valid_at, known_at] = None if found is None else (found.cid, found.status)

        for (valid_at, past), answer in said.items():
            again = row_at(history.rows, valid_at, past)
            assert (None if again is None else (again.cid, again.status)) == answer


@given(steps)
def test_p7_the_row_in_force_says_what_the_last_change_of_cid_or_status_said(steps: Steps) -> None:
    history = History()
    state: tuple[Cid | None, KeyStatus] | None = None
    for change, clock in steps:
        edit = history.change(change, clock)
        if not isinstance(change, OlderVersion):
            state = (change.cid, change.status)
        if state is not None:
            in_force = history.open_rows()[-1]
            assert (in_force.cid, in_force.status) == state
            assert edit.valid_from == in_force.valid_from


@given(steps)
def test_p5_the_told_changes_of_a_key_rebuild_its_open_rows(steps: Steps) -> None:
    history = History()
    rebuilt: list[tuple[Instant, Cid | None, KeyStatus]] = []
    for change, clock in steps:
        before = history.open_rows()
        edit = history.change(change, clock)
        after = history.open_rows()
        if edit.backdated_to is not None:
            rebuilt[0] = (edit.backdated_to, *rebuilt[0][1:])
        if after and (not before or before[-1][4:] != after[-1][4:]):
            if rebuilt and edit.valid_from <= rebuilt[-1][0]:
                rebuilt.pop()
            rebuilt.append((edit.valid_from, after[-1].cid, after[-1].status))

        assert rebuilt == [(row.valid_from, row.cid, row.status) for row in after]
