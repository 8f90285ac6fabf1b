"""P3: a load that puts a scoring model of its own gives what one by one under that model gives."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import orjson
import pytest

from identity.bulk import load as load_room
from identity.bulk import tell_apart
from identity.bulk.new_records import NewRecords
from identity.errors import InvariantBroken
from identity.scoring_models import store_model
from identity.store_sql.migrate import migrate_store
from identity.store_sql.opening import open_store, store_url
from matching.scoring_model import ScoringModel
from tests.identity.bulk.loads import Loads, draw_states, settle
from tests.identity.stores import STORE_KEY, tell
from tests.promises.audit import assert_sound
from tests.promises.small_model import small_model, small_model_but, strict_model
from tests.promises.world import ONE_EACH, State, World, command_of, make_identity, open_world

PEOPLE = [
    State(("crm", str(at)), {"email": (f"mail{at // 2}",), "place": ("rome", "oslo")[at % 2]}, version=1)
    for at in range(6)
]
PAIRS = {frozenset({("crm", str(at)), ("crm", str(at + 1))}) for at in (0, 2, 4)}
APART = {frozenset({state.name}) for state in PEOPLE}


@pytest.fixture
def patch() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.service)])
def url(request: pytest.FixtureRequest) -> str | None:
    return request.getfixturevalue("postgres_url") if request.param == "postgres" else None


@pytest.fixture
def world(url: str | None, tmp_path: Path) -> Iterator[World]:
    with open_world(url, tmp_path / "world") as world:
        yield world


def place_model(**shares: float) -> ScoringModel:
    """Return the small model with one more comparison: who shares a rare place weighs more than who shares a common one."""
    document: dict[str, Any] = orjson.loads(small_model().document)
    comparison = {
        "name": "place",
        "columns": ["birth_place"],
        "levels": [
            {
                "label": "same",
                "when": {"measure": "same", "column": "birth_place"},
                "m": 0.5,
                "u": 0.5,
                "terms": {"table": "places", "column": "birth_place", "percent": 100},
            },
            {"label": "different", "m": 0.5, "u": 0.5},
        ],
    }
    return small_model_but(
        term_tables=[{"name": "places", "agreement": 0.1, "values": shares, "hashed": {}}],
        comparisons=[*document["comparisons"], comparison],
    )


COMMON = place_model(rome=0.9, oslo=0.8, paris=0.9)
RARE = place_model(rome=0.01, oslo=0.5, paris=0.02)


def keep_model(url: str | None, directory: Path, model: ScoringModel) -> None:
    """Make a store that begins with this model."""
    where = store_url(url, directory)
    migrate_store(where)
    with closing(open_store(where, store_key=STORE_KEY)) as store:
        store_model(store, model, now=0)


def proposing(model: ScoringModel) -> Callable[[ScoringModel, NewRecords], ScoringModel]:
    return lambda _present, _new: model


def draw_neighbours(chance: random.Random, count: int) -> list[State]:
    """Draw records of which two share an e-mail, and some of those a place: how rare it is decides."""
    return [
        State(
            ("crm", f"n{at}"),
            {
                "email": (f"flat{at // 2}",),
                "place": chance.choice(("rome", "oslo", "paris")),
                "website": (f"own{at}",),
            },
            version=1,
        )
        for at in range(count)
    ]


def active(world: World) -> str:
    return world.identity.models.read_current().version


def test_a_load_into_an_empty_store_puts_the_model_it_proposes_and_is_resolved_by_it(
    world: World, patch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, int]] = []

    def propose(present: ScoringModel, new: NewRecords) -> ScoringModel:
        asked.append((present.version, new.profile_count))
        return strict_model()

    Loads(patch).load(world, "crm", PEOPLE, propose_model=propose)
    settle(world)

    assert asked == [(small_model().version, len(PEOPLE))]
    assert active(world) == strict_model().version
    assert world.found() == APART


def test_a_store_that_holds_a_record_keeps_its_model_and_none_is_asked_for(
    world: World, patch: pytest.MonkeyPatch
) -> None:
    tell(world.identity, command_of(State((ONE_EACH, "1"), {"email": ("other",)})))

    def propose(_present: ScoringModel, _new: NewRecords) -> ScoringModel:
        raise AssertionError

    Loads(patch).load(world, "crm", PEOPLE, propose_model=propose)
    settle(world)

    assert active(world) == small_model().version
    assert world.found() >= PAIRS


def test_a_record_that_comes_while_a_model_is_proposed_keeps_the_present_one(
    world: World, patch: pytest.MonkeyPatch
) -> None:
    def propose(_present: ScoringModel, _new: NewRecords) -> ScoringModel:
        tell(world.identity, command_of(State((ONE_EACH, "1"), {"email": ("other",)})))
        return strict_model()

    Loads(patch).load(world, "crm", PEOPLE, propose_model=propose)
    settle(world)

    assert active(world) == small_model().version
    assert world.found() >= PAIRS


@pytest.mark.parametrize(
    "changes",
    [
        {"holders_max": 5},
        {"stop_values": {"email": ["mail1@web.de"]}},
        {"blocking": orjson.loads(small_model().document)["blocking"][:2]},
    ],
    ids=["holders_max", "stop_values", "blocking"],
)
def test_a_proposed_model_that_blocks_otherwise_is_refused_and_nothing_is_stored(
    tmp_path: Path, patch: pytest.MonkeyPatch, changes: dict[str, object]
) -> None:
    with open_world(None, tmp_path) as world:
        with pytest.raises(InvariantBroken):
            Loads(patch).load(world, "crm", PEOPLE, propose_model=proposing(small_model_but(**changes)))

        assert active(world) == small_model().version
        assert world.found() == set()


def test_a_model_put_by_others_after_the_rows_were_prepared_counts_even_if_it_blocks_otherwise(
    url: str | None, tmp_path: Path, patch: pytest.MonkeyPatch
) -> None:
    """Those rows' keys, of e-mails alone, are none under the new model: they are resolved one by one."""
    blocking = [rule for rule in orjson.loads(small_model().document)["blocking"] if rule["name"] != "email"]
    other = small_model_but(blocking=blocking)
    with (
        open_world(url, tmp_path / "world") as world,
        closing(make_identity(url, tmp_path / "world", first_cid=10**9)) as theirs,
    ):

        def replace_first(*arguments: Any) -> dict[str, tell_apart.Held]:
            assert theirs.models.replace_untrained(other, expected_version=small_model().version, now=1)
            return tell_apart.find_stored(*arguments)

        patch.setattr(load_room, "find_stored", replace_first)

        Loads(patch).load(world, "crm", PEOPLE)
        settle(world)

        assert active(world) == other.version
        assert world.found() == APART
        assert_sound(world.identity)


def test_what_was_foreseen_by_a_model_that_others_replace_is_not_stored_so(
    url: str | None, tmp_path: Path, patch: pytest.MonkeyPatch
) -> None:
    loads = Loads(patch, slice_records=len(PEOPLE))
    with (
        open_world(url, tmp_path / "world") as world,
        closing(make_identity(url, tmp_path / "world", first_cid=10**9)) as theirs,
    ):
        loads.before_lock = lambda: theirs.models.replace_untrained(
            strict_model(), expected_version=small_model().version, now=1
        )

        loads.load(world, "crm", PEOPLE)
        settle(world)

        assert active(world) == strict_model().version
        assert world.found() == APART
        assert_sound(world.identity)


@pytest.mark.slow
def test_p3_a_load_under_the_model_it_proposed_gives_what_one_by_one_gives(
    url: str | None, tmp_path: Path, patch: pytest.MonkeyPatch
) -> None:
    loads = Loads(patch, slice_records=3, plain=False)
    with ExitStack() as stack:
        for name, model in (("bulk", COMMON), ("singly", RARE), ("old", COMMON)):
            keep_model(url if name == "bulk" else None, tmp_path / name, model)
        in_bulk, singly, old = (
            stack.enter_context(open_world(url if name == "bulk" else None, tmp_path / name))
            for name in ("bulk", "singly", "old")
        )
        beside = stack.enter_context(closing(make_identity(url, tmp_path / "bulk", first_cid=10**12)))
        changed = 0
        for number in range(4):
            chance = random.Random(number)
            states = [*draw_states(chance, "crm", 50), *draw_neighbours(chance, 40)]
            live = draw_states(chance, ONE_EACH, 12) if number % 2 else []
            coming = iter(live)

            def write_beside(coming: Iterator[State] = coming) -> None:
                # Of another process that knows of the old model only; the first write comes after it was replaced.
                if in_bulk.identity.models.recall().version == RARE.version:
                    for state in itertools.islice(coming, 2):
                        beside.resolve([command_of(state)])

            loads.load(in_bulk, "crm", states, propose_model=proposing(RARE), between=write_beside)
            for state in coming:
                beside.resolve([command_of(state)])
            settle(in_bulk)
            for state in sorted([*states, *live], key=lambda _: chance.random()):
                singly.tell(state)
                old.tell(state)

            assert active(in_bulk) == RARE.version
            assert in_bulk.found() == singly.found()
            assert in_bulk.found_components() == singly.found_components()
            assert_sound(in_bulk.identity)
            changed += singly.found() != old.found()
            for world in (in_bulk, singly, old):
                world.empty()
            in_bulk.identity.models.replace_untrained(COMMON, expected_version=RARE.version, now=1)
            beside.models.read_current()
        assert changed
