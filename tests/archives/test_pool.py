"""This tests the guarded pool against children that die, hang, swell and answer oddly; they run the standard library
only.
"""

from __future__ import annotations

import functools
import json
import operator
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager

import anyio
import psutil
import pytest

from securechain_ingest.archives.pool import INLINE_BYTES, ParserPool
from securechain_ingest.archives.process import ParserProcess
from securechain_ingest.archives.sparse import MissingBytes
from securechain_ingest.errors import ArchiveRefused, Malformed, ParserLost, RateLimited
from securechain_ingest.settings import ArchiveSettings
from tests.archives.parsers import fail_with
from tests.kept_parsers import end_kept_parsers
from tests.waiting import PATIENCE_S, until

# Stops its process for good, which can be seen from outside.
_STOP = functools.partial(signal.raise_signal, signal.SIGSTOP)


@pytest.fixture(autouse=True)
def no_other_children() -> None:
    end_kept_parsers()


@pytest.fixture
async def pool() -> AsyncIterator[ParserPool]:
    async with ParserPool(ArchiveSettings(processes=1, timeout_s=PATIENCE_S, memory_bytes=1024**3)) as pool:
        yield pool


async def _child(pool: ParserPool) -> psutil.Process:
    return psutil.Process(await pool.run(os.getpid))


def _gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def _children() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "securechain_ingest.archives.child" in child.cmdline()]


async def _until_busy(child: psutil.Process) -> None:
    """Wait for a child that was sent _STOP."""
    await until(lambda: child.status() == psutil.STATUS_STOPPED)


async def test_a_value_of_any_size_goes_there_and_back(pool: ParserPool) -> None:
    for size in (0, 1, 300_000, 20_000_000):
        assert len(await pool.run(bytes, size, timeout_s=PATIENCE_S)) == size
        assert await pool.run(len, bytes(size)) == size
    rows = [(str(number), number) for number in range(100_000)]
    assert await pool.run(list, rows) == rows


async def test_one_child_serves_many_calls(pool: ParserPool) -> None:
    assert {await pool.run(os.getpid) for _ in range(20)} == {(await _child(pool)).pid}


async def test_a_child_that_dies_costs_only_its_own_call(pool: ParserPool) -> None:
    before = await _child(pool)
    for act in (
        functools.partial(os._exit, 0),
        functools.partial(signal.raise_signal, signal.SIGKILL),
        functools.partial(signal.raise_signal, signal.SIGSEGV),
    ):
        with pytest.raises(ParserLost, match="died"):
            await pool.run(act)
        assert await pool.run(len, b"next") == 4
    assert _gone(before)


async def test_a_child_killed_from_outside_while_it_parses_is_replaced(pool: ParserPool) -> None:
    child = await _child(pool)
    async with anyio.create_task_group() as group:

        async def parse() -> None:
            with pytest.raises(ParserLost, match="died"):
                await pool.run(_STOP)

        group.start_soon(parse)
        await _until_busy(child)
        child.kill()
    assert (await _child(pool)).pid != child.pid


async def test_a_child_that_died_while_idle_costs_nothing(pool: ParserPool) -> None:
    child = await _child(pool)
    child.kill()
    await until(lambda: _gone(child))
    assert await pool.run(len, b"next") == 4


async def test_a_hung_child_is_killed_after_its_time() -> None:
    async with ParserPool(ArchiveSettings(processes=1, timeout_s=0.5)) as pool:
        [child] = _children()
        with pytest.raises(ArchiveRefused, match=r"over 0\.5 s") as refused:
            await pool.run(_STOP)
        assert refused.value.reason == "time"
        assert _gone(child)
        assert await pool.run(len, b"next", timeout_s=PATIENCE_S) == 4


async def test_memory_beyond_the_limit_is_a_refusal_and_the_child_lives_on(pool: ParserPool) -> None:
    child = await _child(pool)
    with pytest.raises(ArchiveRefused) as refused:
        await pool.run(bytes, 2 * 1024**3)
    assert refused.value.reason == "memory"
    assert (await _child(pool)).pid == child.pid


@pytest.mark.parametrize(
    ("parse", "args", "message"),
    [
        (eval, ("(lambda again: again(again))(lambda again: again(again))",), "RecursionError"),
        (open, ("/nonexistent",), "FileNotFoundError"),
        (operator.truediv, (1, 0), "ZeroDivisionError"),
        (int, ("x",), r"ValueError: invalid literal for int\(\) with base 10: 'x'"),
        (json.loads, ("{,}",), "JSONDecodeError"),
        (bytes.decode, (b"\xff",), "UnicodeDecodeError"),
        (eval, ("lambda: None",), "lambda"),
        (eval, ("type('Foreign', (ValueError,), {}).__call__('a').__class__",), "Foreign"),
        (eval, ("(_ for _ in ()).throw(type('Foreign', (ValueError,), {})('told'))",), "told"),
    ],
)
async def test_what_a_parser_did_not_mean_to_raise_is_a_refusal(
    pool: ParserPool, parse: Callable[..., object], args: tuple[object, ...], message: str
) -> None:
    with pytest.raises(ArchiveRefused, match=message) as refused:
        await pool.run(parse, *args)
    assert refused.value.reason == "parser_error"
    assert await pool.run(len, b"next") == 4


async def test_errors_that_a_parser_means_arrive_unchanged(pool: ParserPool) -> None:
    for error in (Malformed("no versions", url="http://registry.test/pkg"), MissingBytes(3, 9)):
        with pytest.raises(type(error)) as raised:
            await pool.run(fail_with, error)
        assert (str(raised.value), vars(raised.value)) == (str(error), vars(error))


@pytest.mark.parametrize(
    "error",
    [
        ArchiveRefused("too many", reason="too_many_members"),
        Malformed("no versions", url="http://registry.test/pkg"),
        RateLimited("slow down", url="http://registry.test/pkg", delay_s=2.5),
        MissingBytes(3, 9),
    ],
    ids=lambda error: type(error).__name__,
)
def test_our_errors_cross_processes_with_all_they_carry(error: Exception) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert (str(copy), copy.args, vars(copy)) == (str(error), error.args, vars(error))


async def test_a_cancelled_call_ends_at_once_and_its_child_with_it(pool: ParserPool) -> None:
    child = await _child(pool)
    async with anyio.create_task_group() as group:
        group.start_soon(pool.run, _STOP)
        await _until_busy(child)
        group.cancel_scope.cancel()
    assert _gone(child)
    assert await pool.run(len, b"next") == 4


async def test_no_more_children_run_than_processes_are_allowed() -> None:
    async with ParserPool(ArchiveSettings(processes=2)) as pool:
        pids: set[int] = set()

        async def parse() -> None:
            pids.add(await pool.run(os.getpid))

        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(parse)
        assert 1 <= len(pids) <= 2
        assert len(_children()) == 2


async def test_children_are_ready_when_the_pool_is_and_gone_when_it_is_closed() -> None:
    async with ParserPool(ArchiveSettings(processes=2), preload=["wave"]) as pool:
        children = _children()
        assert len(children) == 2
        assert await pool.run(eval, "'wave' in __import__('sys').modules")
    assert all(_gone(child) for child in children)


async def test_a_pool_whose_children_cannot_start_says_so_and_leaves_none() -> None:
    with pytest.raises(ParserLost, match="died"):
        async with ParserPool(ArchiveSettings(processes=2), preload=["this_module_does_not_exist"]):
            pytest.fail("it started")
    assert _children() == []


async def test_a_child_that_is_killed_while_the_pool_starts_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    spawn = ParserPool._spawn
    started: list[ParserProcess] = []

    def first_is_killed(self: ParserPool) -> ParserProcess:
        process = spawn(self)
        if not started:
            for child in _children():
                child.kill()
        started.append(process)
        return process

    monkeypatch.setattr(ParserPool, "_spawn", first_is_killed)
    async with ParserPool(ArchiveSettings(processes=2)) as pool:
        assert len(started) == 3
        assert len([child for child in _children() if not _gone(child)]) == 2
        assert await pool.run(operator.add, 1, 2) == 3
    assert _children() == []


async def test_children_can_write_no_file_and_outlive_the_signals_of_a_terminal(
    pool: ParserPool, tmp_path: os.PathLike[str]
) -> None:
    with pytest.raises(ArchiveRefused, match="OSError"):
        await pool.run(eval, f"open({os.path.join(tmp_path, 'file')!r}, 'wb', buffering=0).write(b'x')")  # noqa: PTH118
    child = await _child(pool)
    for terminal_signal in (signal.SIGINT, signal.SIGTERM):
        child.send_signal(terminal_signal)
        assert (await _child(pool)).pid == child.pid
    assert os.getpgid(child.pid) != os.getpgid(0)


async def test_small_documents_are_parsed_here_and_large_ones_in_a_child(pool: ParserPool) -> None:
    script = b"__import__('os').getpid()"
    assert await pool.parse_document(eval, script) == os.getpid()
    assert await pool.parse_document(eval, script + b" " * INLINE_BYTES) == (await _child(pool)).pid


_DAEMON = """
import anyio, os, time
from securechain_ingest.archives.pool import ParserPool
from securechain_ingest.settings import ArchiveSettings

async def main():
    async with ParserPool(ArchiveSettings(processes=2)) as pool, anyio.create_task_group() as group:
        group.start_soon(pool.run, time.sleep, 600)
        print(await pool.run(os.getpid), flush=True)
        await anyio.sleep_forever()

anyio.run(main)
"""


@contextmanager
def _daemon() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", _DAEMON], stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


async def test_children_idle_and_busy_end_when_the_daemon_is_killed() -> None:
    with _daemon() as process:
        assert process.stdout is not None
        process.stdout.readline()
        children = psutil.Process(process.pid).children()
        assert len(children) == 2
        process.kill()
        process.wait()
        await until(lambda: all(_gone(child) for child in children))
