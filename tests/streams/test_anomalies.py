"""The checker of runs finds every anomaly when it is planted, and nothing in a sound history."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.streams.anomalies import (
    ANOMALIES,
    History,
    Polled,
    Sent,
    StoredKey,
    count_repeats,
    find_anomalies,
)

IN, OUT = ("records", 0), ("crosswalk", 0)


def told(offset: int, key: str, version: int, *, batch: int = 0) -> Polled:
    state = (f"cid-{key}-{version}", "live", version)
    return Polled(OUT, offset, key, version, f"{key} {version}".encode(), state, batch)


LOG = [told(0, "a", 1), told(1, "b", 1), told(2, "a", 2), told(4, "a", 2), told(5, "b", 2)]
SOUND = History(
    sent=[Sent(IN, 0, "a", 1), Sent(IN, 1, "b", 2), Sent(IN, 2, "a", 3), Sent(IN, 3, "b", 4)],
    consumed={IN: (4, 4, 4)},
    stored={
        "a": StoredKey({1: 1, 3: 1}, 3, ("cid-a-2", "live", 2)),
        "b": StoredKey({2: 1, 4: 1}, 4, ("cid-b-2", "live", 2)),
    },
    expected_versions={"a": 2, "b": 2},
    outbox={(one.key, one.version): one.state for one in LOG},
    polls=[[told(one.offset, one.key, one.version, batch=one.offset // 3) for one in LOG]],
    log=LOG,
)


def read(*messages: Polled) -> History:
    return replace(SOUND, polls=[messages])


PLANTED: dict[str, History] = {
    "lost-write": replace(SOUND, consumed={IN: (3, 3, 3)}),
    "duplicate": replace(SOUND, consumed={IN: (4, 5, 5)}),
    "write-reordered": replace(SOUND, stored={**SOUND.stored, "b": SOUND.stored["b"]._replace(newest=2)}),
    "inconsistent-offsets": read(LOG[0]._replace(content=b"something else")),
    "G1a": read(told(0, "ghost", 1)),
    "precommitted-read": replace(SOUND, polled_uncommitted=[LOG[0]]),
    "unseen": replace(SOUND, outbox={**SOUND.outbox, ("b", 3): SOUND.outbox["b", 2]}),
    "poll-skip": read(LOG[0], LOG[2]._replace(batch=1)),
    "int-poll-skip": read(LOG[0], LOG[2]),
    "nonmonotonic-poll": read(LOG[1], LOG[0]._replace(batch=1)),
    "int-nonmonotonic-poll": read(LOG[1], LOG[0]),
    "nonmonotonic-send": replace(SOUND, log=[*LOG[:4], told(6, "a", 1), LOG[4]._replace(offset=7)], polls=[]),
    "int-nonmonotonic-send": replace(SOUND, log=[LOG[1]._replace(offset=3), *LOG[:1], *LOG[2:]], polls=[]),
    "fold": replace(SOUND, stored={**SOUND.stored, "a": SOUND.stored["a"]._replace(row=("x", "live", 2))}),
}


def test_a_sound_history_has_none_and_what_a_relay_told_again_is_counted() -> None:
    assert find_anomalies(SOUND) == {}
    assert count_repeats(LOG) == 1


@pytest.mark.parametrize("name", ANOMALIES)
def test_each_anomaly_is_found_when_it_is_planted(name: str) -> None:
    assert name in find_anomalies(PLANTED[name])


@pytest.mark.parametrize(
    ("history", "name"),
    [
        (replace(SOUND, consumed={IN: (4, 3, 3)}), "lost-write"),
        (replace(SOUND, consumed={IN: (4, 4, 3)}), "lost-write"),
        (replace(SOUND, consumed={}), "lost-write"),
        (replace(SOUND, expected_versions={"a": 3, "b": 2}), "lost-write"),
        (replace(SOUND, expected_versions={"a": 1, "b": 2}), "duplicate"),
        (replace(SOUND, stored={"a": SOUND.stored["a"]}), "lost-write"),
        (
            replace(SOUND, stored={**SOUND.stored, "a": SOUND.stored["a"]._replace(versions={1: 2})}),
            "duplicate",
        ),
        (replace(SOUND, log=[*LOG, told(6, "b", 4)], polls=[]), "lost-write"),
        (
            replace(SOUND, log=[*LOG, LOG[4]._replace(offset=6, content=b"x")], polls=[]),
            "inconsistent-offsets",
        ),
        (
            replace(SOUND, log=[*LOG, LOG[4]._replace(offset=6, place=("crosswalk", 1))], polls=[]),
            "nonmonotonic-send",
        ),
        (replace(SOUND, sent=[*SOUND.sent, SOUND.sent[0]]), "inconsistent-offsets"),
        (replace(SOUND, log=LOG[:4], polls=[]), "fold"),
    ],
)
def test_each_way_of_going_wrong_is_called_by_its_name(history: History, name: str) -> None:
    assert name in find_anomalies(history)
