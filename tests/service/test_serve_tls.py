"""The service where others than this machine may reach it: TLS of its own, a proxy that is named, or not at all.

`LOCALHOST` is a name that the settings do not take for loopback, though it leads there: so these tests open nothing
to the network.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import httpx
import pytest

from tests.service.server import COMMAND, environment, serve
from tests.services.certificate import make_certificate

pytestmark = pytest.mark.slow

BEYOND = "LOCALHOST"


def refused(data_dir: Path, **settings: str) -> str:
    """Return why the service does not start; it leaves nothing behind."""
    done = subprocess.run(
        [*COMMAND, "serve", "--port", "0"],
        env=environment(data_dir, **settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert not data_dir.exists()
    return done.stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", BEYOND])
def test_beyond_loopback_the_service_does_not_start_in_clear(tmp_path: Path, host: str) -> None:
    said = refused(tmp_path / "data", SAMEAS_HOST=host)

    assert said.startswith("settings_invalid: ")
    assert "tls_cert" in said
    assert "trusted_proxy" in said


def test_beyond_loopback_it_serves_by_tls_to_who_trusts_its_certificate(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)

    with serve(tmp_path / "data", SAMEAS_HOST=BEYOND, **certificate.settings()) as service:
        assert service.url.startswith("https://")
        assert service.ask("PUT", "/v1/sources/crm", json={"domain": "sales"}).status_code == 201
        [answer] = service.lines("crm", b'{"key":"1","attributes":{"full_name":"Ada Byron"}}')
        found = service.ask("GET", "/v1/sources/crm/records/1/cid").json()
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            httpx.get(f"{service.url}/healthz")
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(f"{service.url.replace('https', 'http')}/healthz")

    assert found["cid"] == answer["cid"]


def test_behind_a_proxy_that_is_named_it_serves_in_clear_and_keys_count_as_ever(tmp_path: Path) -> None:
    forwarded = {"x-forwarded-proto": "https", "x-forwarded-for": "192.0.2.7, canaryclient"}

    with serve(
        tmp_path / "data", SAMEAS_HOST=BEYOND, SAMEAS_TRUSTED_PROXY="127.0.0.0/8", SAMEAS_LOG_LEVEL="debug"
    ) as service:
        put = service.ask("PUT", "/v1/sources/crm", json={"domain": "sales"}, headers=forwarded)
        stranger = service.ask("GET", "/v1/sources/crm", headers={**forwarded, "x-api-key": "sk_none"})
        log = service.log()

    assert service.url.startswith("http://")
    assert (put.status_code, stranger.status_code) == (201, 401)
    assert "canaryclient" not in log


@pytest.mark.parametrize("what", ["missing", "no certificate", "another key", "a key with a password"])
def test_a_certificate_that_cannot_be_used_is_refused_with_what_is_needed(tmp_path: Path, what: str) -> None:
    certificate = make_certificate(tmp_path, password=b"secret" if what == "a key with a password" else None)
    if what == "missing":
        certificate.key.unlink()
    elif what == "no certificate":
        certificate.cert.write_text("nothing of the kind")
    elif what == "another key":
        (tmp_path / "other").mkdir()
        certificate = certificate._replace(key=make_certificate(tmp_path / "other").key)

    said = refused(tmp_path / "data", **certificate.settings())

    assert said.startswith("settings_invalid: SAMEAS_TLS_CERT and SAMEAS_TLS_KEY ")
    assert "Traceback" not in said
