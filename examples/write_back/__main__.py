"""Start a PostgreSQL, a Kafka broker and Kafka Connect, and run the example on them: `python -m examples.write_back`."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path

import psycopg

from deploy.local.kafka import run_private_broker, run_private_connect
from deploy.local.postgres import run_private_postgres
from examples.rig import run_story, show
from examples.write_back.story import Servers, play


def main() -> None:
    """Run the example on servers of its own, in a temporary directory."""
    with ExitStack() as opened:
        home = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="sameas-example-")))
        show("Starting a PostgreSQL, a Kafka broker and Kafka Connect; stopped at the end.")
        server = opened.enter_context(run_private_postgres(settings={"wal_level": "logical"}))
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute("CREATE DATABASE crm")
            connection.execute("CREATE DATABASE identity")
        broker = opened.enter_context(run_private_broker())
        connect = opened.enter_context(run_private_connect(broker.bootstrap))
        base = server.rpartition("/")[0]
        play(Servers(f"{base}/crm", f"{base}/identity", broker.bootstrap, connect), home)


if __name__ == "__main__":
    raise SystemExit(run_story(main))
