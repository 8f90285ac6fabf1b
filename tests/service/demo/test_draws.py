"""Drawing at random, the same for ever."""

from __future__ import annotations

from collections import Counter

from service.demo.draws import chance, roll, spread, zipf_weights


def test_the_same_salt_and_number_give_the_same_draws_for_ever() -> None:
    assert roll(b"1p", 7)[:4] == (30085, 61273, 57989, 56626)
    assert roll(b"1p", 7) != roll(b"1p", 8) != roll(b"2p", 8)


def test_draws_are_spread_evenly() -> None:
    draws = [draw for number in range(1_000) for draw in roll(b"x", number)]

    assert len(draws) == 32_000
    assert abs(sum(draw < chance(0.25) for draw in draws) / 32_000 - 0.25) < 0.01


def test_values_fill_places_by_their_weight_and_all_occur() -> None:
    places = Counter(spread("abc", [70, 20, 10]))

    assert sum(places.values()) == 65_536
    assert [round(places[value] / 65_536, 3) for value in "abc"] == [0.7, 0.2, 0.1]


def test_weights_fall_with_rank() -> None:
    weights = zipf_weights(100, offset=9, exponent=0.95)

    assert weights == sorted(weights, reverse=True)
    assert 4 < weights[0] / weights[-1] < 12
