"""A web shop that asks for the CID while it creates a customer, and what becomes of retries, crashes and doubles.

Invariant: the shop's only key of a customer is the CID; it has a key of the service that may state records of its
own source and read nothing.
Elsewhere: the shop (`examples.shop.app`), what every example stands on (`examples.rig`).
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

import httpx

from deploy.local.children import find_free_port
from examples.rig import WAIT_S_MAX, Sameas, promise, running, show

__all__ = ["play"]

ADA: Final = {"name": "Ada Byron", "email": "ada.byron@mail.example.org", "born": "1985-12-10"}
GRACE: Final = {"name": "Grace Hopper", "email": "grace.hopper@mail.example.org", "born": "1976-12-09"}
MARY: Final = {"name": "Mary Somerville", "email": "mary.somerville@mail.example.org", "born": "1980-12-26"}
CRM_RECORD: Final = {
    "given_name": "Ada",
    "family_name": "Byron",
    "email": "ada.byron@mail.example.org",
    "birth_date": "1985-12-10",
}


def play(home: Path) -> None:
    """Run the example; raises PromiseBroken where it does not show what it says."""
    sameas = Sameas(home / "sameas")
    with sameas.serving() as service:
        for source, contract in {
            "crm": {"domain": "sales", "kind": "crm", "region": "GB"},
            "shop": {"domain": "online", "kind": "shop", "region": "GB", "approach": 4},
        }.items():
            service.put(f"/v1/sources/{source}", json=contract).raise_for_status()
        known = service.put("/v1/sources/crm/records/C-1", json={"attributes": CRM_RECORD}).json()["cid"]
        environment = {
            **os.environ,
            "SHOP_DATABASE": str(home / "shop.db"),
            "SHOP_CIDS": str(service.base_url),
            "SHOP_KEY": sameas.make_api_key("shop", scopes=["write"], source="shop"),
        }
        with _open_shop(environment, home) as shop:
            _sign_up_customers(shop, home, known=known)
        _cut_power(environment, home)
        with _open_shop(environment, home) as shop:
            mary = _finish_after_crash(shop, service, home)
            show("4. Everything in the shop hangs on the CID.")
            shop.post(
                f"/customers/{mary}/purchases", json={"item": "atlas", "cents": 4200}
            ).raise_for_status()
            with closing(sqlite3.connect(home / "shop.db")) as database:
                bought = database.execute("SELECT cid, cents FROM purchase").fetchall()
            promise(
                "its product needs no look-up: the purchase bears the CID", holds=bought == [(mary, 4200)]
            )


def _sign_up_customers(shop: httpx.Client, home: Path, *, known: str) -> None:
    show("1. The shop asks for the CID as it creates the customer.")
    ada = _sign_up(shop, ADA, under="form-1")
    promise(
        "a customer whom the CRM knows is created under the CRM's CID",
        holds=(ada.status_code, ada.json()) == (201, {"cid": known}),
        found=ada.text,
    )
    grace = _sign_up(shop, GRACE, under="form-2")
    promise(
        "a new one gets a new CID, at once", holds=grace.status_code == 201 and grace.json()["cid"] != known
    )

    show("2. What is sent twice.")
    promise(
        "the same form sent again: the same CID, and one customer",
        holds=_sign_up(shop, GRACE, under="form-2").json() == grace.json() and len(_customers(home)) == 2,
    )
    promise(
        "another form under that token: 409 idempotency_conflict",
        holds=_refusal(_sign_up(shop, MARY, under="form-2")) == (409, "idempotency_conflict"),
    )
    promise(
        "a second account of a customer, typed otherwise: 409 customer_exists, sign in instead",
        holds=_refusal(_sign_up(shop, {**ADA, "name": "ADA  BYRON"}, under="form-3"))
        == (409, "customer_exists"),
    )


def _cut_power(environment: Mapping[str, str], home: Path) -> None:
    show("3. The shop crashes between the answer and its own commit.")
    with _open_shop({**environment, "SHOP_POWER_CUT": "asked"}, home) as shop:
        try:
            _sign_up(shop, MARY, under="form-4")
        except httpx.TransportError:
            answered = False
        else:
            answered = True
    promise(
        "the browser has no answer, the shop no customer", holds=not answered and len(_customers(home)) == 2
    )


def _finish_after_crash(shop: httpx.Client, service: httpx.Client, home: Path) -> str:
    promise("started again, it finishes the sign-up before it serves", holds=len(_customers(home)) == 3)
    mary = str(_sign_up(shop, MARY, under="form-4").json()["cid"])
    promise("the browser asks again and gets that customer", holds=mary in _customers(home))
    lines = service.get("/v1/crosswalk", params={"source": "shop"}).text.splitlines()
    issued = {one["key"]: one["cid"] for one in map(json.loads, lines)}
    promise(
        "the service has the shop's three customers, once each: key = CID",
        holds=issued == {cid: cid for cid in _customers(home)},
        found=len(issued),
    )
    return mary


@contextmanager
def _open_shop(environment: Mapping[str, str], home: Path) -> Iterator[httpx.Client]:
    port = find_free_port()
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "examples.shop.app:shop",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    with (
        running(command, environment=environment, log=home / "shop.log", until="Uvicorn running on"),
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=WAIT_S_MAX) as client,
    ):
        yield client


def _sign_up(shop: httpx.Client, form: Mapping[str, str], *, under: str) -> httpx.Response:
    return shop.post("/customers", json=dict(form), headers={"Idempotency-Key": under})


def _refusal(answer: httpx.Response) -> tuple[int, Any]:
    return answer.status_code, answer.json().get("detail")


def _customers(home: Path) -> list[str]:
    with closing(sqlite3.connect(home / "shop.db")) as database:
        return [row[0] for row in database.execute("SELECT cid FROM customer")]
