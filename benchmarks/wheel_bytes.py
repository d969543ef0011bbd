"""This measures what the import names of a wheel cost in bytes: ranged reads of its end against the whole file.

`python -m benchmarks.wheel_bytes`. The wheels are made: modules of incompressible data, some 200 characters of name and
directory entry each, as real ones have them; the goal above 1 MB is at most 5 %.
"""

from __future__ import annotations

import asyncio
import io
import os
import tempfile
import zipfile
from functools import partial
from pathlib import Path
from typing import BinaryIO

from benchmarks.harness import print_header, print_table
from securechain_ingest.archives.pool import ParserPool
from securechain_ingest.archives.remote import ArchiveReader, ArtifactBytes, tail_window
from securechain_ingest.http.client import Range
from securechain_ingest.registries.pypi.import_names import read_wheel
from securechain_ingest.settings import ArchiveSettings

SHAPES = ((1.05, 20), (2, 60), (5, 150), (10, 300), (20, 800), (50, 2000))
"""These are (megabytes, modules)."""


class CountingSource:
    """This is a server of one file that counts what it hands out."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.requests = 0
        self.moved_bytes = 0

    async def get_range(self, url: str, first: int, last: int) -> ArtifactBytes:
        del url
        data = self.content[first : last + 1]
        self.requests += 1
        self.moved_bytes += len(data)
        return Range(data, first, len(self.content))

    async def download(self, url: str, file: BinaryIO, *, limit_bytes: int) -> int:
        del url, limit_bytes
        self.requests += 1
        self.moved_bytes += len(self.content)
        return file.write(self.content)


def made_wheel(megabytes: float, modules: int) -> bytes:
    buffer = io.BytesIO()
    share = int(megabytes * 1_000_000 / modules)
    with zipfile.ZipFile(buffer, "w") as wheel:
        for number in range(modules):
            wheel.writestr(f"some_package/some_part_{number % 20}/some_module_{number}.py", os.urandom(share))
        metadata = "Metadata-Version: 2.1\nName: some-package\nVersion: 1.0\n"
        wheel.writestr("some_package-1.0.dist-info/METADATA", metadata)
        wheel.writestr("some_package-1.0.dist-info/RECORD", "x" * 80 * modules)
    return buffer.getvalue()


async def measure(pool: ParserPool, folder: Path, megabytes: float, modules: int) -> dict[str, object]:
    source = CountingSource(made_wheel(megabytes, modules))
    size = len(source.content)
    reader = ArchiveReader(source, pool, folder, 1 << 30)
    parse = partial(read_wheel, limits=pool.limits, fallback=("some_package",))
    found = await reader.parse_ranged("http://made/wheel", size, parse, window_bytes=tail_window(size))
    return {
        "wheel MB": size / 1e6,
        "modules": modules,
        "names": len(found.names),
        "requests": source.requests,
        "KB moved": source.moved_bytes / 1e3,
        "share of the wheel %": 100 * source.moved_bytes / size,
    }


async def main() -> None:
    print_header("Bytes moved for the import names of a wheel", "ranged reads; the whole file would be 100 %")
    with tempfile.TemporaryDirectory() as folder:
        async with ParserPool(ArchiveSettings()) as pool:
            print_table([await measure(pool, Path(folder), *shape) for shape in SHAPES])


if __name__ == "__main__":
    asyncio.run(main())
