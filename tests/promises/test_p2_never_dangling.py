"""P2: a CID once issued resolves for ever, and lives again only for records that bore it."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given
from sqlalchemy import text

from identity.model import CidStatus, Outcome, RecordAnswer
from tests.promises.amount import examples
from tests.promises.audit import assert_sound, cid_states, history_rows
from tests.promises.draw import runs
from tests.promises.world import Command, Judge, State, Unjudge, World, open_world

pytestmark = pytest.mark.slow

ANN = State(("crm", "1"), {"email": ("ann",)})
BEN = State(("crm", "2"), {"email": ("ben",)})


def cid_of(world: World, state: State) -> str:
    (answer,) = world.tell(state)
    assert isinstance(answer, RecordAnswer)
    assert answer.cid is not None
    return answer.cid


def assert_every_cid_resolves(world: World, issued: set[str]) -> None:
    live = {cid for _, _, cid in world._rows("cid")}
    resolved, _ = world.identity.resolve_cids(sorted(issued))
    for one in resolved:
        assert one.status is not None
        assert set(one.current) <= live
        if one.status is CidStatus.LIVE:
            assert one.current == (one.cid,)


def assert_revived_by_bearers_only(world: World) -> None:
    with world.identity.store.read() as connection:

        def query(sql: str) -> list[tuple]:  # type: ignore[type-arg]
            return [tuple(row) for row in connection.execute(text(sql))]

        states, history = cid_states(query), history_rows(query)
    bearers: dict[tuple[str, int], set[int]] = defaultdict(set)
    first_borne: dict[tuple[str, int], int] = {}
    for rid, rows in history.items():
        for row in rows:
            if row.cid is not None:
                bearers[row.cid, row.system_from].add(rid)
                place = (row.cid, rid)
                first_borne[place] = min(first_borne.get(place, row.system_from), row.system_from)
    for cid, lives in states.items():
        for system_from, _, status, _ in lives[1:]:
            if status == "live":
                assert any(first_borne[cid, rid] < system_from for rid in bearers[cid, system_from])


def test_p2_every_cid_ever_answered_resolves_after_every_command(tmp_path: Path) -> None:
    numbers = iter(range(10**6))

    @examples(12)
    @given(runs(40, 70))
    def property_holds(commands: list[Command]) -> None:
        issued: set[str] = set()
        with open_world(None, tmp_path / str(next(numbers))) as world:
            for command in commands:
                answers = world.tell(command)
                issued.update(one.cid for one in answers if isinstance(one, RecordAnswer) and one.cid)
                issued.update(str(cid) for _, _, cid in world._rows("cid"))
                assert_every_cid_resolves(world, issued)
            assert_sound(world.identity)
            assert_revived_by_bearers_only(world)

    property_holds()


def test_p2_a_merge_taken_back_gives_both_customers_their_old_cids(tmp_path: Path) -> None:
    with open_world(None, tmp_path) as world:
        ann, ben = cid_of(world, ANN), cid_of(world, BEN)
        world.tell(Judge("same", (ANN.name,), (BEN.name,)))
        merged = world.identity.get_cid(ben)

        world.tell(Unjudge(0))

        assert (merged.status, merged.successors) == (CidStatus.MERGED, (ann,))
        assert world.identity.get_cid(ben).status is CidStatus.LIVE
        assert world.identity.get_cid(ann).status is CidStatus.LIVE


def test_p2_a_record_that_returns_takes_back_its_cid(tmp_path: Path) -> None:
    with open_world(None, tmp_path) as world:
        cid = cid_of(world, ANN)
        world.tell(State(ANN.name, None))
        tombstone = world.identity.get_cid(cid)

        (answer,) = world.tell(ANN)

        assert (tombstone.status, tombstone.successors) == (CidStatus.WITHDRAWN, ())
        assert isinstance(answer, RecordAnswer)
        assert (answer.cid, answer.outcome) == (cid, Outcome.LINKED)


def test_p2_two_clusters_of_one_batch_never_take_back_the_same_cid(tmp_path: Path) -> None:
    with open_world(None, tmp_path) as world:
        cid = cid_of(world, ANN)
        cid_of(world, State(BEN.name, {"email": ("ann",)}))
        world.tell(State(ANN.name, None), State(BEN.name, None))

        answers = world.tell(State(ANN.name, {"email": ("cora",)}), BEN)

        cids = [answer.cid for answer in answers if isinstance(answer, RecordAnswer)]
        assert cid in cids
        assert len(set(cids)) == 2
        assert_sound(world.identity)
