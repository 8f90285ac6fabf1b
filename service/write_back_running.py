"""Run the write-back of one source as a program, with logs and metrics.

Invariant: a log line holds numbers, codes and names of this code; the URL of the source's database is in none.
Elsewhere: the agent (`streams.write_back`), running programs (`service.programs`), the command
(`service.cli.write_back`).
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter

from identity.contract import SourceContract
from identity.model import Instant
from matching.errors import SameasError
from service.bootstrap import bootstrap_identity
from service.clock import SystemClock
from service.errors import SettingsInvalid
from service.settings import Settings
from service.telemetry import log_event
from streams.customer_table import CustomerTable, read_table_name
from streams.errors import WriteBackRefused
from streams.relay import SILENT_US_MAX
from streams.relay_place import RelayPlace
from streams.write_back import WriteBack, write_back_place

__all__ = ["LoggedWriteBack", "WriteBackProgram"]

_REPEAT_US: Final = 60_000_000
_HOUR_US: Final = 3_600_000_000


class LoggedWriteBack:
    """Takes the notes of an agent into logs, and into metrics in a registry of its own."""

    def __init__(self, now: Callable[[], Instant]) -> None:
        self.registry = CollectorRegistry()
        self._now = now
        self._logged_at: Instant = -_REPEAT_US
        self._rows = Counter(
            "sameas_write_back_rows_total",
            "Rows compared with the crosswalk: written, the same already, or missing",
            ("result",),
            registry=self.registry,
        )
        self._failures = Counter(
            "sameas_write_back_failures_total",
            "What the store or the source's database refused and is tried again",
            ("code",),
            registry=self.registry,
        )

    def wrote(self, *, written: int, same: int, missing: int) -> None:
        """Count rows."""
        for result, count in (("written", written), ("same", same), ("missing", missing)):
            self._rows.labels(result).inc(count)

    def failed(self, error: SameasError) -> None:
        """Note what is tried again; logged once a minute."""
        self._failures.labels(error.code).inc()
        now = self._now()
        if now - self._logged_at >= _REPEAT_US:
            self._logged_at = now
            log_event(logging.WARNING, "write_back_tries_again", code=error.code, where=error.detail)


class WriteBackProgram:
    """Writes one source's CIDs back; see `service.programs.Program`.

    Args:
        key_columns: those of the source key; the contract's own `key` if none is named.

    Raises:
        SettingsInvalid: nobody said where the source's database is; nothing was opened.
        WriteBackRefused: the contract names another way back, or the table is none.
    """

    def __init__(
        self,
        settings: Settings,
        source: str,
        *,
        table: str,
        key_columns: tuple[str, ...],
        cid_column: str,
        sweep_hours: float,
    ) -> None:
        if settings.write_back_url is None:
            raise SettingsInvalid(
                "SAMEAS_WRITE_BACK_URL is not set; it is the SQLAlchemy URL of the source's database."
            )
        now = SystemClock().now
        self._notes = LoggedWriteBack(now)
        self._identity = bootstrap_identity(settings)
        try:
            contract = self._identity.get_source(source)
            _check_way_back(contract)
            path = contract.key_path
            columns = key_columns or ((path,) if isinstance(path, str) else path or ())
            name = read_table_name(table, key_columns=columns, cid_column=cid_column)
            self._table = CustomerTable(settings.write_back_url.get_secret_value(), name)
        except BaseException:
            self._identity.close()
            raise
        place = RelayPlace(
            self._identity.store,
            holder=secrets.token_hex(8),
            silent_us_max=SILENT_US_MAX,
            name=write_back_place(source),
        )
        self._agent = WriteBack(
            source,
            identity=self._identity,
            table=self._table,
            place=place,
            notes=self._notes,
            now=now,
            sweep_us=int(sweep_hours * _HOUR_US),
        )

    @property
    def registry(self) -> CollectorRegistry:
        """Its metrics."""
        return self._notes.registry

    def run(self) -> None:
        """Write back until `stop`."""
        try:
            self._agent.run()
        finally:
            self._table.close()
            self._identity.close()

    def stop(self) -> None:
        """End `run` after the batch under way."""
        self._agent.stop()


def _check_way_back(contract: SourceContract) -> None:
    if contract.write_back not in (None, "write-back"):
        raise WriteBackRefused(
            f"The contract of {contract.name} says that its CIDs go back by another way: {contract.write_back}."
        )
