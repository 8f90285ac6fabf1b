"""Refused messages taken again, each once, those of one record in their order."""

from __future__ import annotations

import pytest

from identity.errors import StoreBusy
from identity.model import KeyStatus, RecordRef
from identity.service import Identity
from streams.errors import RejectBehind, RejectClosed, RejectUnmendable
from streams.fate import Fate
from streams.refused import Reject
from streams.replay import Replayer
from tests.identity.stores import find_cid, stated, tell
from tests.promises.world import Clock
from tests.streams.stream import Told, envelope, plain
from tests.streams.taking import TABLE, Taking

UNSENT = "__debezium_unavailable_value"
ANN = {"email": "ann@web.de"}


@pytest.fixture
def taking(identity: Identity) -> Taking:
    identity.put_source("crm", TABLE, author="test")
    return Taking(identity)


@pytest.fixture
def replayer(taking: Taking) -> Replayer:
    return Replayer(taking.identity, author="os:ann", clock=Clock())


def refuse(taking: Taking, *told: Told) -> list[Reject]:
    """Let messages be refused; return all that are open."""
    taking.take(*told)
    return taking.list_open()


def status_of(identity: Identity, key: str) -> KeyStatus:
    return identity.look_up([RecordRef("crm", key)]).rows[0][1]


def test_a_message_is_taken_under_the_contract_now_in_force(taking: Taking, replayer: Replayer) -> None:
    [reject] = refuse(taking, envelope("c", {"id": "1", "mail": {"a": 1}, "e": "ann@web.de"}, 10))
    taking.identity.put_source("crm", {**TABLE, "mapping": {"email": "e"}}, author="test")

    assert replayer.replay(reject).fate is Fate.APPLIED

    assert find_cid(taking.identity, "1")
    assert taking.list_open() == []


def test_what_is_refused_again_stays_as_it_was(taking: Taking, replayer: Replayer) -> None:
    [reject] = refuse(taking, plain("1", {"email": {}}))

    done = replayer.replay(reject)

    assert done.fate is None
    assert done.refusal is not None
    assert done.refusal.code == "attributes_invalid"
    assert taking.list_open() == [reject]


def test_a_statement_that_the_store_refuses_again_stays_open(taking: Taking, replayer: Replayer) -> None:
    taking.take(plain("1", ANN, version=4))
    [reject] = refuse(taking, plain("1", {"email": "ben@web.de"}, version=4))

    done = replayer.replay(reject)

    assert done.refusal is not None
    assert done.refusal.code == "version_conflict"
    assert taking.list_open() == [reject]


def test_a_mended_body_stands_in_for_the_message(taking: Taking, replayer: Replayer) -> None:
    [reject] = refuse(taking, plain("1", {"email": {}}))

    assert replayer.replay(reject, body={"attributes": ANN, "version": 3}).fate is Fate.APPLIED

    assert find_cid(taking.identity, "1")


def test_a_mended_body_is_checked_like_any_statement(taking: Taking, replayer: Replayer) -> None:
    [reject] = refuse(taking, plain("1", {"email": {}}))

    bodies: list[dict[str, object]] = [{"attributes": {"email": {}}}, {"attribute": ANN}, {}]
    for body in bodies:
        refusal = replayer.replay(reject, body=body).refusal
        assert refusal is not None
        assert refusal.code in ("attributes_invalid", "statement_invalid")


def test_a_message_without_a_key_is_mended_by_a_body_with_one(taking: Taking, replayer: Replayer) -> None:
    [reject] = refuse(taking, Told(None, b'{"attributes": {}}'))

    with pytest.raises(RejectUnmendable):
        replayer.replay(reject, body={"attributes": ANN})
    assert replayer.replay(reject, body={"key": "7", "attributes": ANN}).fate is Fate.APPLIED

    assert find_cid(taking.identity, "7")


def test_the_older_message_of_a_record_comes_first(taking: Taking, replayer: Replayer) -> None:
    first, other, second = refuse(
        taking,
        plain("1", {"email": {}}, version=1),
        plain("2", {"email": {}}),
        plain("1", {"email": {}}, version=2),
    )

    with pytest.raises(RejectBehind, match=str(first.id)):
        replayer.replay(second, body={"attributes": ANN, "version": 2})
    replayer.replay(other, body={"attributes": ANN})
    taking.rejects.discard(first.id, by="ann", now=1)

    assert replayer.replay(second, body={"attributes": ANN, "version": 2}).fate is Fate.APPLIED


def test_what_waited_behind_a_reject_is_completed_once_that_is_replayed(
    taking: Taking, replayer: Replayer
) -> None:
    taking.take(envelope("c", {"id": "1", "mail": "ann@web.de"}, 10))
    first, second = refuse(
        taking,
        envelope("u", {"id": "1", "mail": {"a": 1}}, 11),
        envelope("u", {"id": "1", "mail": UNSENT, "town": "Ulm"}, 12),
    )

    replayer.replay(first, body={"attributes": {"email": "ben@web.de"}, "version": 11})
    assert replayer.replay(second).fate is Fate.APPLIED

    with taking.identity.store.inspect() as tx:
        statement = tx.read_version(
            tx.read_records([RecordRef("crm", "1")])[RecordRef("crm", "1")].vid
        ).statement
    assert statement is not None
    assert statement["attributes"] == {"email": ["ben@web.de"], "birth_place": "Ulm"}


def test_a_statement_without_version_and_time_that_was_overtaken_changes_nothing(
    taking: Taking, replayer: Replayer
) -> None:
    [reject] = refuse(taking, plain("1", {"email": {}}))
    taking.take(plain("1", ANN))
    cid = find_cid(taking.identity, "1")

    assert replayer.replay(reject, body={"withdrawn": True}).fate is Fate.STALE

    assert find_cid(taking.identity, "1") == cid
    assert taking.list_open() == []


def test_a_statement_without_version_and_time_that_was_not_overtaken_is_taken(
    taking: Taking, replayer: Replayer
) -> None:
    taking.take(plain("1", ANN))
    [reject] = refuse(taking, plain("1", {"email": {}}))

    assert replayer.replay(reject, body={"withdrawn": True}).fate is Fate.APPLIED

    assert status_of(taking.identity, "1") is KeyStatus.WITHDRAWN


def test_a_reject_is_replayed_once(taking: Taking, replayer: Replayer) -> None:
    [reject] = refuse(taking, plain("1", {"email": {}}))
    replayer.replay(reject, body={"attributes": ANN})

    with pytest.raises(RejectClosed):
        replayer.replay(reject, body={"attributes": ANN})


def test_a_version_stored_in_between_is_seen(
    taking: Taking, replayer: Replayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    taking.take(envelope("c", {"id": "1", "mail": "ann@web.de"}, 10))
    first, second = refuse(
        taking,
        envelope("u", {"id": "1", "mail": {"a": 1}}, 11),
        envelope("u", {"id": "1", "mail": UNSENT, "town": "Ulm"}, 13),
    )
    taking.rejects.discard(first.id, by="ann", now=1)
    resolve_together = Identity.resolve_together
    came: list[object] = []

    def come_between(self: Identity, *arguments: object) -> object:
        if not came:
            came.append(1)
            tell(self, stated("1", version=12, email=("ben",)))
        return resolve_together(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Identity, "resolve_together", come_between)
    replayer.replay(second)

    with taking.identity.store.inspect() as tx:
        statement = tx.read_version(
            tx.read_records([RecordRef("crm", "1")])[RecordRef("crm", "1")].vid
        ).statement
    assert statement is not None
    assert statement["attributes"] == {"email": ["ben@web.de"], "birth_place": "Ulm"}


def test_a_store_that_is_busy_is_said_to_be(
    taking: Taking, replayer: Replayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    [reject] = refuse(taking, plain("1", {"email": {}}))

    def busy(*_: object) -> None:
        raise StoreBusy("busy")

    monkeypatch.setattr(Identity, "resolve_together", busy)

    with pytest.raises(StoreBusy):
        replayer.replay(reject, body={"attributes": ANN})
    assert taking.list_open() == [reject]
