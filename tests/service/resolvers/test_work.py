"""What a resolver process does with jobs, with an identity that answers by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from identity.contract import SourceContract, read_contract
from identity.errors import SourceUnknown, StoreBusy, VersionConflict
from identity.model import Cid, Outcome, RecordAnswer, RecordCommand
from matching.errors import SameasError
from service.resolvers.work import Worker

NOW = 1_800_000_000_000_000


class FakeIdentity:
    """Links everything; notes the sizes of its batches."""

    def __init__(self, *, busy_above: int = 1_000_000) -> None:
        self.batches: list[int] = []
        self.busy_above = busy_above

    def get_source(self, name: str) -> SourceContract:
        if name == "none":
            raise SourceUnknown("no such source")
        return read_contract(name, {"domain": "x"}, version=1)

    def resolve(
        self, commands: Sequence[RecordCommand], *, dry_run: bool = False
    ) -> list[RecordAnswer | SameasError]:
        self.batches.append(len(commands))
        if len(commands) > self.busy_above:
            raise StoreBusy("busy")
        return [
            VersionConflict("two")
            if command.version == 13
            else RecordAnswer(command.ref, Cid("c"), Outcome.ISSUED, NOW, is_new=True)
            for command in commands
        ]


def worker(identity: FakeIdentity, batch: int = 200) -> Worker:
    return Worker(identity, now=lambda: NOW, batch_records_max=batch)  # type: ignore[arg-type]


def state(key: str, **changes: Any) -> tuple[dict[str, Any], bytes]:
    head = {"do": "state", "source": "crm", "key": key, "author": "a", "dry_run": False}
    body = {"attributes": {"full_name": "Jo Doe"}}
    return head | {name: changes.pop(name) for name in list(changes) if name in head}, orjson.dumps(
        body | changes
    )


def lines(*texts: bytes, source: str = "crm") -> tuple[dict[str, Any], bytes]:
    return {"do": "lines", "source": source, "author": "a"}, b"\n".join(texts)


def execute(made: Worker, *jobs: tuple[dict[str, Any], bytes]) -> list[Any]:
    return made.execute([head for head, _ in jobs], [body for _, body in jobs])


def test_jobs_of_a_frame_are_resolved_together_and_answered_in_order() -> None:
    identity = FakeIdentity()
    line = b'{"key":"3","attributes":{}}'

    answers = execute(
        worker(identity), state("1"), lines(line, b"nope", line), state("2", version=13), state("4")
    )

    assert identity.batches == [5]
    assert [answer.status for answer in answers if answer.error is None] == [201, 200, 201]
    assert isinstance(answers[2].error, VersionConflict)
    assert [list(orjson.loads(one)) for one in answers[1].body.split(b"\n")] == [
        ["key", "cid", "outcome"],
        ["key", "error"],
        ["key", "cid", "outcome"],
    ]


def test_what_is_refused_takes_nothing_else_with_it() -> None:
    answers = execute(worker(FakeIdentity()), state("1", attributes=5), state("", version=1), state("3"))

    assert [answer.error.code if answer.error else answer.status for answer in answers] == [
        "statement_invalid",
        "key_invalid",
        201,
    ]


def test_lines_of_an_unknown_source_are_each_answered() -> None:
    (answer,) = execute(worker(FakeIdentity()), lines(b'{"key":"1"}', b'{"key":"2"}', source="none"))

    assert [orjson.loads(one)["error"]["code"] for one in answer.body.split(b"\n")] == ["unknown_source"] * 2


def test_no_transaction_is_larger_than_a_batch() -> None:
    identity = FakeIdentity()

    execute(worker(identity, 10), lines(*(b'{"key":"%d","attributes":{}}' % number for number in range(25))))

    assert identity.batches == [10, 10, 5]


def test_a_dry_run_is_resolved_alone() -> None:
    identity = FakeIdentity()

    execute(worker(identity), state("1"), state("2", dry_run=True), state("3"))

    assert identity.batches == [1, 2]


def test_a_batch_that_finds_the_store_busy_is_tried_in_halves() -> None:
    identity = FakeIdentity(busy_above=60)
    job = lines(*(b'{"key":"%d","attributes":{}}' % number for number in range(200)))

    (answer,) = execute(worker(identity), job)

    assert identity.batches == [200, 100, 50, 50, 100, 50, 50]
    assert answer.body.count(b"issued") == 200
