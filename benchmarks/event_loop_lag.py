"""This measures how late the event loop is while the process pool parses at full load; the goal is a 99th percentile
below 20 ms.

`python -m benchmarks.event_loop_lag [--seconds 10]`. Five loads, with the daemon's own settings of the interpreter:

- parsing: npm packuments of 1,000 versions with 10 requirements each (some 2 MB), always 8 on their way to the pool;
- effective POMs: always 8 on their way; each POM of 8 MB inherits from one and imports one that are as large, with as
  many dependencies, managed ones and properties as are read of a POM;
- refused POMs: likewise, of 8 MB of dependencies, which are too many;
- fetching: everything that a visit reads, over HTTP from a made registry on the same machine: a packument of 20,000
  versions with 5 requirements each (17 MB), again and again, and always 7 tarballs above 1 MB;
- rating: a package of 200,000 versions by 50 advisories, each with a range and a list of 1,000 versions.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import orjson

from benchmarks.harness import client_settings, print_header, print_table, work_dir
from securechain_ingest.advisories.matching import rated
from securechain_ingest.archives.pool import ParserPool
from securechain_ingest.archives.remote import ArchiveReader
from securechain_ingest.daemon import favour_the_event_loop
from securechain_ingest.errors import Malformed
from securechain_ingest.http.client import HttpClient
from securechain_ingest.model import Package
from securechain_ingest.registries.maven.names import Coordinates
from securechain_ingest.registries.maven.package import requirements
from securechain_ingest.registries.maven.pom import MAX_DEPENDENCIES, Pom, parse_pom
from securechain_ingest.registries.maven.poms import MAX_POM_BYTES
from securechain_ingest.registries.maven.resolution import Effectives
from securechain_ingest.registries.npm.client import Npm
from securechain_ingest.registries.npm.names import identify
from securechain_ingest.registries.npm.packument import parse_packument
from securechain_ingest.service import PRELOADED
from securechain_ingest.settings import ArchiveSettings, HttpSettings
from tests.registries.asking import kept_in
from tests.registry_server import Shape, generate, spawn

AT_ONCE = 8
GIANT_VERSIONS = 20_000
LARGE_PACKAGES = 20
RATED_VERSIONS = 200_000
RECORDS = 50
TICK_S = 0.002


def made_packument(versions: int, requirements: int) -> bytes:
    manifests = {
        f"{number}.0.0": {
            "name": "made",
            "version": f"{number}.0.0",
            "dependencies": {f"dependency-{each}": f"^{each}.{number}.0" for each in range(requirements)},
            "dist": {"tarball": f"https://registry.example/made-{number}.tgz", "integrity": "sha512-" + "x" * 88},
            "description": "A made package. " * 60,
        }
        for number in range(versions)
    }
    return orjson.dumps({"name": "made", "dist-tags": {"latest": f"{versions - 1}.0.0"}, "versions": manifests})


async def lags(load: Coroutine[Any, Any, int]) -> tuple[list[float], int]:
    """Return how much later than asked each tick came, in milliseconds, while `load` runs; and what `load` returns."""
    late: list[float] = []
    task = asyncio.create_task(load)
    while not task.done():
        asked = time.perf_counter() + TICK_S
        await asyncio.sleep(TICK_S)
        late.append((time.perf_counter() - asked) * 1000)
    return sorted(late), task.result()


async def parse_for(pool: ParserPool, body: bytes, seconds: float) -> int:
    """Return how many packuments were parsed."""
    ends_at = time.perf_counter() + seconds
    ref, parsed = identify("made"), 0

    async def worker() -> None:
        nonlocal parsed
        while time.perf_counter() < ends_at:
            await pool.parse_document(parse_packument, body, ref, "http://made")
            parsed += 1

    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
    return parsed


def made_pom(name: str, entries: int, text: str, *, parent: str = "", imports: str = "") -> bytes:
    """Return a POM of MAX_POM_BYTES: `entries` dependencies, three times as many managed ones and properties, and a
    text.
    """
    group = f"com.made.{name}"

    def dependency(kind: str, number: int, version: str) -> str:
        ids = f"<groupId>{group}</groupId><artifactId>{kind}-{number}</artifactId>"
        return f"<dependency>{ids}{version}</dependency>"

    inherited = f"<parent><groupId>made</groupId><artifactId>{parent}</artifactId><version>1</version></parent>"
    imported = (
        f"<dependency><groupId>made</groupId><artifactId>{imports}</artifactId><version>1</version><type>pom</type>"
        "<scope>import</scope></dependency>"
    )
    plain = "".join(dependency("thing", number, "") for number in range(entries))
    managed = "".join(
        dependency("thing", number, f"<version>${{v{number}}}</version>") for number in range(3 * entries)
    )
    texts = "".join(f"<v{number}>1.{number}</v{number}>" for number in range(3 * entries))
    body = (
        f"<project>{inherited if parent else ''}<groupId>made</groupId><artifactId>{name}</artifactId>"
        f"<version>1</version><properties>{texts}</properties><dependencyManagement><dependencies>{managed}"
        f"{imported if imports else ''}</dependencies></dependencyManagement><dependencies>{plain}</dependencies>"
    )
    filler = text * ((MAX_POM_BYTES - len(body)) // len(text) - 10)
    return f"{body}<description>{filler}</description></project>".encode()


async def read_poms_for(pool: ParserPool, bodies: dict[str, bytes], seconds: float) -> int:
    """Return how many effective POMs were made, or refused, of the POM `own` and those that it needs."""
    ends_at = time.perf_counter() + seconds
    own, read = Coordinates("made", "own", "1"), 0

    async def load(coordinates: Coordinates) -> Pom:
        return await pool.parse_document(parse_pom, bodies[coordinates.artifact_id], str(coordinates))

    async def versions(group_id: str, artifact_id: str) -> tuple[str, ...]:
        return ("1",)

    async def worker() -> None:
        nonlocal read
        while time.perf_counter() < ends_at:
            with suppress(Malformed):
                found = await Effectives(load, versions, pool.run).of(own, await load(own))
                await pool.run(requirements, found.dependencies)
            read += 1

    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
    return read


@asynccontextmanager
async def made_registry(pool: ParserPool) -> AsyncIterator[Npm]:
    shape = ("--packages", str(LARGE_PACKAGES), "--seed", "1", "--ecosystems", "npm", "--odd-share", "0")
    with (
        spawn(*shape, "--large-share", "1", "--giant-versions", str(GIANT_VERSIONS)) as registry,
        work_dir() as folder,
    ):
        async with HttpClient(*client_settings(registry.endpoints())) as http:
            archives = ArchiveReader(http, pool, folder, HttpSettings().max_artifact_bytes)
            yield Npm(http, archives, pool, kept_in(folder))


async def fetch_for(registry: Npm, packages: Sequence[Package], seconds: float) -> int:
    """Return how many packuments and tarballs were read."""
    ends_at = time.perf_counter() + seconds
    giant, read = identify("giant"), 0

    async def packuments() -> None:
        nonlocal read
        while time.perf_counter() < ends_at:
            await registry.fetch(giant, None)
            read += 1

    async def tarballs(mine: Sequence[Package]) -> None:
        nonlocal read
        for package in itertools.cycle(mine):
            await registry.import_names(package)
            read += 1
            if time.perf_counter() > ends_at:
                return

    readers = AT_ONCE - 1
    await asyncio.gather(packuments(), *(tarballs(packages[number::readers]) for number in range(readers)))
    return read


def made_advisories() -> list[dict[str, Any]]:
    return [
        {
            "id": f"GHSA-{number}",
            "severity": [{"type": "CVSS_V3", "base_score": number % 10}],
            "affected": [
                {
                    "package": {"ecosystem": "npm", "name": "made"},
                    "ranges": [{"type": "SEMVER", "events": [{"introduced": f"{number}.0.0"}, {"fixed": "150.0.0"}]}],
                    "versions": [f"{number + 100}.{minor}.0" for minor in range(1000)],
                }
            ],
        }
        for number in range(RECORDS)
    ]


async def rate_for(
    pool: ParserPool, versions: frozenset[str], advisories: Sequence[dict[str, Any]], seconds: float
) -> int:
    """Return how often the package was rated."""
    ends_at = time.perf_counter() + seconds
    done = 0
    while time.perf_counter() < ends_at:
        await rated(pool, identify("made"), versions, advisories)
        done += 1
    return done


async def idle(seconds: float) -> int:
    await asyncio.sleep(seconds)
    return 0


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.event_loop_lag")
    parser.add_argument("--seconds", type=float, default=10.0)
    seconds = parser.parse_args().seconds
    body = made_packument(1000, 10)
    share = MAX_DEPENDENCIES // 2 - 1
    large_poms = {
        "own": made_pom("own", share, "x ", parent="parent", imports="bom"),
        "parent": made_pom("parent", share, "x "),
        "bom": made_pom("bom", MAX_DEPENDENCIES, "x "),
    }
    versions = frozenset(f"{number // 1000}.{number % 1000}.0" for number in range(RATED_VERSIONS))
    large = generate(Shape(packages=LARGE_PACKAGES, seed=1, ecosystems=("npm",), odd_share=0, large_share=1))
    favour_the_event_loop()
    rows: list[dict[str, object]] = []
    async with (
        ParserPool(ArchiveSettings(), preload=PRELOADED) as pool,
        made_registry(pool) as registry,
    ):
        names = [package.registry_name for package in large.truth().values()]
        packages = [found for name in names if isinstance(found := await registry.fetch(identify(name), None), Package)]
        given = f"packuments of {len(body) / 1e6:.1f} MB or all over HTTP, {AT_ONCE} on their way"
        print_header("Event-loop lag while the pool parses", given)
        for name, load in (
            ("idle", idle(seconds / 4)),
            ("parsing", parse_for(pool, body, seconds)),
            ("effective POMs", read_poms_for(pool, large_poms, seconds)),
            ("refused POMs", read_poms_for(pool, {"own": made_pom("own", 30_000, "x ")}, seconds)),
            ("fetching", fetch_for(registry, packages, seconds)),
            ("rating", rate_for(pool, versions, made_advisories(), seconds)),
        ):
            late, done = await lags(load)
            rows.append(
                {
                    "load": name,
                    "documents/s": done / seconds,
                    "p50 ms": late[len(late) // 2],
                    "p99 ms": late[len(late) * 99 // 100],
                    "max ms": late[-1],
                }
            )
    print_table(rows)


if __name__ == "__main__":
    asyncio.run(main())
