"""When too many messages are stale."""

from __future__ import annotations

from streams.alarm import StaleAlarm
from streams.fate import Fate, Tally


def tally(applied: int, stale: int) -> Tally:
    return Tally({Fate.APPLIED: applied, Fate.STALE: stale})


def test_more_than_one_in_a_hundred_raises_the_alarm_with_the_share() -> None:
    alarm = StaleAlarm()

    assert alarm.note("crm", tally(198, 2), now_s=0) is None
    assert alarm.note("crm", tally(99, 1), now_s=1) is None
    share = alarm.note("crm", tally(99, 2), now_s=2)

    assert share is not None
    assert round(share, 4) == round(5 / 401, 4)


def test_the_alarm_is_not_repeated_for_five_minutes_and_then_is() -> None:
    alarm = StaleAlarm()

    raised = [alarm.note("crm", tally(50, 50), now_s=at) is not None for at in (0, 1, 299, 300)]

    assert raised == [True, False, False, True]


def test_what_was_stale_more_than_five_minutes_ago_does_not_count() -> None:
    alarm = StaleAlarm()
    alarm.note("crm", tally(0, 50), now_s=0)

    assert alarm.note("crm", tally(200, 0), now_s=300) is None


def test_a_stale_message_among_few_is_no_alarm() -> None:
    assert StaleAlarm().note("crm", tally(90, 9), now_s=0) is None


def test_sources_are_watched_apart() -> None:
    alarm = StaleAlarm()
    alarm.note("crm", tally(1_000, 0), now_s=0)

    assert alarm.note("erp", tally(98, 2), now_s=1) == 0.02
