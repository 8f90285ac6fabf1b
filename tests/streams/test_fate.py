"""What became of a message, by what its commands were answered."""

from __future__ import annotations

import pytest

from identity.model import Cid, Outcome, RecordAnswer, RecordRef
from streams.fate import Fate, fate_of


def answered(outcome: Outcome) -> RecordAnswer:
    return RecordAnswer(RecordRef("crm", "1"), Cid("c"), outcome, 0)


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_outcome_is_one_fate(outcome: Outcome) -> None:
    expected = {
        Outcome.HELD: Fate.HELD,
        Outcome.STALE: Fate.STALE,
        Outcome.UNCHANGED: Fate.DUPLICATE,
    }.get(outcome, Fate.APPLIED)

    assert fate_of([answered(outcome)]) is expected


def test_of_several_commands_the_one_counts_that_did_most() -> None:
    assert fate_of([answered(Outcome.UNCHANGED), answered(Outcome.LINKED)]) is Fate.APPLIED
    assert fate_of([answered(Outcome.STALE), answered(Outcome.UNCHANGED)]) is Fate.STALE


def test_a_message_without_a_command_is_ignored() -> None:
    assert fate_of([]) is Fate.IGNORED
