"""This measures how many documents of a Maven index one core reads in a second, and the memory that this takes, against
a field-by-field loop.

`python -m benchmarks.maven_index [--documents 3000000]`
"""

from __future__ import annotations

import argparse
import random
import struct
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

from isal import igzip

from benchmarks.harness import most_resident_mb, print_header, print_table, work_dir
from securechain_ingest.registries.maven.index import documents, uinfos
from securechain_ingest.registries.maven.index_records import read_listing
from tests.registry_server.maven.index import field, framed

VERSIONS_A_PACKAGE = 16
CLASSIFIERS = (("NA", "jar"), ("sources|jar", "jar"), ("javadoc|jar", "jar"), ("NA|pom.sha512", "pom.sha512"))
WORDS = (
    "library",
    "für",
    "client",
    "of",
    "the",
    "distributed",
    "and",
    "type-safe",
    "核心",
    "parser",
    "service",
    "that",
)
FIELD_BY_FIELD_DOCUMENTS = 300_000

Measured = tuple[int, float, float]
"""These are documents, seconds, and the most resident memory of the process in MB."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.maven_index")
    parser.add_argument("--documents", type=int, default=3_000_000)
    options = parser.parse_args()
    with work_dir() as folder:
        path = folder / "index.gz"
        expanded = write(path, options.documents)
        print_header(
            "The Maven index",
            f"{options.documents:,} documents, {expanded / options.documents:.0f} bytes each, generated; "
            f"the field-by-field loops over the first {FIELD_BY_FIELD_DOCUMENTS:,}",
        )
        rows = []
        for title, read in (
            ("a plain loop, field by field", plain_loop),
            ("all fields of all documents", all_fields),
            ("keys only", keys),
            ("packages with their revisions", listing),
        ):
            # A process for each, so that each has its own memory to show.
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as processes:
                count, seconds, memory_mb = processes.submit(measured, read, str(path)).result()
            rows.append({"": title, "documents/s": round(count / seconds), "seconds": seconds, "peak MB": memory_mb})
        print_table(rows)


def measured(read: Callable[[str], int], path: str) -> Measured:
    started_at = time.perf_counter()
    count = read(path)
    return count, time.perf_counter() - started_at, most_resident_mb("self")


def plain_loop(path: str) -> int:
    """Read the format as one would first write it down: one read a number and a text."""
    count = 0
    with igzip.IGzipFile(path, "rb") as file:  # type: ignore[no-untyped-call]
        file.read(9)
        while count < FIELD_BY_FIELD_DOCUMENTS and (head := file.read(4)):
            fields = {}
            for _ in range(struct.unpack(">i", head)[0]):
                file.read(1)
                name = file.read(struct.unpack(">H", file.read(2))[0]).decode()
                fields[name] = file.read(struct.unpack(">i", file.read(4))[0]).decode("utf-8", "surrogatepass")
            count += 1
    return count


def all_fields(path: str) -> int:
    count = 0
    with Path(path).open("rb") as file:
        for block in documents(file, path):
            count += len(block)
            if count >= FIELD_BY_FIELD_DOCUMENTS:
                break
    return count


def keys(path: str) -> int:
    with Path(path).open("rb") as file:
        return sum(len(block) for block in uinfos(file, path))


def listing(path: str) -> int:
    """Every document is a record here, and every fourth of a new version."""
    pages = read_listing(path, path).pages
    return sum(names for _, names in pages) * VERSIONS_A_PACKAGE * len(CLASSIFIERS)


def write(path: Path, count: int) -> int:
    """Write an index, and return how many bytes it expands to; `count` is rounded down to whole packages."""
    made = records(random.Random(1))
    a_package = VERSIONS_A_PACKAGE * len(CLASSIFIERS)
    left = count // a_package * a_package
    with igzip.IGzipFile(str(path), "wb", 1) as file:  # type: ignore[no-untyped-call]
        expanded: int = file.write(struct.pack(">bq", 1, 1_785_542_400_000))  # type: ignore[no-untyped-call]
        while block := b"".join(islice(made, min(left, 50_000))):
            left -= min(left, 50_000)
            expanded += file.write(block)  # type: ignore[no-untyped-call]
    return expanded


def records(chance: random.Random) -> Iterator[bytes]:
    """Yield records as Central's chunks have them: six fields, of which some lack a name or a description."""
    number = 0
    while True:
        number += 1
        artifact_id = f"{chance.choice(WORDS[4:8])}-{number}"
        package = f"org.example.group{number // 7}|{artifact_id}"
        name = field("n", " ".join(chance.choices(WORDS, k=3)))
        description = field("d", " ".join(chance.choices(WORDS, k=chance.randint(3, 40))))
        texts = (name, description) if chance.random() < 0.85 else ()
        for version in range(VERSIONS_A_PACKAGE):
            for classifier, extension in CLASSIFIERS:
                moment = 1_498_982_255_000 + chance.randrange(10**11)
                info = f"{extension}|{moment}|{chance.randrange(1_000, 9_000_000)}|1|1|1|{extension}"
                yield framed(
                    (
                        field("u", f"{package}|{version // 4}.{version % 4}.{number % 10}|{classifier}"),
                        field("m", str(moment)),
                        field("i", info),
                        *texts,
                        field("1", f"{chance.getrandbits(160):040x}"),
                    )
                )


if __name__ == "__main__":
    main()
