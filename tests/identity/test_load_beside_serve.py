"""A large load on SQLite lets a service on the same store work: writes and reads are answered between its slices.

How long they take at most is for the benchmarks (`benchmarks.measure_beside`); here only the order counts.
"""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest

from tests.service.server import COMMAND, ServedService, environment, serve

pytestmark = pytest.mark.slow

ROWS = 50_000
SAMPLE = 100


def write_people(path: Path) -> None:
    chance = random.Random(50)
    with path.open("w") as file:
        file.write("key,given_name,family_name,birth_date,email\n")
        for number in range(ROWS):
            person = number if chance.random() < 0.9 else chance.randrange(ROWS)
            name = random.Random(person)
            given, family = (
                "".join(name.choice("bdfgklmnprst") + name.choice("aeiou") for _ in range(3)) for _ in "gf"
            )
            born = f"{name.randrange(1940, 2005)}-{name.randrange(1, 13):02}-{name.randrange(1, 29):02}"
            file.write(f"{number},{given},{family},{born},{given}.{family}{person}@mail.de\n")


def put(service: ServedService, number: int) -> None:
    attributes = {"given_name": "Ada", "family_name": f"Byron{number}", "email": f"ada{number}@live.de"}
    answer = service.ask("PUT", f"/v1/sources/live/records/{number}", json={"attributes": attributes})
    assert answer.status_code == 201, answer.text


def read(service: ServedService, number: int) -> None:
    answer = service.ask("GET", f"/v1/sources/live/records/{number}/cid")
    assert answer.json()["status"] == "live", answer.text


def count_stored(service: ServedService) -> int:
    """Return how many of a sample of the load's records are stored: how far it has come."""
    keys = [{"source": "crm", "key": str(key)} for key in range(0, ROWS, ROWS // SAMPLE)]
    rows = service.ask("POST", "/v1/lookup", json={"keys": keys}).json()["cids"]
    return sum(row["cid"] is not None for row in rows)


def test_writes_and_reads_are_answered_between_the_slices_of_a_load(tmp_path: Path) -> None:
    people = tmp_path / "people.csv"
    write_people(people)
    with serve(tmp_path / "data") as service:
        for source in ("crm", "live"):
            assert service.ask("PUT", f"/v1/sources/{source}", json={"domain": "sales"}).status_code == 201
        loading = subprocess.Popen(
            [*COMMAND, "load", "crm", str(people)],
            env=environment(tmp_path / "data"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        # For each write: how far the load had come before it and when it and a read of it were answered.
        beside: list[tuple[int, int]] = []
        try:
            before = count_stored(service)
            while loading.poll() is None:
                put(service, len(beside))
                read(service, len(beside))
                after = count_stored(service)
                beside.append((before, after))
                before = after
        finally:
            loading.kill()
        out, err = loading.communicate()

        assert loading.returncode == 0, err
        assert out.startswith(f"{ROWS} rows: ")
        assert count_stored(service) == SAMPLE
        # A write that waits for the whole load sees nothing of it, and then all of it.
        between = {after for _, after in beside if 0 < after < SAMPLE}
        assert len(between) > 5
        assert (0, SAMPLE) not in beside
        for number in (0, len(beside) - 1):
            read(service, number)
