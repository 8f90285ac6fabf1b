"""Keep source contracts: read those in force quickly, put new versions.

Invariant: what is read is what was committed when the call began; a version once stored never changes.
Elsewhere: what a contract says (`identity.contract`), resolving a source again (`identity.settling`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import orjson
from sqlalchemy import Connection, insert, literal, select, update

from identity.contract import SourceContract, changes_matching, check_source_name, is_breaking, read_contract
from identity.errors import ContractConflict, SourceUnknown
from identity.model import Instant
from identity.store_sql import tables
from identity.store_sql.opening import SqlStore

__all__ = ["ContractBook", "ContractEntry"]


class ContractEntry(NamedTuple):
    """The contract in force of a source, and whether the source was retired."""

    contract: SourceContract
    is_retired: bool


class ContractBook:
    """The contracts of one store; documents are parsed once a version."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store
        self._parsed: dict[tuple[str, int], SourceContract] = {}
        self._recent: Mapping[str, ContractEntry] = {}

    def recall(self) -> Mapping[str, ContractEntry]:
        """Return the contracts as they were read last, for a caller who checks them against the store later."""
        return self._recent or self.read_current()

    def read_current(self) -> Mapping[str, ContractEntry]:
        """Return every source's contract in force."""
        with self._store.read_newest() as connection:
            rows = connection.exec_driver_sql("SELECT name, contract_version, retired_at FROM source").all()
        entries = {}
        for name, version, retired_at in rows:
            contract = self._parsed.get((name, version)) or self._parse(name, version)
            entries[name] = ContractEntry(contract, retired_at is not None)
        self._recent = entries
        return entries

    def get(self, name: str) -> ContractEntry:
        """Return one source's contract in force; raises SourceUnknown."""
        entry = self.read_current().get(name)
        if entry is None:
            raise SourceUnknown(f"There is no source {name[:63]}; put its contract first.")
        return entry

    def get_version(self, name: str, version: int) -> SourceContract:
        """Return a version of a source's contract that records were read by."""
        return self._parsed.get((name, version)) or self._parse(name, version)

    def put(
        self, name: str, document: Mapping[str, object], *, author: str, now: Instant
    ) -> tuple[SourceContract, bool]:
        """Store a contract; return it and whether the source is new.

        The same document again changes nothing. Records that the new contract may resolve otherwise are
        noted as unsettled in the same transaction.

        Raises:
            ContractRefused: the document breaks a rule.
            ContractConflict: it would break keys already stored.
        """
        check_source_name(name)
        encoded = orjson.dumps(dict(document), option=orjson.OPT_SORT_KEYS).decode()
        source, contract_table = tables.source, tables.source_contract
        with self._store.write() as tx:
            tx.lock_whole()
            found = tx.connection.execute(
                select(source.c.contract_version, contract_table.c.document)
                .join(
                    contract_table,
                    (contract_table.c.source == source.c.name)
                    & (contract_table.c.version == source.c.contract_version),
                )
                .where(source.c.name == name)
            ).first()
            version = 1 if found is None else found.contract_version + 1
            contract = read_contract(name, document, version=version)
            if found is not None:
                before = _read(tx.connection, name, found.contract_version)
                if found.document == encoded:
                    return before, False
                field = is_breaking(before, contract)
                if field == "epoch":
                    raise ContractConflict(
                        f"The epoch of source {name} is {before.epoch} and can only be raised: its versions would "
                        "be older than those of the epoch before."
                    )
                if field is not None:
                    raise ContractConflict(
                        f"The new contract of source {name} changes its {field}: keys already stored would mean "
                        "something else. Register it as another source."
                    )
                values: dict[str, int | None] = {"contract_version": version}
                if contract.epoch == before.epoch:
                    contract = replace(contract, epoch_since=before.epoch_since)
                else:
                    # What a truncation of the former epoch made stale, means nothing any more.
                    contract = replace(contract, epoch_since=version)
                    values["floor_version"] = None
                tx.connection.execute(update(source).where(source.c.name == name).values(values))
                if changes_matching(before, contract):
                    _unsettle(tx.connection, name, version)
            else:
                tx.connection.execute(insert(source).values(name=name, contract_version=1))
            tx.connection.execute(
                insert(contract_table).values(
                    source=name,
                    version=version,
                    document=encoded,
                    created_at=now,
                    created_by=author,
                )
            )
        return contract, found is None

    def _parse(self, name: str, version: int) -> SourceContract:
        with self._store.read() as connection:
            contract = _read(connection, name, version)
        self._parsed[name, version] = contract
        return contract


def _read(connection: Connection, name: str, version: int) -> SourceContract:
    """Return one version of a source's contract; which one its epoch began with, the versions before it say."""
    table = tables.source_contract
    rows = connection.execute(
        select(table.c.version, table.c.document)
        .where(table.c.source == name, table.c.version <= version)
        .order_by(table.c.version.desc())
    )
    contract: SourceContract | None = None
    for number, document in rows:
        found = read_contract(name, orjson.loads(document), version=number)
        if contract is None:
            contract = found
        elif found.epoch != contract.epoch:
            break
        contract = replace(contract, epoch_since=number)
    assert contract is not None, "a version in force is stored"
    return contract


def _unsettle(connection: Connection, name: str, version: int) -> None:
    """Note the live records of a source that were read by an older contract as to be read again."""
    unsettled, record = tables.unsettled, tables.record
    noted = select(unsettled.c.id).where(unsettled.c.kind == "contract")
    connection.execute(
        insert(unsettled).from_select(
            ["kind", "id"],
            select(literal("contract"), record.c.rid).where(
                record.c.source == name,
                record.c.pid.is_not(None),
                record.c.contract_version < version,
                record.c.rid.not_in(noted),
            ),
        )
    )
