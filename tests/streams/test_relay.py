"""P5 on Kafka: every change is told, in order, whatever ends a relay; a real broker and real processes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from deploy.local.children import find_free_port
from deploy.local.kafka import run_private_broker
from identity.model import Instant
from matching.errors import SameasError
from streams.errors import KafkaOptionRefused
from streams.kafka_admin import TopicState, apply_topics
from streams.kafka_options import KafkaAddress
from streams.relay import RelayStep
from streams.relay_place import RelayPlace
from streams.topics import TopicNames, plan_topics
from tests.promises.draw import command_from
from tests.promises.world import BEGIN, Judge, State, Unjudge, World, open_world
from tests.streams.relays import (
    PARTITIONS,
    CarelessRelay,
    Notes,
    build,
    check_told,
    create_topics,
    read_rejects,
    run_and_be_killed,
    tell_all,
)
from tests.streams.stream import Told
from tests.streams.taking import Taking

pytestmark = pytest.mark.slow

A, B, C = ("crm", "a|b"), ("crm", "ключ \U0001f600"), ("trusty", '["x","|"]')
ANN, BOB = {"email": ("ann",), "city": ("ulm",)}, {"email": ("bob",), "city": ("bonn",)}


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.service)])
def url(request: pytest.FixtureRequest) -> str | None:
    return None if request.param == "sqlite" else request.getfixturevalue("postgres_url")


@pytest.fixture
def world(url: str | None, tmp_path: Path) -> Iterator[World]:
    with open_world(url, tmp_path) as world:
        yield world


@pytest.fixture
def sqlite_world(tmp_path: Path) -> Iterator[World]:
    with open_world(None, tmp_path) as world:
        yield world


def tell_at_random(world: World, seed: int, count: int = 60) -> None:
    """Tell commands of every kind, one by one."""
    chance = random.Random(seed)
    for _ in range(count):
        world.tell(command_from(chance.randrange(10**6)))


def test_p5_folding_the_topics_gives_the_crosswalk_after_each_kind_of_change(
    world: World, kafka_bootstrap: str, kafka_prefix: str
) -> None:
    steps: list[tuple[State | Judge | Unjudge, set[str]]] = [
        (State(A, ANN, version=1), {"issued"}),
        (State(B, BOB, version=1, effective_at=BEGIN), {"issued"}),
        (Judge("same", (A,), (B,)), {"merged"}),
        (State(C, BOB, version=1), {"linked"}),
        (Unjudge(0), {"split"}),
        (State(A, None, version=2), {"withdrawn"}),
        (State(A, ANN, version=3), {"returned"}),
        (State(B, BOB | {"place": "x"}, version=0, effective_at=BEGIN - 10**9), {"backdated"}),
    ]
    cursor = None
    for command, expected in steps:
        world.tell(command)
        events, cursor = world.identity.changes(cursor, limit=100)
        assert {event.type.value for event in events} == expected

        notes = tell_all(world.identity, kafka_bootstrap, kafka_prefix)

        assert sum(notes.batches) == len(events)
        assert notes.failures == []
        assert check_told(world.identity, kafka_bootstrap, kafka_prefix).repeated_count == 0


@pytest.mark.parametrize("step", list(RelayStep))
def test_p5_a_relay_that_is_killed_at_any_step_loses_nothing_and_repeats_only_what_a_version_tells(
    step: RelayStep, url: str | None, world: World, tmp_path: Path, kafka_bootstrap: str, kafka_prefix: str
) -> None:
    create_topics(kafka_bootstrap, kafka_prefix)
    tell_at_random(world, seed=len(step), count=80)

    run_and_be_killed(url, tmp_path, kafka_bootstrap, kafka_prefix, step)
    tell_at_random(world, seed=99, count=20)
    tell_all(world.identity, kafka_bootstrap, kafka_prefix)

    told = check_told(world.identity, kafka_bootstrap, kafka_prefix)
    is_told_twice = step in (RelayStep.COMMITTED, RelayStep.SAVING)
    assert (told.repeated_count > 0) == is_told_twice


def test_p5_a_relay_that_moves_its_place_before_it_tells_is_found_out(
    sqlite_world: World, tmp_path: Path, kafka_bootstrap: str, kafka_prefix: str
) -> None:
    create_topics(kafka_bootstrap, kafka_prefix)
    tell_at_random(sqlite_world, seed=1)

    run_and_be_killed(None, tmp_path, kafka_bootstrap, kafka_prefix, RelayStep.PRODUCED, kind=CarelessRelay)
    tell_all(sqlite_world.identity, kafka_bootstrap, kafka_prefix)

    with pytest.raises(AssertionError, match="a version is missing"):
        check_told(sqlite_world.identity, kafka_bootstrap, kafka_prefix)


class WatchedPlace(RelayPlace):
    """A place that counts how often its relay asked whether it may lead again."""

    asked = 0

    def is_free(self, now: Instant) -> bool:
        self.asked += 1
        return super().is_free(now)


def test_of_two_relays_the_younger_leads_while_the_older_stands_by_until_it_leaves(
    world: World, kafka_bootstrap: str, kafka_prefix: str
) -> None:
    place = WatchedPlace(world.identity.store, holder="older", silent_us_max=10**9)
    tell_at_random(world, seed=2)
    running: list[Future[None]] = []

    def start_the_younger(step: RelayStep) -> None:
        if step is RelayStep.PRODUCED and not running:
            running.append(pool.submit(younger.run))
            while True not in younger_notes.leading:
                assert not running[0].done()

    def leave_once_the_older_has_asked_twice() -> None:
        if place.asked >= 2 or younger_notes.leading != [True]:
            younger.stop()

    older_notes = Notes(when_failed=lambda error: tell_at_random(world, seed=3, count=10))
    older = build(
        world.identity,
        kafka_bootstrap,
        kafka_prefix,
        notes=older_notes,
        reached=start_the_younger,
        batch_max=10,
        place=place,
    )
    older_notes.when_all_is_told = older.stop
    younger_notes = Notes(
        when_all_is_told=leave_once_the_older_has_asked_twice, when_failed=lambda error: younger.stop()
    )
    younger = build(world.identity, kafka_bootstrap, kafka_prefix, notes=younger_notes, batch_max=10)
    with ThreadPoolExecutor(1) as pool:
        older.run()
        running[0].result()

    assert older_notes.failures == ["kafka_fenced"]
    assert younger_notes.failures == []
    assert older_notes.leading == [True, False, True, False]
    assert younger_notes.leading == [True, False]
    check_told(world.identity, kafka_bootstrap, kafka_prefix)


@pytest.mark.service
def test_p5_a_broker_that_is_killed_within_a_transaction_is_waited_for(
    sqlite_world: World, tmp_path: Path, kafka_bootstrap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.kafka_transactions._PATIENCE_S", 0.5)
    tell_at_random(sqlite_world, seed=4)
    with run_private_broker(tmp_path / "kafka") as broker:
        create_topics(broker.bootstrap, "sameas")
        killed: list[RelayStep] = []
        started: list[str] = []

        def kill_once(step: RelayStep) -> None:
            if step is RelayStep.PRODUCED and not killed:
                broker.kill()
                killed.append(step)

        def start_again(error: SameasError) -> None:
            if killed and not started:
                started.append(error.code)
                broker.start()

        notes = Notes(when_failed=start_again)
        relay = build(sqlite_world.identity, broker.bootstrap, "sameas", notes=notes, reached=kill_once)
        notes.when_all_is_told = relay.stop
        relay.run()

        assert started == ["kafka_unreachable"]
        assert "kafka_fenced" not in notes.failures
        check_told(sqlite_world.identity, broker.bootstrap, "sameas")


def test_a_relay_without_a_broker_says_so_without_a_key_and_stops_when_it_is_told_to(
    sqlite_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.kafka_transactions._PATIENCE_S", 0.0)
    sqlite_world.tell(State(("crm", "canary"), ANN))
    notes, said = Notes(), list[str]()
    relay = build(sqlite_world.identity, f"127.0.0.1:{find_free_port()}", "sameas", notes=notes)

    def note(error: SameasError) -> None:
        said.append(error.detail)
        relay.stop()

    notes.when_failed = note
    relay.run()

    assert notes.failures == ["kafka_unreachable"]
    assert "SAMEAS_KAFKA_BOOTSTRAP" in said[0]
    assert "canary" not in said[0]


def test_an_option_that_librdkafka_does_not_take_ends_the_relay(sqlite_world: World) -> None:
    relay = build(sqlite_world.identity, "127.0.0.1:1", "sameas", notes=Notes(), options={"no.option": "1"})

    with pytest.raises(KafkaOptionRefused, match="SAMEAS_KAFKA_NO_OPTION"):
        relay.run()


def test_topics_of_a_source_that_appears_later_are_made_as_planned(
    sqlite_world: World, kafka_bootstrap: str, kafka_prefix: str
) -> None:
    sqlite_world.tell(State(A, ANN))
    tell_all(sqlite_world.identity, kafka_bootstrap, kafka_prefix)
    sqlite_world.tell(State(C, BOB))

    tell_all(sqlite_world.identity, kafka_bootstrap, kafka_prefix)

    plans = plan_topics(["crm", "trusty"], names=TopicNames(kafka_prefix), partitions=PARTITIONS)
    reports = apply_topics(KafkaAddress(kafka_bootstrap), plans)
    assert {report.state for report in reports} == {TopicState.THERE}


@pytest.mark.parametrize("step", [None, RelayStep.COMMITTED, RelayStep.SAVED])
def test_what_could_not_be_taken_is_told_once_and_after_a_crash_under_the_same_number(
    step: RelayStep | None, sqlite_world: World, tmp_path: Path, kafka_bootstrap: str, kafka_prefix: str
) -> None:
    create_topics(kafka_bootstrap, kafka_prefix)
    taking = Taking(sqlite_world.identity)
    refused = [Told(b"canary", b"no JSON %d" % number) for number in range(25)]
    taking.take(*refused, number=1)

    if step is not None:
        run_and_be_killed(None, tmp_path, kafka_bootstrap, kafka_prefix, step)
    for _ in range(2):
        tell_all(sqlite_world.identity, kafka_bootstrap, kafka_prefix)

    told = read_rejects(kafka_bootstrap, kafka_prefix, "crm")
    expected = [*range(25), *(range(20, 25) if step is RelayStep.COMMITTED else ())]
    assert [one["origin"]["place"] for one in told] == expected
    assert told[25:] == told[20 : len(told) - 5]
    assert "canary" not in str(told)
    assert taking.rejects.list_untold(limit=1) == []
