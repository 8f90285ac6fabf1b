"""What a resolver process does with the jobs of one frame.

1. Read what each job states into record commands; what is refused is its own answer.
2. Resolve all commands together, in slices of one transaction each.
3. Do the other jobs (contracts, judgements, customers) one by one, at their place in the order.

Invariant: every job gets exactly one answer, in the order of the jobs; a line gets one answer line.
Elsewhere: the pipe (`service.resolvers.child`), the rules (`identity`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from identity.api.errors import BodyInvalid
from identity.api.read_body import decode_object
from identity.api.records import check_key_in_path
from identity.api.render import (
    contract_document,
    error_line,
    record_line,
    stated_document,
    subscriber_document,
)
from identity.contract import SourceContract
from identity.errors import StatementRefused, StoreBusy
from identity.model import Instant, Outcome, RecordAnswer, RecordCommand, RecordRef, Verdict
from identity.service import Identity
from identity.statement import read_line, read_statement
from matching.errors import SameasError
from service.errors import InternalFault
from streams.ledger import DeliveryLedger

__all__ = ["JobAnswer", "Worker"]

_HALVED_MIN: Final = 50
_NONE: Final = InternalFault("a command got no answer")


@dataclass(slots=True)
class JobAnswer:
    """A status with a body, or an error."""

    status: int = 200
    body: bytes = b""
    error: SameasError | None = None


@dataclass(slots=True)
class _Job:
    head: dict[str, Any]
    body: bytes
    answer: JobAnswer = field(default_factory=JobAnswer)
    # One entry for each line or record of the job: its command or what refused it, and then its answer.
    entries: list[RecordCommand | RecordAnswer | SameasError] = field(default_factory=list)
    keys: list[object] = field(default_factory=list)


class Worker:
    """Executes jobs with one `Identity`."""

    def __init__(self, identity: Identity, *, now: Callable[[], Instant], batch_records_max: int) -> None:
        self._identity = identity
        self._now = now
        self._batch = batch_records_max
        self._contracts: dict[str, SourceContract] = {}
        self._pending: list[_Job] = []

    def take_counts(self) -> dict[str, dict[str, int]]:
        """Return what was counted while resolving since the last call.

        `work`: records, keys, candidates and the like; `keys_unusable`: by blocking rule.
        """
        resolver = self._identity.resolver
        counts = {"work": dict(resolver.counters), "keys_unusable": dict(resolver.keys_unusable)}
        resolver.counters.clear()
        resolver.keys_unusable.clear()
        return counts

    def execute(self, heads: Sequence[dict[str, Any]], bodies: Sequence[bytes]) -> list[JobAnswer]:
        """Return an answer for each job."""
        # Contracts are read once a frame: what was committed before a request came is seen by it.
        self._contracts.clear()
        jobs = [_Job(head, body) for head, body in zip(heads, bodies, strict=True)]
        for job in jobs:
            try:
                if job.head["do"] in _READERS:
                    _READERS[job.head["do"]](self, job)
                    if job.head.get("dry_run"):
                        self._resolve([job], dry_run=True)
                    else:
                        self._pending.append(job)
                else:
                    self._flush()
                    job.answer = _DOERS[job.head["do"]](self, job)
                    self._contracts.clear()
            except SameasError as exc:
                job.answer = JobAnswer(error=exc)
        self._flush()
        return [job.answer for job in jobs]

    def _flush(self) -> None:
        jobs, self._pending = self._pending, []
        self._resolve(jobs, dry_run=False)

    def _resolve(self, jobs: Sequence[_Job], *, dry_run: bool) -> None:
        places = [
            (job, index)
            for job in jobs
            for index, entry in enumerate(job.entries)
            if isinstance(entry, RecordCommand)
        ]
        for at in range(0, len(places), self._batch):
            part = places[at : at + self._batch]
            commands = [job.entries[index] for job, index in part]
            answers = self._resolve_slice(
                [c for c in commands if isinstance(c, RecordCommand)], dry_run=dry_run
            )
            for (job, index), answer in zip(part, answers, strict=True):
                job.entries[index] = answer
        for job in jobs:
            _WRITERS[job.head["do"]](job)

    def _resolve_slice(
        self, commands: list[RecordCommand], *, dry_run: bool
    ) -> Sequence[RecordAnswer | SameasError]:
        try:
            answers = self._identity.resolve(commands, dry_run=dry_run)
        except SameasError as exc:
            answers = [exc] * len(commands)
        if len(commands) >= _HALVED_MIN and all(isinstance(answer, StoreBusy) for answer in answers):
            # Another process holds what this batch needs: less of it at a time waits less, and holds up less.
            middle = len(commands) // 2
            halves = (commands[:middle], commands[middle:])
            return [answer for half in halves for answer in self._resolve_slice(half, dry_run=dry_run)]
        return answers

    def _contract(self, source: str) -> SourceContract:
        contract = self._contracts.get(source)
        if contract is None:
            contract = self._contracts[source] = self._identity.get_source(source)
        return contract

    # -- reading

    def _read_state(self, job: _Job) -> None:
        contract = self._contract(job.head["source"])
        check_key_in_path(contract)
        body = decode_object(job.body)
        job.entries = [
            read_statement(contract, job.head["key"], body, author=job.head["author"], now=self._now())
        ]

    def _read_withdrawal(self, job: _Job) -> None:
        head = job.head
        contract = self._contract(head["source"])
        check_key_in_path(contract)
        line = {
            "key": head["key"],
            "withdrawn": True,
            "version": head["version"],
            "effective_at": head["effective_at"],
        }
        job.entries = [read_line(contract, orjson.dumps(line), author=head["author"], now=self._now())]

    def _read_lines(self, job: _Job) -> None:
        author, now = job.head["author"], self._now()
        try:
            contract = self._contract(job.head["source"])
        except SameasError as exc:
            job.entries = [exc for _ in job.body.split(b"\n")]
            job.keys = [None] * len(job.entries)
            return
        for line in job.body.split(b"\n"):
            entry: RecordCommand | SameasError
            try:
                entry = read_line(contract, line, author=author, now=now)
            except SameasError as exc:
                entry = exc
            job.entries.append(entry)
            job.keys.append(entry.ref.key if isinstance(entry, RecordCommand) else _key_of(line))

    # -- doing

    def _put_source(self, job: _Job) -> JobAnswer:
        contract, is_created = self._identity.put_source(
            job.head["name"], job.head["document"], author=job.head["author"]
        )
        return JobAnswer(201 if is_created else 200, orjson.dumps(contract_document(contract)))

    def _create(self, job: _Job) -> JobAnswer:
        stated = decode_object(job.body)
        if stated.keys() != {"attributes"}:
            raise BodyInvalid("the body has the member attributes and no other")
        attributes = stated["attributes"]
        if not isinstance(attributes, dict):
            raise StatementRefused("attributes is missing or not an object.")
        answer = self._identity.create_customer(
            job.head["source"],
            attributes,
            idempotency_key=job.head["idempotency_key"],
            author=job.head["author"],
        )
        made = {"key": answer.ref.key, "cid": answer.cid, "outcome": answer.outcome.value}
        return JobAnswer(201, orjson.dumps(made))

    def _judge(self, job: _Job) -> JobAnswer:
        left, right = ([RecordRef(**ref) for ref in job.head[side]] for side in ("left", "right"))
        judgement_id = self._identity.judge(
            Verdict(job.head["verdict"]), left, right, reason=job.head["reason"], author=job.head["author"]
        )
        return JobAnswer(200, orjson.dumps({"id": judgement_id}))

    def _withdraw_judgement(self, job: _Job) -> JobAnswer:
        self._identity.withdraw_judgement(job.head["id"], author=job.head["author"])
        return JobAnswer(204)

    def _put_subscriber(self, job: _Job) -> JobAnswer:
        head = job.head
        subscriber, is_made = self._identity.subscribers.ensure(
            head["owner"], head["name"], begin_at=head["begin_at"]
        )
        return JobAnswer(201 if is_made else 200, orjson.dumps(subscriber_document(subscriber)))

    def _acknowledge(self, job: _Job) -> JobAnswer:
        head = job.head
        subscriber = self._identity.subscribers.acknowledge(
            head["owner"], head["name"], head["cursor"], was=head["was"]
        )
        return JobAnswer(200, orjson.dumps(subscriber_document(subscriber)))

    def _remove_subscriber(self, job: _Job) -> JobAnswer:
        self._identity.subscribers.remove(job.head["owner"], job.head["name"])
        return JobAnswer(204)

    def _settle(self, job: _Job) -> JobAnswer:
        left = self._identity.settle_some(limit=job.head["limit"])
        return JobAnswer(200, orjson.dumps({"left": left}))

    def _follow(self, job: _Job) -> JobAnswer:
        is_done = DeliveryLedger(self._identity).follow(batch_events=job.head["events"])
        return JobAnswer(200, orjson.dumps({"is_done": is_done}))


def _write_record(job: _Job) -> None:
    entry = job.entries[0]
    if isinstance(entry, RecordAnswer):
        status = 201 if entry.is_new and entry.outcome is not Outcome.HELD else 200
        job.answer = JobAnswer(status, orjson.dumps(stated_document(entry)))
    else:
        job.answer = JobAnswer(error=entry if isinstance(entry, SameasError) else _NONE)


def _write_lines(job: _Job) -> None:
    job.answer = JobAnswer(
        200,
        b"\n".join(
            record_line(entry)
            if isinstance(entry, RecordAnswer)
            else error_line(key, entry if isinstance(entry, SameasError) else _NONE)
            for key, entry in zip(job.keys, job.entries, strict=True)
        ),
    )


def _key_of(line: bytes) -> object:
    try:
        parsed = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return parsed.get("key") if isinstance(parsed, dict) else None


_READERS: Final[dict[str, Callable[[Worker, _Job], None]]] = {
    "state": Worker._read_state,
    "withdraw": Worker._read_withdrawal,
    "lines": Worker._read_lines,
}
_WRITERS: Final[dict[str, Callable[[_Job], None]]] = {
    "state": _write_record,
    "withdraw": _write_record,
    "lines": _write_lines,
}
_DOERS: Final[dict[str, Callable[[Worker, _Job], JobAnswer]]] = {
    "put_source": Worker._put_source,
    "create": Worker._create,
    "judge": Worker._judge,
    "withdraw_judgement": Worker._withdraw_judgement,
    "settle": Worker._settle,
    "follow": Worker._follow,
    "put_subscriber": Worker._put_subscriber,
    "acknowledge": Worker._acknowledge,
    "remove_subscriber": Worker._remove_subscriber,
}
