"""Read a source's CIDs back, once or until a signal.

Elsewhere: reading (`streams.read_back`), its command (`service.cli.coverage`).
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import Final

from identity.contract import SourceContract
from matching.errors import SameasError
from service.bootstrap import bootstrap_identity
from service.clock import SystemClock
from service.errors import SettingsInvalid
from service.settings import Settings
from service.telemetry import configure_logging
from streams.customer_table import CustomerTable, TableName, read_table_name
from streams.ledger import DeliveryLedger
from streams.read_back import ReadBack

__all__ = ["run_read_back"]

_FOLLOW_BATCHES: Final = 100


def run_read_back(
    settings: Settings,
    source: str,
    *,
    table: str,
    key_columns: tuple[str, ...],
    cid_column: str,
    every_s: float | None,
    is_whole: bool,
    tell: Callable[[str], None],
) -> None:
    """Read once, or every so many seconds until SIGTERM or SIGINT.

    Raises:
        SettingsInvalid: nobody said where the source's database is.
        WriteBackRefused: the table or a column is none.
        WriteBackUnreachable, StoreBusy and their like: one of the two does not answer; while it is read again and
            again, only told.
    """
    if settings.write_back_url is None:
        raise SettingsInvalid(
            "SAMEAS_WRITE_BACK_URL is not set; it is the SQLAlchemy URL of the source's database."
        )
    configure_logging(settings.log_level)
    stopping = threading.Event()
    if every_s is not None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
    identity = bootstrap_identity(settings)
    try:
        name = _name_of(identity.get_source(source), table, key_columns, cid_column)
        cids = CustomerTable(settings.write_back_url.get_secret_value(), name)
        try:
            reader, ledger = ReadBack(identity, source, cids, now=SystemClock().now), DeliveryLedger(identity)
            while True:
                try:
                    ledger.follow(batches_max=_FOLLOW_BATCHES)
                    count = reader.read_all() if is_whole else reader.read_waiting()
                    tell(f"{source}: {count} changed")
                except SameasError as exc:
                    if every_s is None or not exc.retryable:
                        raise
                    tell(f"{exc.code}: {exc.detail}")
                if every_s is None or stopping.wait(every_s):
                    return
        finally:
            cids.close()
    finally:
        identity.close()


def _name_of(
    contract: SourceContract, table: str, key_columns: tuple[str, ...], cid_column: str
) -> TableName:
    path = contract.key_path
    columns = key_columns or ((path,) if isinstance(path, str) else path or ())
    return read_table_name(table, key_columns=columns, cid_column=cid_column)
