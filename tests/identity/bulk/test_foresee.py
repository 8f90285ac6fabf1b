"""What a load foresees: components of its own, and groups that join what is stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from identity.bulk import foresee as foresee_room
from identity.bulk.foresee import Foreseen
from tests.identity.bulk.loads import Loads
from tests.promises.world import ONE_EACH, State, World, open_world


def person(key: str, *emails: str, source: str = "crm") -> State:
    return State((source, key), {"email": emails}, version=1)


def foresee(world: World, patch: pytest.MonkeyPatch, states: list[State]) -> Foreseen:
    seen: list[Foreseen] = []
    call = foresee_room.foresee

    def keep(*arguments: Any, **options: Any) -> Foreseen:
        seen.append(call(*arguments, **options))
        return seen[-1]

    patch.setattr(foresee_room, "foresee", keep)
    loads = Loads(patch)
    loads.load(world, ONE_EACH, states)
    world.check()
    return seen[0]


def test_links_join_new_records_and_stored_components_to_groups(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch, open_world(None, tmp_path) as world:
        world.tell(person("s0", "ann"), person("s1", "bob"), person("s2", "cid"), person("s3", "dan"))
        states = [
            person("0", "ann", "bob", source=ONE_EACH),
            person("1", "eve", "cid", source=ONE_EACH),
            person("2", "eve", source=ONE_EACH),
            person("3", "fay", source=ONE_EACH),
            person("4", "gus", source=ONE_EACH),
            person("5", "gus", "hal", source=ONE_EACH),
        ]

        foreseen = foresee(world, patch, states)

    groups = sorted((group.places, len(group.component_ids), len(group.pids)) for group in foreseen.joined)
    assert groups == [([0], 2, 2), ([1, 2], 1, 1)]
    assert foreseen.singles.tolist() == [3]
    assert [sorted(node.rid for part in one.clusters for node in part) for one in foreseen.components] == [
        [4, 5]
    ]
    assert len(foreseen.left) == 0
    assert foreseen.candidate_count == 5


def test_what_is_too_large_and_touches_what_is_stored_is_left(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch, open_world(None, tmp_path) as world:
        world.tell(person("stored", "m0"))

        foreseen = foresee(
            world, patch, [person(str(at), f"m{at}", f"m{at + 1}", source=ONE_EACH) for at in range(8)]
        )

    assert foreseen.joined == []
    assert 0 in foreseen.left
