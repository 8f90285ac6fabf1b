"""Read and prepare the statements of a file in several processes, in file order.

Invariant: every row comes out once, in order, as a prepared statement or as its error; what a row gives
does not depend on the number of processes.
Elsewhere: what a file's rows state (`streams.statements`), what happens to them (`identity.bulk.load`).
"""

from __future__ import annotations

import multiprocessing
import queue
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

import pyarrow as pa

from identity.contract import SourceContract, read_contract
from identity.errors import InvariantBroken
from identity.model import RecordCommand
from identity.prepare import Preparer
from identity.store_sql.sealing import Sealer
from matching.block import compile_blocker
from matching.errors import SameasError
from matching.model import Profile
from matching.scoring_model import load_scoring_model
from matching.tabulate import lay_out_profiles

__all__ = [
    "PREPARED_COLUMNS",
    "PackedChunk",
    "PreparingSetup",
    "RowError",
    "StatedRow",
    "StatementSource",
    "iter_prepared",
]

PREPARED_COLUMNS: Final = pa.schema(
    [
        ("row", pa.int64()),
        ("key", pa.string()),
        ("version", pa.int64()),
        ("effective_at", pa.int64()),
        ("is_plain", pa.bool_()),  # no withdrawal, no same_as, no alternate keys: fit for the bulk path
        ("statement", pa.binary()),
        ("digest", pa.binary()),
        ("profile", pa.binary()),
        ("profile_digest", pa.binary()),
        ("hashes", pa.list_(pa.int64())),
    ]
)
_CHUNKS_AHEAD: Final = 4
_ALIVE_CHECK_S: Final = 5.0

RowError = tuple[int, str, str]
"""A row's number with the code and detail of its error."""


class StatedRow(NamedTuple):
    """A row of a file: its number, its key where it can be read, and what it states or why it is refused."""

    number: int
    key: str | None
    command: RecordCommand | SameasError


class PackedChunk(NamedTuple):
    """Rows of a file, prepared; each table is one Arrow stream of one batch."""

    rows: bytes  # of `PREPARED_COLUMNS`
    row_count: int
    profiles: bytes  # of the plain rows, as `lay_out_profiles` lays them out
    errors: list[RowError]
    refused_keys: list[str]  # of refused rows that have one
    nameless_count: int  # refused rows of which not even the key can be read


class StatementSource(Protocol):
    """A file's statements; crosses to other processes, so it holds plain values only."""

    def is_small(self) -> bool:
        """Tell whether the file is read sooner than a process is started."""

    def iter_chunks(self, contract: SourceContract, *, part: int, parts: int) -> Iterator[list[StatedRow]]:
        """Yield every `parts`-th chunk of rows, beginning with chunk `part`."""


@dataclass(frozen=True, slots=True)
class PreparingSetup:
    """What a preparing process needs."""

    source: StatementSource
    contract_name: str
    contract_version: int
    contract_document: dict[str, object]
    model_document: bytes
    store_key: bytes


def iter_prepared(setup: PreparingSetup, *, processes: int) -> Iterator[PackedChunk]:
    """Yield prepared statements in file order, with the rows refused among them."""
    if processes < 2 or setup.source.is_small():
        yield from _prepare_part(setup, part=0, parts=1)
        return
    context = multiprocessing.get_context("spawn")
    queues: list[Any] = [context.Queue(_CHUNKS_AHEAD) for _ in range(processes)]
    workers = [
        context.Process(target=_work, args=(setup, part, processes, queues[part]), daemon=True)
        for part in range(processes)
    ]
    for worker in workers:
        worker.start()
    try:
        part = 0
        open_parts = set(range(processes))
        while open_parts:
            if part in open_parts:
                item = _take(queues[part], workers[part])
                if item is None:
                    open_parts.discard(part)
                elif isinstance(item, SameasError):
                    raise item
                else:
                    yield item
            part = (part + 1) % processes
    finally:
        for worker in workers:
            worker.terminate()
            worker.join()


def _take(chunks: Any, worker: Any) -> Any:
    while True:
        try:
            return chunks.get(timeout=_ALIVE_CHECK_S)
        except queue.Empty:
            if not worker.is_alive():
                raise InvariantBroken(
                    "A process that prepares rows ended too early; load the file again."
                ) from None


def _work(setup: PreparingSetup, part: int, parts: int, chunks: Any) -> None:
    try:
        for chunk in _prepare_part(setup, part=part, parts=parts):
            chunks.put(chunk)
    except SameasError as exc:
        chunks.put(exc)
    chunks.put(None)


def _prepare_part(setup: PreparingSetup, *, part: int, parts: int) -> Iterator[PackedChunk]:
    sealer = Sealer(setup.store_key)
    model = load_scoring_model(setup.model_document)
    preparer = Preparer(
        blocker=compile_blocker(model, hash_key=sealer.blocking_hash_key),
        hasher=sealer,
        model_version=model.version,
    )
    contract = read_contract(setup.contract_name, setup.contract_document, version=setup.contract_version)
    for chunk in setup.source.iter_chunks(contract, part=part, parts=parts):
        yield _prepare_chunk(chunk, contract, preparer)


def _prepare_chunk(chunk: Sequence[StatedRow], contract: SourceContract, preparer: Preparer) -> PackedChunk:
    errors: list[RowError] = []
    refused_keys: list[str] = []
    profiles: list[Profile] = []
    prepared: list[tuple[Any, ...]] = []
    for row, key, command in chunk:
        if isinstance(command, SameasError):
            errors.append((row, command.code, command.detail))
            if key is not None:
                refused_keys.append(key)
            continue
        one = preparer.prepare(command, contract)
        is_plain = not (command.is_withdrawal or command.same_as or command.alternate_keys)
        if is_plain and one.profile is not None:
            profiles.append(one.profile)
        prepared.append(
            (
                row,
                command.ref.key,
                command.version,
                command.effective_at,
                is_plain,
                one.statement,
                one.digest,
                one.encoded_profile,
                one.profile_digest,
                one.hashes,
            )
        )
    columns = zip(*prepared, strict=True) if prepared else ((),) * len(PREPARED_COLUMNS)
    table = pa.RecordBatch.from_arrays(
        [pa.array(column, field.type) for column, field in zip(columns, PREPARED_COLUMNS, strict=True)],
        schema=PREPARED_COLUMNS,
    )
    laid_out = lay_out_profiles(profiles)
    (profile_batch,) = laid_out.combine_chunks().to_batches() or [None]
    if profile_batch is None:
        profile_batch = pa.RecordBatch.from_pylist([], schema=laid_out.schema)
    return PackedChunk(
        _pack(table),
        len(prepared),
        _pack(profile_batch),
        errors,
        refused_keys,
        len(errors) - len(refused_keys),
    )


def _pack(batch: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    packed: bytes = sink.getvalue().to_pybytes()
    return packed
