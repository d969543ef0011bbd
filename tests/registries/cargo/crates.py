"""These are small crates, written as their sources."""

from __future__ import annotations

import io

from securechain_ingest.archives.limits import ArchiveLimits
from securechain_ingest.model import ImportNames
from securechain_ingest.registries.cargo.import_names import read_crate
from tests.registry_server.tars import tar_gz

LIMITS = ArchiveLimits(max_members=1000, max_expanded_bytes=50_000_000)
MANIFEST = '[package]\nname = "my-crate"\nversion = "1.0.0"\nedition = "2021"\n'


def read(files: dict[str, str], manifest: str = MANIFEST) -> ImportNames:
    members = {"Cargo.toml": manifest, **files}
    return read_crate(
        io.BytesIO(tar_gz({f"my-crate-1.0.0/{path}": text.encode() for path, text in members.items()})), LIMITS
    )


def paths(root: str, manifest: str = MANIFEST, **files: str) -> list[str]:
    """Return the paths below the crate's name; `a__b` stands for the file `src/a/b.rs`."""
    sources = {f"src/{name.replace('__', '/')}.rs": text for name, text in files.items()}
    crate, *names = read({"src/lib.rs": root, **sources}, manifest).names
    assert crate == "my_crate"
    return [name.removeprefix("my_crate::") for name in names]


def edition(year: int) -> str:
    return MANIFEST.replace("2021", str(year))
