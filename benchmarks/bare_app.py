"""The floor of the HTTP benchmarks: a bare FastAPI application with one driver call in each route.

    python -m benchmarks.bare_app DATABASE_URL

Same server, loop and parser as `sameas serve`; no access control, no metrics, no validation, no logic.
Its tables are made by `prepare_tables`. It prints its address when it is ready.
"""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import AsyncIterator

import asyncpg
import psycopg
import uvicorn
from fastapi import FastAPI, Request

__all__ = ["create_bare_app", "main", "prepare_tables"]

_CONNECTIONS = 8


def prepare_tables(database_url: str) -> None:
    """Make the tables: the keys of all records with their CIDs, and an empty one to insert into."""
    with psycopg.connect(database_url, autocommit=True) as admin:
        admin.execute("CREATE TABLE bare_cid AS SELECT source || ':' || key AS key, cid FROM record")
        admin.execute("ALTER TABLE bare_cid ADD PRIMARY KEY (key)")
        admin.execute("CREATE TABLE bare_record (key text PRIMARY KEY, statement bytea NOT NULL)")
        admin.execute("VACUUM ANALYZE bare_cid")


def create_bare_app(database_url: str) -> FastAPI:
    """Return the application; its lifespan opens the connections."""
    pools: list[asyncpg.Pool[asyncpg.Record]] = []

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with asyncpg.create_pool(database_url, min_size=_CONNECTIONS, max_size=_CONNECTIONS) as pool:
            pools.append(pool)
            yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/cids/{key}")
    async def read_cid(key: str) -> dict[str, str | None]:
        row = await pools[0].fetchrow("SELECT cid FROM bare_cid WHERE key = $1", key)
        return {"key": key, "cid": row and row[0]}

    @app.put("/records/{key}")
    async def write_record(key: str, request: Request) -> dict[str, str]:
        await pools[0].execute("INSERT INTO bare_record VALUES ($1, $2)", key, await request.body())
        return {"key": key}

    return app


def main() -> None:
    """Serve on a free port until a signal."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(2_048)
        config = uvicorn.Config(
            create_bare_app(sys.argv[1]),
            http="httptools",
            loop="uvloop",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
        )
        print(f"serves at http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        uvicorn.Server(config).run([listener])


if __name__ == "__main__":
    main()
