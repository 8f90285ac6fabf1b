"""A large load on SQLite lets a service on the same store work: writes get in between slices, reads do not wait."""

from __future__ import annotations

import random
import subprocess
import time
from pathlib import Path

import pytest

from tests.service.server import COMMAND, ServedService, environment, serve

pytestmark = pytest.mark.slow

ROWS = 50_000
PUT_S_MAX = 5.0  # promised are 2 s, which the benchmark holds it to: other tests may run on this machine
READ_S_MAX = 2.0


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


def put(service: ServedService, number: int) -> float:
    attributes = {"given_name": "Ada", "family_name": f"Byron{number}", "email": f"ada{number}@live.de"}
    started = time.perf_counter()
    answer = service.ask("PUT", f"/v1/sources/live/records/{number}", json={"attributes": attributes})
    assert answer.status_code == 201, answer.text
    return time.perf_counter() - started


def read(service: ServedService, number: int) -> float:
    started = time.perf_counter()
    answer = service.ask("GET", f"/v1/sources/live/records/{number}/cid")
    assert answer.json()["status"] == "live", answer.text
    return time.perf_counter() - started


def count_stored(service: ServedService) -> int:
    keys = [{"source": "crm", "key": str(key)} for key in range(0, ROWS, 500)]
    rows = service.ask("POST", "/v1/lookup", json={"keys": keys}).json()["cids"]
    return sum(row["cid"] is not None for row in rows)


def test_writes_get_in_between_the_slices_of_a_load_and_reads_do_not_wait(tmp_path: Path) -> None:
    people = tmp_path / "people.csv"
    write_people(people)
    with serve(tmp_path / "data") as service:
        for source in ("crm", "live"):
            assert service.ask("PUT", f"/v1/sources/{source}", json={"domain": "sales"}).status_code == 201
        put(service, 0)
        loading = subprocess.Popen(
            [*COMMAND, "load", "crm", str(people)],
            env=environment(tmp_path / "data"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        puts: list[float] = []
        reads: list[float] = []
        beside_slices = 0
        try:
            while loading.poll() is None:
                puts.append(put(service, len(puts) + 1))
                reads.append(read(service, len(puts)))
                if len(puts) % 10 == 0:
                    beside_slices += 0 < count_stored(service) < 100
        finally:
            loading.kill()
        out, err = loading.communicate()

        assert loading.returncode == 0, err
        assert out.startswith(f"{ROWS} rows: ")
        assert count_stored(service) == 100
        assert beside_slices > 5
        assert max(puts) < PUT_S_MAX
        assert max(reads) < READ_S_MAX
        for number in (1, len(puts)):
            read(service, number)
