"""Running the `sameas` command from the demonstration."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from service.demo.errors import DemoFailed
from service.demo.server import DEFAULT_PORT, find_port, run_command, serve

if TYPE_CHECKING:
    from pathlib import Path


def test_a_wanted_port_is_taken_and_else_a_free_one() -> None:
    assert find_port(4_711) == 4_711
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", DEFAULT_PORT))
            taken.listen()
        except OSError:
            pass  # somebody else has it, which is as good

        assert find_port(None) != DEFAULT_PORT


@pytest.mark.slow
def test_a_command_that_fails_is_an_error_with_what_it_printed(tmp_path: Path) -> None:
    with pytest.raises(DemoFailed, match=r"(?s)ended with 2.*No such command"):
        run_command("no-such-command", data_dir=tmp_path)


@pytest.mark.slow
def test_the_server_serves_while_it_is_shown_and_has_ended_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAMEAS_DATABASE_URL", "postgresql://not.to.be.used/at-all")

    with serve(tmp_path, port=find_port(None)) as client:
        assert client.call("GET", "/v1/sources") is not None
        assert (tmp_path / "serve.log").stat().st_mode & 0o777 == 0o600

    assert not client.is_well("/healthz")


@pytest.mark.slow
def test_a_server_that_does_not_start_is_an_error_with_its_reason(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()

        with pytest.raises(DemoFailed, match="cannot listen"), serve(tmp_path, port=taken.getsockname()[1]):
            pass
