"""The command line, run as its users do, on the embedded store."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer

from service.cli import app
from service.cli.session import os_author, parse_pair, parse_ref
from tests.service.server import COMMAND, environment

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PEOPLE = """id,first,last,mail,town
1,Ada,Byron,ada@mail.de,London
2,Max,Muster,max@mail.de,Berlin
3,Ada,Byron,ada@mail.de,London
"""


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


def sameas(data_dir: Path, *arguments: str, status: int = 0, **changes: str) -> tuple[str, str]:
    done = subprocess.run(
        [*COMMAND, *arguments],
        env=environment(data_dir, **changes),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stderr
    return done.stdout, done.stderr


def commands(group: typer.Typer, prefix: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], str]]:
    found = [
        ((*prefix, one.name or getattr(one.callback, "__name__", "")), one.callback.__doc__ or "")
        for one in group.registered_commands
        if one.callback is not None
    ]
    for inner in group.registered_groups:
        assert inner.typer_instance is not None
        found += commands(inner.typer_instance, (*prefix, inner.name or ""))
    return found


def test_every_command_shows_an_example_in_its_help() -> None:
    assert [
        name for name, text in commands(app) if f"Example: {' '.join(('sameas', *name))}" not in text
    ] == [
        ("migrate",)  # its example begins with the variable that it needs
    ]


def test_a_file_is_loaded_looked_up_searched_explained_and_judged(data_dir: Path, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text(PEOPLE + ",Nobody,Here,,\n")
    sameas(data_dir, "source", "put", "crm", "--domain", "sales", "--key", "id")
    names = [
        f"--map={name}"
        for name in ("given_name=first", "family_name=last", "email=mail", "address.city=town")
    ]

    out, err = sameas(data_dir, "load", "crm", str(file), *names)
    again, _ = sameas(data_dir, "load", "crm", str(file), *names)

    assert out.startswith("4 rows: ")
    assert "1 rejected" in out
    assert "people.csv.rejects.ndjson" in err
    assert json.loads((tmp_path / "people.csv.rejects.ndjson").read_text())["row"] == 5
    assert "3 unchanged" in again
    rows = json.loads(sameas(data_dir, "lookup", "crm/1", "crm/2", "crm/3", "crm/4", "--json")[0])["cids"]
    assert [row["status"] for row in rows] == ["live", "live", "live", "unknown"]
    assert rows[0]["cid"] == rows[2]["cid"] != rows[1]["cid"]
    assert rows[0]["cid"] in sameas(data_dir, "lookup", "--cid", rows[0]["cid"])[0]
    hits = json.loads(
        sameas(data_dir, "search", "given_name=Ada", "family_name=Byron", "email=ada@mail.de", "--json")[0]
    )
    assert hits[0]["cid"] == rows[0]["cid"]
    assert "comparisons" in json.loads(sameas(data_dir, "explain", "crm/1", "crm/3")[0])
    judgement = sameas(data_dir, "judge", "different", "--left=crm/1", "--right=crm/3", "--reason=two")[
        0
    ].strip()
    parted = json.loads(sameas(data_dir, "lookup", "crm/1", "crm/3", "--json")[0])["cids"]
    assert parted[0]["cid"] != parted[1]["cid"]
    sameas(data_dir, "judge", "withdraw", judgement)
    assert "unknown_judgement" in sameas(data_dir, "judge", "withdraw", judgement, status=1)[1]


def test_a_load_tells_by_rule_which_keys_too_many_hold_and_not_their_values(
    data_dir: Path, tmp_path: Path
) -> None:
    file = tmp_path / "people.csv"
    people = "".join(f"{number},Given{number},Family{number},shop@mail.de\n" for number in range(105))
    file.write_text(f"id,given_name,family_name,email\n{people}")
    sameas(data_dir, "source", "put", "crm", "--domain", "sales", "--key", "id")

    out, err = sameas(data_dir, "load", "crm", str(file))

    [told] = [line for line in out.splitlines() if "too many records hold" in line]
    assert "email 5" in told
    assert "shop" not in out + err


def write_many(file: Path, count: int) -> Path:
    """Write so many people, two of each family and birth date; names are told apart by letters."""
    people = (
        f"{at},{'abcde'[at % 5]}nna,{''.join('bdfgklmnrt'[int(digit)] + 'a' for digit in str(at // 2))},"
        f"{1950 + at // 2 % 50}-03-04\n"
        for at in range(count)
    )
    file.write_text("id,given_name,family_name,birth_date\n" + "".join(people))
    return file


@pytest.mark.slow
def test_a_first_load_asked_to_fits_the_scoring_model_and_says_so_once(
    data_dir: Path, tmp_path: Path
) -> None:
    file = write_many(tmp_path / "people.csv", 1_100)
    sameas(data_dir, "source", "put", "crm", "--domain", "sales", "--key", "id")
    before = json.loads(sameas(data_dir, "report", "--json")[0])["model"]["version"]

    first, _ = sameas(data_dir, "load", "crm", str(file), "--train")
    again, _ = sameas(data_dir, "load", "crm", str(file), "--train")

    after = json.loads(sameas(data_dir, "report", "--json")[0])["model"]["version"]
    assert after != before
    assert f"scoring model {after} was fitted" in first
    assert "fitted" not in again


@pytest.mark.slow
@pytest.mark.parametrize("train", [["--no-train"], []], ids=["told not to", "not asked"])
def test_a_small_first_load_keeps_the_default_model(data_dir: Path, tmp_path: Path, train: list[str]) -> None:
    file = write_many(tmp_path / "people.csv", 1_100)
    sameas(data_dir, "source", "put", "crm", "--domain", "sales", "--key", "id")
    before = json.loads(sameas(data_dir, "report", "--json")[0])["model"]["version"]

    out, _ = sameas(data_dir, "load", "crm", str(file), *train)

    assert "fitted" not in out
    assert json.loads(sameas(data_dir, "report", "--json")[0])["model"]["version"] == before


def test_a_truth_is_compared_with_what_is_stored(data_dir: Path, tmp_path: Path) -> None:
    file, truth = tmp_path / "people.csv", tmp_path / "truth.parquet"
    file.write_text(PEOPLE)
    table = {"source": ["crm"] * 3, "source_key": ["1", "2", "3"], "entity_id": ["a", "b", "a"]}
    pq.write_table(pa.table(table), truth)
    sameas(data_dir, "source", "put", "crm", "--domain", "sales", "--key", "id")
    sameas(
        data_dir,
        "load",
        "crm",
        str(file),
        "--map=given_name=first",
        "--map=family_name=last",
        "--map=email=mail",
    )

    result = json.loads(sameas(data_dir, "evaluate", str(truth), "--json")[0])

    assert result["records"] == 3
    assert result["pairwise"]["f1"] == 1.0
    assert "truth_invalid" in sameas(data_dir, "evaluate", str(file), status=1)[1]


def test_keys_are_made_listed_and_revoked(data_dir: Path) -> None:
    text, key_id = (
        out.strip() for out in sameas(data_dir, "key", "create", "crm", "--scope", "read", "--source", "crm")
    )

    rows = json.loads(sameas(data_dir, "key", "list", "--json")[0])
    assert text.startswith("sk_")
    assert [(row["id"], row["scopes"], row["sources"]) for row in rows] == [(key_id, ["read"], ["crm"])]
    assert rows[0]["created_by"] == os_author()
    assert text not in json.dumps(rows)
    sameas(data_dir, "key", "revoke", key_id)
    assert "unknown_api_key" in sameas(data_dir, "key", "revoke", key_id, status=1)[1]


def test_a_source_is_shown_and_retired(data_dir: Path, tmp_path: Path) -> None:
    contract = tmp_path / "crm.json"
    contract.write_text('{"domain": "sales", "region": "DE"}')

    assert "version 1 registered" in sameas(data_dir, "source", "put", "crm", str(contract))[0]
    assert json.loads(sameas(data_dir, "source", "get", "crm")[0]) == {"domain": "sales", "region": "DE"}
    assert "sales" in sameas(data_dir, "source", "list")[0]
    assert "0 records withdrawn" in sameas(data_dir, "source", "retire", "crm", "--yes")[0]
    assert "unknown_source: " in sameas(data_dir, "source", "get", "erp", status=1)[1]
    contract.write_text("{")
    assert "contract_invalid: " in sameas(data_dir, "source", "put", "crm", str(contract), status=1)[1]


def test_what_cannot_run_at_all_ends_with_2(data_dir: Path) -> None:
    assert (
        "settings_invalid: SAMEAS_PORTT" in sameas(data_dir, "source", "list", status=2, SAMEAS_PORTT="1")[1]
    )
    url = "postgresql://nobody@127.0.0.1:1/none"
    assert "store_unreachable: " in sameas(data_dir, "source", "list", status=2, SAMEAS_DATABASE_URL=url)[1]
    assert "loopback" in sameas(data_dir, "serve", "--host", "0.0.0.0", status=2)[1]


def test_migrating_twice_changes_nothing(data_dir: Path) -> None:
    first, second = (sameas(data_dir, "migrate")[0] for _ in range(2))

    assert "was empty" in first
    assert "was" not in second


def test_records_and_pairs_are_read_from_words() -> None:
    assert parse_ref("crm/a/b") == ("crm", "a/b")
    assert parse_pair("email=a=b") == ("email", "a=b")
    for text in ("crm", "crm/", "/71"):
        with pytest.raises(typer.BadParameter):
            parse_ref(text)
    for text in ("email", "=x", "x="):
        with pytest.raises(typer.BadParameter):
            parse_pair(text)
