"""The report through the running service and the command line: for stewards only, its values nowhere else."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest

from identity.scoring_models import store_model
from identity.store_sql.migrate import migrate_store
from identity.store_sql.opening import open_store, store_url
from matching.scoring_model import load_scoring_model
from service.clock import SystemClock
from service.keys import ApiKeys
from tests.promises.small_model import NUMBERS, attributes_of, small_model
from tests.service.server import COMMAND, ServedService, environment, serve
from tests.services.postgres import fresh_database

pytestmark = pytest.mark.slow

STORE_KEY = "6b" * 32
CALLERS = {"reader": ("read", "write"), "steward": ("steward",), "bound": ("steward",)}
COUNT = NUMBERS.component_max + 1


@dataclass(frozen=True)
class Scene:
    """A running service, its settings, and an API key for each caller."""

    service: ServedService
    settings: dict[str, str]
    keys: dict[str, str]

    def report(self, caller: str) -> Any:
        answer = self.service.ask("GET", "/v1/report", key=self.keys[caller])
        return answer.json() if answer.status_code == 200 else (answer.status_code, answer.json()["code"])


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.service)])
def scene(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Under a small model that assumes three customers, a chain of more records than a component holds."""
    directory: Path = tmp_path_factory.mktemp("report")
    settings = {"SAMEAS_STORE_KEY": STORE_KEY, "SAMEAS_LOG_LEVEL": "debug"}
    document = orjson.loads(small_model().document)
    document |= {"link_thresholds_millibits": [1000, 2000, 3000], "population": 3}
    with ExitStack() as stack:
        if request.param == "postgresql":
            server = request.getfixturevalue("postgres_server")
            settings["SAMEAS_DATABASE_URL"] = stack.enter_context(fresh_database(server))
        url = store_url(settings.get("SAMEAS_DATABASE_URL"), directory)
        migrate_store(url)
        store = open_store(url, store_key=bytes.fromhex(STORE_KEY))
        stack.callback(store.close)
        store_model(store, load_scoring_model(orjson.dumps(document)), now=0)
        keys = {
            name: ApiKeys(store.engine, SystemClock().now).create(
                name, scopes=scopes, sources=("erp",) if name == "bound" else None, author="test"
            )[1]
            for name, scopes in CALLERS.items()
        }
        preset = {"SAMEAS_ADMIN_KEY": "admin-" + "a" * 40}
        service = stack.enter_context(serve(directory, **settings, **preset))
        for source in ("crm", "erp"):
            assert service.ask("PUT", f"/v1/sources/{source}", json={"domain": "sales"}).status_code == 201
        service.lines("crm", b"\n".join(line(at) for at in range(4)))
        service.lines("erp", b"\n".join(line(at) for at in range(4, COUNT)))
        yield Scene(service, settings, keys)


def line(at: int) -> bytes:
    """Return a record that links to the one before and the one after; every other has the same third e-mail."""
    emails = (f"canary{at}", f"canary{at + 1}", *(["canaryshop"] if at % 2 == 0 else []))
    attributes = attributes_of({"email": emails, "city": ("canarytown",)})
    return orjson.dumps({"key": f"canarykey{at}", "attributes": attributes})


def test_a_steward_is_told_that_the_model_is_out_of_date_and_what_glues_records(scene: Scene) -> None:
    report = scene.report("steward")

    model, oversized = report["model"], report["oversized"]
    assert (model["population"], model["customers"], model["is_outgrown"]) == (3, COUNT, True)
    assert (model["sources_new"], model["is_out_of_date"]) == ([], True)
    assert (oversized["records"], oversized["is_complete"]) == (COUNT, True)
    [group] = oversized["groups"]
    assert group["profiles"] == COUNT
    assert group["values"][0] == {"rule": "email", "value": "canaryshop@web.de", "profiles": 4}


def test_who_is_bound_to_a_source_sees_what_its_records_hold(scene: Scene) -> None:
    oversized = scene.report("bound")["oversized"]

    assert oversized["records"] == COUNT - 4
    [group] = oversized["groups"]
    assert group["profiles"] == COUNT - 4
    assert group["values"][0] == {"rule": "email", "value": "canaryshop@web.de", "profiles": 2}
    assert "canary1@web.de" not in {one["value"] for one in group["values"]}


def test_who_is_no_steward_is_refused(scene: Scene) -> None:
    assert scene.report("reader") == (403, "scope_missing")


def test_p9_the_metrics_are_numbers_and_each_read_of_values_leaves_its_caller(scene: Scene) -> None:
    scene.report("steward")
    metrics = scene.service.ask("GET", "/metrics", key=scene.keys["reader"]).text

    shown = dict(row.rsplit(" ", 1) for row in metrics.splitlines() if not row.startswith("#"))
    assert shown["sameas_oversized_records"] == f"{COUNT}.0"
    assert shown["sameas_model_outgrown"] == "1.0"
    assert shown["sameas_model_sources_new"] == "0.0"
    assert float(shown['sameas_keys_unusable_total{rule="city"}']) >= COUNT - NUMBERS.holders_max
    logged = [orjson.loads(row) for row in scene.service.log().splitlines()]
    reads = [one for one in logged if one.get("route") == "/v1/report" and one["status"] == 200]
    assert {one["event"] for one in reads} == {"personal_data_read"}
    assert all(one["caller"] != "-" for one in reads)
    assert "canary" not in metrics + scene.service.log()


def test_the_command_line_tells_the_same(scene: Scene) -> None:
    def sameas(*arguments: str) -> str:
        return subprocess.run(
            [*COMMAND, "report", *arguments],
            env=environment(scene.service.data_dir, **scene.settings),
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    shown, document = sameas(), orjson.loads(sameas("--json"))

    assert document == scene.report("steward")
    assert "out of date" in shown
    assert "it assumes 3 customers, and there are more than twice as many" in shown
    assert f"{COUNT} records stand apart" in shown
    assert "canaryshop@web.de" in shown
