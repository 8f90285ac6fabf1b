"""A web shop whose customers have their CID as key from the moment they are created.

How a sign-up survives a crash at any point:
1. The sign-up is stored with the token that the form brought, and committed.
2. The CID is asked for, with that token as `Idempotency-Key`: asked again, the answer is the same.
3. The customer is stored under the CID and the sign-up is closed, in one transaction.
4. When the shop starts, it finishes the sign-ups that are open.

A customer whom the shop has already is answered 409: sign in instead.

    SHOP_DATABASE=shop.db SHOP_CIDS=http://127.0.0.1:8360 SHOP_KEY=sk_... uvicorn examples.shop.app:shop
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from typing import Any, Final

import httpx
from fastapi import FastAPI, Header, HTTPException
from pydantic import BaseModel

TABLES: Final = """
CREATE TABLE IF NOT EXISTS customer (cid TEXT PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS purchase (cid TEXT NOT NULL REFERENCES customer, item TEXT NOT NULL, cents INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS sign_up (token TEXT PRIMARY KEY, form TEXT NOT NULL, cid TEXT, refused TEXT);
"""


class Form(BaseModel):
    """What a new customer fills in."""

    name: str
    email: str
    born: str


class Purchase(BaseModel):
    """One item bought."""

    item: str
    cents: int


@asynccontextmanager
async def _finish_what_is_open(_: FastAPI) -> AsyncIterator[None]:
    with closing(_open()) as database:
        database.executescript(TABLES)
        open_ones = database.execute(
            "SELECT token, form FROM sign_up WHERE cid IS NULL AND refused IS NULL"
        ).fetchall()
        for token, form in open_ones:
            with suppress(HTTPException):  # refused for good: it is written down with its sign-up
                _create(database, token, json.loads(form))
    yield


shop = FastAPI(title="Shop", lifespan=_finish_what_is_open)


@shop.post("/customers", status_code=201)
def sign_up(form: Form, idempotency_key: str = Header()) -> dict[str, str]:
    """Create a customer; the same form with the same token again answers the same."""
    with closing(_open()) as database:
        said = form.model_dump_json()
        with database:
            database.execute(
                "INSERT OR IGNORE INTO sign_up (token, form) VALUES (?, ?)", (idempotency_key, said)
            )
        return {"cid": _create(database, idempotency_key, form.model_dump())}


@shop.post("/customers/{cid}/purchases", status_code=201)
def buy(cid: str, purchase: Purchase) -> None:
    """Store a purchase; its customer is named by the CID, as everywhere in the shop."""
    with closing(_open()) as database, database:
        database.execute("INSERT INTO purchase VALUES (?, ?, ?)", (cid, purchase.item, purchase.cents))


def _create(database: sqlite3.Connection, token: str, form: dict[str, str]) -> str:
    """Ask for the CID and store the customer under it."""
    answer = _ask(token, form)
    if answer.status_code == 409:
        problem = answer.json()
        if (
            problem["code"] == "customer_exists"
        ):  # the other conflict: this token came with another form before
            with database:
                database.execute("UPDATE sign_up SET refused = ? WHERE token = ?", (problem["code"], token))
        raise HTTPException(409, problem["code"])
    answer.raise_for_status()
    cid = str(answer.json()["cid"])
    if os.environ.get("SHOP_POWER_CUT") == "asked":
        os.kill(os.getpid(), signal.SIGKILL)
    with database:
        database.execute(
            "INSERT OR IGNORE INTO customer VALUES (?, ?, ?)", (cid, form["name"], form["email"])
        )
        database.execute("UPDATE sign_up SET cid = ? WHERE token = ?", (cid, token))
    return cid


def _ask(token: str, form: dict[str, str]) -> httpx.Response:
    attributes: dict[str, Any] = {
        "full_name": form["name"],
        "email": form["email"],
        "birth_date": form["born"],
    }
    return httpx.post(
        f"{os.environ['SHOP_CIDS']}/v1/sources/shop/customers",
        json={"attributes": attributes},
        headers={"Authorization": f"Bearer {os.environ['SHOP_KEY']}", "Idempotency-Key": token},
        timeout=30,
    )


def _open() -> sqlite3.Connection:
    database = sqlite3.connect(os.environ["SHOP_DATABASE"])
    database.execute("PRAGMA foreign_keys = ON")
    return database
