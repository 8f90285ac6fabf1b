"""Pauses grow over days and are spread; a receiver is dead when it says so, or takes nothing for days."""

from __future__ import annotations

from itertools import pairwise

from streams.webhook_schedule import is_dead, pause_us

DAY = 86_400_000_000


def test_pauses_grow_to_a_day_and_reach_over_days() -> None:
    pauses = [pause_us(count, chance=0) for count in range(1, 15)]

    assert pauses[0] == 5_000_000
    assert all(one <= other for one, other in pairwise(pauses))
    assert pauses[-1] == DAY
    assert sum(pauses[:10]) > 2 * DAY


def test_chance_spreads_them_by_up_to_a_fifth() -> None:
    assert pause_us(1, chance=0.5) == 5_500_000
    assert pause_us(1, chance=0.999) < 6_000_000


def test_a_receiver_may_ask_for_longer_and_not_for_shorter() -> None:
    assert pause_us(1, chance=0, retry_after_s=100) == 100_000_000
    assert pause_us(3, chance=0, retry_after_s=1) == 300_000_000


def test_gone_is_dead_at_once_and_silence_after_days() -> None:
    assert is_dead(None, status=410, now=0, days_max=5)
    assert is_dead(0, status=500, now=5 * DAY, days_max=5)
    assert not is_dead(0, status=500, now=5 * DAY - 1, days_max=5)
    assert not is_dead(None, status=500, now=5 * DAY, days_max=5)
