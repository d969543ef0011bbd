"""The command `health` tells whether the daemon on this machine is healthy. A container's supervisor calls it."""

from __future__ import annotations

import http.client
import json
import socket
from typing import Annotated, Any

import typer

from securechain_ingest.cli.options import ConfigOption, JsonOption, StateDirOption, load_settings, run_with_redis
from securechain_ingest.cli.output import print_json
from securechain_ingest.configuration import Settings


def command(
    timeout_s: Annotated[float, typer.Option("--timeout", min=0.1, max=60, help="Longest wait, in seconds.")] = 5.0,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask the daemon of this machine whether it is healthy.

    The command reads the daemon's page, or its heartbeat in Redis if `port` is 0 in the settings' table `web` or if
    another daemon of this machine has that port.
    The exit code is 1 if the daemon is not healthy, and 3 if there is no answer.
    A store that is away is no fault of the daemon.
    """
    settings = load_settings(config, state_dir)
    answer = _of_page(settings, timeout_s) if settings.web.port else None
    reason, code = answer or _of_heartbeat(settings)
    if as_json:
        print_json({"ok": code == 0, "reason": reason})
    if code or not as_json:
        typer.echo(reason, err=code != 0)
    if code:
        raise typer.Exit(code)


def _of_page(settings: Settings, timeout_s: float) -> tuple[str, int] | None:
    """Return what is said at the page's port, with the exit code. It is None if another daemon than the one of the
    state directory says it."""
    from securechain_ingest.embedded.addresses import last_holder

    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.web.host, settings.web.host)  # noqa: S104 - compared
    connection = http.client.HTTPConnection(host, settings.web.port, timeout=timeout_s)
    try:
        connection.request("GET", "/healthz")
        answer: Any = json.loads(connection.getresponse().read(65_536))
        # The daemon of a state directory holds it, so that after one that has ended no process is the right one.
        own = last_holder(settings.daemon.state_dir)
        if own is not None and str(answer.get("pid", own)) != own:
            return None
        return ("ok", 0) if answer["ok"] else (str(answer["reason"]), 1)
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"nothing at {host}:{settings.web.port} says whether it gets on ({type(error).__name__})", 3
    finally:
        connection.close()


def _of_heartbeat(settings: Settings) -> tuple[str, int]:
    from securechain_ingest.embedded.addresses import last_holder
    from securechain_ingest.queue.heartbeats import daemons_seen

    seen = run_with_redis(settings, lambda redis: daemons_seen(redis, settings.queue.stream))
    own = [daemon for daemon in seen if daemon.host == socket.gethostname()]
    if (pid := last_holder(settings.daemon.state_dir)) is not None:
        # Another daemon of this machine says nothing of the one that is asked for.
        own = [daemon for daemon in own if str(daemon.pid) == pid]
    up = [daemon for daemon in own if daemon.is_up]
    if stuck := next((daemon.stuck for daemon in up if daemon.stuck), None):
        return stuck, 1
    if up:
        return "ok", 0
    return "no daemon of this machine has been heard of lately", 1
