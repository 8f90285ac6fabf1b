"""What a message says, as the body that the record route takes."""

from __future__ import annotations

import dataclasses

import pytest

from identity.contract import read_contract
from identity.model import Cause, CauseKind
from identity.statement import read_row
from streams.model import Statement, Withdrawal

NOW = 1_795_529_267_000_000
CAUSE = Cause(CauseKind.RECORD, "")
CRM = read_contract("crm", {"domain": "sales"}, version=1)


@pytest.mark.parametrize("said", [Statement("7", {"given_name": "Ada"}, 5), Withdrawal("7", 5)])
def test_a_change_without_a_time_of_its_own_holds_from_its_commit(said: Statement | Withdrawal) -> None:
    committed = dataclasses.replace(said, committed_at=NOW - 1_000)

    command = read_row(CRM, said.key, committed.to_body(now=NOW), author="x", now=NOW, cause=CAUSE)

    assert command.effective_at == NOW - 1_000
    assert command.version == 5


def test_a_commit_ahead_of_our_clock_is_now_and_never_refused() -> None:
    ahead = Statement("7", {}, 5, committed_at=NOW + 3_600_000_000)

    command = read_row(CRM, "7", ahead.to_body(now=NOW), author="x", now=NOW, cause=CAUSE)

    assert command.effective_at == NOW


def test_a_time_that_the_source_states_beats_its_commit() -> None:
    stated = Statement("7", {}, 5, "2026-01-02T03:04:05Z", NOW)

    assert stated.to_body(now=NOW)["effective_at"] == "2026-01-02T03:04:05Z"


def test_without_either_there_is_no_time() -> None:
    assert Statement("7", {}).to_body(now=NOW) == {"attributes": {}}
    assert Withdrawal("7").to_body(now=NOW) == {"withdrawn": True}
