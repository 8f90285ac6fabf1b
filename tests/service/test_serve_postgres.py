"""The running service on PostgreSQL, with two resolver processes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.service.server import COMMAND, environment, serve

pytestmark = pytest.mark.slow


def test_two_resolver_processes_serve_one_postgresql_store(postgres_url: str, tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    named = {"SAMEAS_DATABASE_URL": postgres_url}
    unready = subprocess.run(
        [*COMMAND, "serve", "--port", "0"],
        env=environment(data_dir, **named),
        capture_output=True,
        text=True,
        check=False,
    )
    subprocess.run([*COMMAND, "migrate"], env=environment(data_dir, **named), check=True, capture_output=True)

    with serve(data_dir, **named) as service:
        service.ask("PUT", "/v1/sources/crm", json={"domain": "sales"})
        lines = b"".join(
            b'{"key":"%d","attributes":{"full_name":"Person Nr%d","email":"p%d@mail.de"}}\n'
            % (n, n % 50, n % 50)
            for n in range(200)
        )
        answers = service.lines("crm", lines)
        ready = service.ask("GET", "/readyz").json()
        keys = [{"source": "crm", "key": str(number)} for number in range(200)]
        rows = service.ask("POST", "/v1/lookup", json={"keys": keys}).json()["cids"]
        one = service.ask("GET", "/v1/sources/crm/records/7/cid").json()

    assert (unready.returncode, unready.stderr.split(":")[0]) == (2, "store_migrating")
    assert [answer["key"] for answer in answers] == [row["key"] for row in rows]
    assert {row["status"] for row in rows} == {"live"}
    assert ready["resolvers"] == 2
    assert one["cid"] == rows[7]["cid"]
