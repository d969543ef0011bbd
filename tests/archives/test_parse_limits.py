"""This tests what one parse may have of us (processor time, memory, an answer's bytes), and what it may know: real
children.
"""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import anyio
import psutil
import pytest

from securechain_ingest.archives.pool import INLINE_BYTES, ParserPool
from securechain_ingest.errors import ArchiveRefused, ParserLost, TooLarge
from securechain_ingest.settings import ArchiveSettings
from tests.archives.parsers import count_for_ever, names_of_document
from tests.waiting import PATIENCE_S

URL = "http://registry.test/six/json"


@pytest.fixture
async def pool() -> AsyncIterator[ParserPool]:
    async with ParserPool(ArchiveSettings(processes=1, cpu_s=1, memory_bytes=1024**3, timeout_s=PATIENCE_S)) as pool:
        yield pool


@pytest.fixture
async def patient() -> AsyncIterator[ParserPool]:
    """Return a pool that gives even a slow machine the time to make what is too large."""
    async with ParserPool(ArchiveSettings(processes=1, cpu_s=3600, memory_bytes=1024**3, timeout_s=3600)) as pool:
        yield pool


async def test_an_archive_that_takes_more_processor_time_than_allowed_is_refused_with_that_reason(
    pool: ParserPool,
) -> None:
    with pytest.raises(ArchiveRefused, match="1 s of processor time") as refused:
        await pool.run(count_for_ever)
    assert refused.value.reason == "cpu_time"
    assert not refused.value.transient
    assert await pool.run(len, b"next") == 4


async def test_processor_time_is_each_parses_own(pool: ParserPool) -> None:
    spins = "(lambda t, end: [None for _ in iter(lambda: t.process_time() < end, False)])"
    burn = f"{spins}(__import__('time'), __import__('time').process_time() + 0.1) and __import__('os').getpid()"
    assert len({await pool.run(eval, burn) for _ in range(20)}) == 1, "two seconds together"


async def test_what_reads_a_whole_list_may_take_its_own_time(pool: ParserPool) -> None:
    burn = "(lambda t: [None for _ in iter(lambda: t.process_time() < 2.5, False)])(__import__('time')) and 'done'"
    assert await pool.run(eval, burn, timeout_s=PATIENCE_S) == "done"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
async def test_a_child_that_died_of_anything_else_is_lost_which_is_no_fault_of_the_archive(
    pool: ParserPool, number: signal.Signals
) -> None:
    act = f"__import__('signal').signal({number}, __import__('signal').SIG_DFL) if {number} == 15 else None"
    with pytest.raises(ParserLost, match=number.name) as lost:
        await pool.run(eval, f"({act}, __import__('signal').raise_signal({number}))")
    assert lost.value.transient


async def test_memory_beyond_the_limit_is_told_as_that(patient: ParserPool) -> None:
    with pytest.raises(ArchiveRefused, match="more memory") as refused:
        await patient.run(bytes, 2 * 1024**3)
    assert refused.value.reason == "memory"


async def test_an_answer_beyond_16_mib_is_not_sent(patient: ParserPool) -> None:
    child = psutil.Process(await patient.run(os.getpid))
    assert len(await patient.run(bytes, 16 * 1024**2 - 1024)) > 0
    parses: list[Callable[[], object]] = [partial(bytes, 16 * 1024**2), partial(list, range(4_000_000))]
    for parse in parses:
        with pytest.raises(ArchiveRefused, match="16777216 bytes") as refused:
            await patient.run(parse)
        assert refused.value.reason == "answer_too_large"
    assert await patient.run(os.getpid) == child.pid


async def test_a_document_beyond_a_limit_is_told_by_its_address(patient: ParserPool) -> None:
    for make in ("[0] * 2**40", "'x' * 2**25"):
        with pytest.raises(TooLarge, match="six/json") as refused:
            await patient.parse_document(names_of_document, make.encode() + b" " * INLINE_BYTES, URL)
        assert refused.value.url == URL


async def test_the_kernel_ends_a_parser_before_the_daemon(pool: ParserPool) -> None:
    def score(pid: int) -> int:
        return int(Path(f"/proc/{pid}/oom_score_adj").read_text(encoding="ascii"))

    assert score(await pool.run(os.getpid)) > score(os.getpid())


async def test_a_child_knows_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GRAPH_DB_PASSWORD", "REDIS_URL", "VULN_DB_URI", "SECURECHAIN_GRAPH__PASSWORD", "NOTIFY_SOCKET"):
        monkeypatch.setenv(name, "secret")
    async with ParserPool(ArchiveSettings(processes=1)) as pool:
        known: dict[str, str] = await pool.run(eval, "dict(__import__('os').environ)")
        assert "secret" not in known.values()
        seen = await anyio.Path(f"/proc/{await pool.run(os.getpid)}/environ").read_bytes()
    assert b"secret" not in seen
