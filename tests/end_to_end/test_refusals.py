"""What a daemon refuses: messages that cannot be served, and a second daemon on its files."""

from __future__ import annotations

import redis

from tests.end_to_end.conftest import STREAM, Send, dead_letters
from tests.end_to_end.daemon_process import daemon
from tests.end_to_end.one_graph_server import graph_target
from tests.registry_server import World, serve

__all__ = ["graph_target"]


def test_each_kind_of_bad_message_becomes_a_dead_letter_with_its_reason(
    environment: dict[str, str], send: Send, queue: redis.Redis
) -> None:
    with serve(World()) as server, daemon(environment | server.environment()) as process:
        queue.xadd(STREAM, {"other": "field"})
        queue.xadd(STREAM, {"data": "{"})
        queue.xadd(STREAM, {"data": "[]"})
        send("CobolPackage", "x")
        send("MavenPackage", "a:b:c")
        send("NPMPackage", "no such name")
        send("NPMPackage", "not-there")
        process.wait_for("message_dead_lettered", 7)
        letters = dead_letters(queue)
        kinds = [
            "missing_data",
            "bad_json",
            "bad_schema",
            "unknown_node_type",
            "invalid_name",
            "invalid_name",
            "not_found",
        ]
        assert sorted(letter["kind"] for letter in letters) == sorted(kinds)
        fields = {"data", "error", "kind", "attempts", "first_failed_at", "last_failed_at", "origin_id", "lane"}
        assert all(set(letter) == fields for letter in letters)
        assert next(letter for letter in letters if letter["kind"] == "bad_json")["data"] == "{"


def test_a_second_daemon_on_the_same_state_directory_is_refused_in_one_line(environment: dict[str, str]) -> None:
    with serve(World()) as server, daemon(environment | server.environment()):
        with daemon(environment | server.environment(), ready=False) as second:
            assert second.wait() == 2
        assert len(second.lines) == 1
        assert environment["SECURECHAIN_STATE_DIR"] in second.lines[0]
