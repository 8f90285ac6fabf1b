"""A source's table gets the CIDs of its records, whatever ends the agent, and what it holds is acknowledged."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from identity.model import RecordRef
from identity.store_sql import tables
from matching.errors import SameasError
from streams.customer_table import CustomerTable, read_table_name
from streams.delivery import Evidence
from streams.errors import WriteBackUnreachable
from streams.ledger import DeliveryLedger
from streams.relay_place import RelayPlace
from streams.write_back import WriteBack, write_back_place
from tests.identity.stores import Place, find_cid, stated, tell, withdrawn
from tests.promises.world import Clock
from tests.streams.test_customer_table import Crm

HOUR = 3_600_000_000


class Notes:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.rows = [0, 0, 0]
        self.errors: list[SameasError] = []

    def wrote(self, *, written: int, same: int, missing: int) -> None:
        self.rows = [have + more for have, more in zip(self.rows, (written, same, missing), strict=True)]

    def failed(self, error: SameasError) -> None:
        self.errors.append(error)


class Written:
    """A store, a source's table, and agents between them."""

    def __init__(self, place: Place, crm: Crm) -> None:
        self.clock = Clock()
        self.identity = place.open_identity(clock=self.clock)
        self.crm = crm
        crm.do("CREATE TABLE customer (id TEXT PRIMARY KEY, cid TEXT)")
        name = read_table_name("customer", key_columns=("id",), cid_column="cid")
        self.table = CustomerTable(crm.url, name)
        self.notes = Notes()
        self.agent = self.agent_of("one")

    def agent_of(self, holder: str, *, batch: int = 1_000) -> WriteBack:
        place = RelayPlace(
            self.identity.store, holder=holder, silent_us_max=HOUR, name=write_back_place("crm")
        )
        place.take(self.clock())
        return WriteBack(
            "crm",
            identity=self.identity,
            table=self.table,
            place=place,
            notes=self.notes,
            now=self.clock,
            sweep_us=HOUR,
            batch=batch,
        )

    def add(self, *keys: str) -> None:
        for key in keys:
            self.crm.do("INSERT INTO customer VALUES (:key, NULL)", key=key)

    def run(self, agent: WriteBack | None = None) -> None:
        while (agent or self.agent).run_once():
            pass

    def held(self) -> dict[str, str | None]:
        return dict(self.crm.do("SELECT id, cid FROM customer"))

    def evidence(self) -> dict[str, object]:
        DeliveryLedger(self.identity).follow(batches_max=100)
        record, delivery = tables.record, tables.delivery
        query = select(record.c.key, delivery.c.evidence).join(record, record.c.rid == delivery.c.rid)
        with self.identity.store.read() as connection:
            return dict(connection.execute(query.where(record.c.source == "crm")).all())


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.service)])
def crm(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Crm]:
    url = f"sqlite:///{tmp_path / 'crm.db'}"
    crm = Crm(request.getfixturevalue("postgres_url") if request.param == "postgresql" else url)
    yield crm
    crm.engine.dispose()


@pytest.fixture
def written(place: Place, crm: Crm) -> Iterator[Written]:
    made = Written(place, crm)
    yield made
    made.table.close()


def test_an_agent_with_nothing_to_write_writes_nothing_into_the_store(written: Written) -> None:
    def beat_at() -> int:
        row = tables.relay_cursor
        query = select(row.c.beat_at).where(row.c.name == write_back_place("crm"))
        with written.identity.store.read() as connection:
            found: int = connection.scalars(query).one()
        return found

    tell(written.identity, stated("a", email=("ann",)))
    written.run()
    before = beat_at()

    for _ in range(3):
        assert not written.agent.run_once()

    assert beat_at() == before
    written.clock.now += HOUR // 2
    assert not written.agent.run_once()
    assert beat_at() > before


def test_what_was_there_before_and_what_changes_is_written_and_acknowledged(written: Written) -> None:
    written.add("a", "b", "c")
    tell(written.identity, stated("a", email=("ann",)), stated("b", email=("bob",)))

    written.run()
    first = written.held()
    tell(written.identity, stated("c", email=("ann",)))
    written.run()

    cids = {key: find_cid(written.identity, key) for key in "abc"}
    assert first == {"a": cids["a"], "b": cids["b"], "c": None}
    assert written.held() == cids
    assert cids["c"] == cids["a"]
    assert written.evidence() == dict.fromkeys("abc", Evidence.READ_BACK)


def test_a_cid_that_changes_is_written_over_the_one_before(written: Written) -> None:
    written.add("a", "b")
    tell(written.identity, stated("a", email=("ann",)), stated("b", email=("bob",)))
    written.run()

    tell(written.identity, stated("b", email=("ann",)))
    written.run()

    assert written.held() == dict.fromkeys("ab", find_cid(written.identity, "a"))


def test_a_key_without_a_row_is_passed_and_written_by_the_next_sweep(written: Written) -> None:
    written.add("a")
    tell(written.identity, stated("a", email=("ann",)), stated("late", email=("bob",)))
    written.run()
    assert written.notes.rows == [1, 0, 1]
    assert written.evidence()["late"] is None

    written.add("late")
    written.run()
    assert written.held()["late"] is None
    written.clock.now += HOUR
    written.run()

    assert written.held()["late"] == find_cid(written.identity, "late")
    assert written.evidence()["late"] == Evidence.READ_BACK


def test_a_value_that_somebody_changed_is_put_right_by_the_next_sweep(written: Written) -> None:
    written.add("a")
    tell(written.identity, stated("a", email=("ann",)))
    written.run()
    written.crm.do("UPDATE customer SET cid = 'wrong'")

    written.clock.now += HOUR
    written.run()

    assert written.held() == {"a": find_cid(written.identity, "a")}


def test_withdrawn_records_and_those_of_other_sources_are_left_alone(written: Written) -> None:
    written.add("a", "b")
    tell(written.identity, stated("a", email=("ann",)), stated("b", "one", email=("bob",)))
    cid = find_cid(written.identity, "a")
    written.run()

    tell(written.identity, withdrawn("a"))
    written.run()

    assert written.held() == {"a": cid, "b": None}


def test_an_agent_that_ends_before_its_place_moves_goes_on_without_a_gap(
    written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ended(Exception):
        pass

    def end(*args: object, **more: object) -> bool:
        raise Ended

    keys = [f"k{number}" for number in range(20)]
    written.add(*keys)
    tell(written.identity, stated("k0", email=("k0",)))
    written.run()
    tell(written.identity, *(stated(key, email=(key,)) for key in keys[1:]))
    with monkeypatch.context() as ending:
        ending.setattr(CustomerTable, "read", end)
        with pytest.raises(Ended):
            written.run(written.agent_of("two", batch=7))
    half = [key for key, cid in written.held().items() if cid is not None]

    written.run(written.agent_of("three", batch=7))

    assert len(half) == 8
    assert written.held() == {key: find_cid(written.identity, key) for key in keys}
    assert set(written.evidence().values()) == {Evidence.READ_BACK}


def test_what_a_table_cannot_take_is_neither_passed_nor_acknowledged(
    written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*args: object) -> object:
        raise WriteBackUnreachable("gone")

    written.add("a", "b")
    tell(written.identity, stated("a", email=("ann",)))
    written.run()
    tell(written.identity, stated("b", email=("bob",)))
    with monkeypatch.context() as failing:
        failing.setattr(CustomerTable, "write", unreachable)
        with pytest.raises(WriteBackUnreachable):
            written.run()
    assert written.evidence()["b"] is None

    written.run()

    assert written.held()["b"] == find_cid(written.identity, "b")
    assert written.evidence()["b"] == Evidence.READ_BACK


def test_an_agent_that_was_replaced_writes_nothing(written: Written) -> None:
    written.add("a")
    replaced = written.agent
    written.agent_of("two")
    tell(written.identity, stated("a", email=("ann",)))

    assert not replaced.run_once()

    assert written.held() == {"a": None}
    assert written.identity.look_up([RecordRef("crm", "a")]).rows[0][0] is not None
