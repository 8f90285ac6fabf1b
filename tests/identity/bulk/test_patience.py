"""A busy store is asked again, for some time."""

from __future__ import annotations

import pytest

from identity.bulk import patience
from identity.bulk.patience import LoadTakenOver, patiently
from identity.errors import StoreBusy


class Busy:
    def __init__(self, times: int, error: type[StoreBusy] = StoreBusy) -> None:
        self.left = times
        self.error = error

    def __call__(self) -> str:
        self.left -= 1
        if self.left >= 0:
            raise self.error("busy")
        return "done"


def test_a_call_that_found_the_store_busy_is_made_again() -> None:
    assert patiently(Busy(3)) == "done"


def test_a_store_that_stays_busy_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_PATIENCE_S", 0.0)

    with pytest.raises(StoreBusy):
        patiently(Busy(10**9))


def test_a_load_that_was_taken_over_does_not_go_on() -> None:
    call = Busy(1, LoadTakenOver)

    with pytest.raises(LoadTakenOver):
        patiently(call)
    assert call.left == 0
