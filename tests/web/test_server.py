"""A page that cannot be served costs the page and nothing else."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request

from securechain_ingest.configuration import load
from securechain_ingest.web.app import _handlers
from securechain_ingest.web.page import open_page
from securechain_ingest.web.parts import Parts
from securechain_ingest.web.security import TOKEN_FILE, is_loopback, token_of
from securechain_ingest.web.server import listen
from securechain_ingest.web.shell import Shell


def test_a_port_that_is_taken_is_one_warning(capsys: pytest.CaptureFixture[str]) -> None:
    first = listen("127.0.0.1", 0)
    assert first is not None
    with first:
        assert listen("127.0.0.1", first.getsockname()[1]) is None
    assert capsys.readouterr().out.count("page_not_served") == 1


def test_the_token_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    made = token_of(None, tmp_path)
    assert token_of(None, tmp_path) == made
    assert len(made) >= 32
    assert stat.S_IMODE((tmp_path / TOKEN_FILE).stat().st_mode) == 0o600
    assert token_of("configured", tmp_path) == "configured"


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("ingest.example", False),
    ],
)
def test_loopback_is_told_from_what_others_reach(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_a_token_that_cannot_be_kept_costs_the_page_and_is_one_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / TOKEN_FILE).mkdir()
    settings = load(environment={"SECURECHAIN_STATE_DIR": str(tmp_path), "SECURECHAIN_WEB__PORT": "39217"})
    nothing: Any = None
    assert open_page(nothing, settings, nothing) is None
    assert capsys.readouterr().out.count("page_not_served") == 1


async def test_a_path_of_any_length_is_answered_with_a_short_page() -> None:
    settings = load(environment={})
    nothing: Any = None
    refused = _handlers(Shell(Parts(nothing, settings, nothing, "a-token")))[HTTPException]
    told_by_asgi = {"type": "http", "method": "GET", "query_string": b"", "headers": [], "scheme": "http"}

    answers = []
    for length in (20, 100_000):
        path = f"/nowhere{length * 'x'}"
        answer = await refused(Request({**told_by_asgi, "path": path, "server": ("localhost", 80)}), HTTPException(404))
        assert answer.status_code == 404
        answers.append(bytes(answer.body).decode())

    assert f"There is no page /nowhere{20 * 'x'}" in answers[0]
    assert "There is no page /nowherexxx" in answers[1]
    assert len(answers[1]) < len(answers[0]) + 1_000
