"""These are real wheels and sdists, small ones and large ones, the same bytes for the same declaration."""

from __future__ import annotations

import base64
import hashlib
import io
import random
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from tests.registry_server.tars import tar_gz

MOMENT = (2020, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Wheel:
    """This is a wheel to be made."""

    members: Mapping[str, bytes] | None = None
    """This is what it holds beside its metadata; None: one package with an `__init__.py`, named after the project."""
    tag: str = "py3-none-any"
    build: str | None = None
    core_metadata: bool = True
    """This says whether the registry offers the metadata as a file of its own."""
    import_names: tuple[str, ...] = ()
    """These are the values of Core metadata's Import-Name."""
    import_namespaces: tuple[str, ...] = ()
    padding_bytes: int = 0
    """These are the bytes of data that does not compress, before everything else."""
    filename_version: str | None = None
    """This is the version in the file name, where its spelling is another than the release's."""


@dataclass(frozen=True, slots=True)
class Sdist:
    """This is a source distribution to be made."""

    members: Mapping[str, bytes] | None = None
    """This is what it holds below its top folder, beside its metadata; None: as in a wheel."""
    suffix: Literal[".tar.gz", ".zip"] = ".tar.gz"


@dataclass(frozen=True, slots=True)
class Built:
    """This is a file as it is served."""

    filename: str
    body: bytes
    packagetype: str
    python_version: str
    metadata: bytes | None = None
    """This is offered beside the file."""
    sha256: str = field(init=False)
    blake2b: str = field(init=False)
    md5: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sha256", hashlib.sha256(self.body).hexdigest())
        object.__setattr__(self, "blake2b", hashlib.blake2b(self.body, digest_size=32).hexdigest())
        object.__setattr__(self, "md5", hashlib.md5(self.body, usedforsecurity=False).hexdigest())

    @property
    def path(self) -> str:
        return f"/packages/{self.blake2b[:2]}/{self.blake2b[2:4]}/{self.blake2b[4:]}/{self.filename}"


def build_wheel(wheel: Wheel, name: str, version: str, metadata: bytes) -> Built:
    stem = f"{_file_name(name)}-{_file_version(wheel.filename_version or version)}"
    dist_info = f"{stem}.dist-info"
    members: dict[str, bytes] = {}
    if wheel.padding_bytes:
        noise = random.Random(f"{name} {version}").randbytes(wheel.padding_bytes)
        members[f"{stem}.data/data/noise.bin"] = noise
    members |= _default_members(name) if wheel.members is None else wheel.members
    members[f"{dist_info}/METADATA"] = metadata
    members[f"{dist_info}/WHEEL"] = (
        f"Wheel-Version: 1.0\nGenerator: made\nRoot-Is-Purelib: true\nTag: {wheel.tag}\n".encode()
    )
    record = "".join(f"{member},sha256={_record_hash(body)},{len(body)}\n" for member, body in members.items())
    members[f"{dist_info}/RECORD"] = (record + f"{dist_info}/RECORD,,\n").encode()
    build = "" if wheel.build is None else f"-{wheel.build}"
    return Built(
        filename=f"{stem}{build}-{wheel.tag}.whl",
        body=_zip(members),
        packagetype="bdist_wheel",
        python_version=wheel.tag.partition("-")[0],
        metadata=metadata if wheel.core_metadata else None,
    )


def build_sdist(sdist: Sdist, name: str, version: str, metadata: bytes) -> Built:
    top = f"{name}-{version}"
    content = {"PKG-INFO": metadata, "setup.py": b"from setuptools import setup\nsetup()\n"}
    content |= _default_members(name) if sdist.members is None else sdist.members
    members = {f"{top}/{path}": body for path, body in content.items()}
    body = _zip(members) if sdist.suffix == ".zip" else tar_gz(members)
    return Built(filename=f"{top}{sdist.suffix}", body=body, packagetype="sdist", python_version="source")


def _zip(members: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for path, body in members.items():
            member = zipfile.ZipInfo(path, MOMENT)
            member.external_attr = 0o644 << 16
            member.compress_type = zipfile.ZIP_STORED if path.endswith(".bin") else zipfile.ZIP_DEFLATED
            archive.writestr(member, body)
    return packed.getvalue()


def _default_members(name: str) -> dict[str, bytes]:
    return {f"{_file_name(name).lower()}/__init__.py": b'"""Made."""\n'}


def _file_name(name: str) -> str:
    return name.replace("-", "_").replace(".", "_")


def _file_version(version: str) -> str:
    return version.replace("-", "_")


def _record_hash(body: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(body).digest()).rstrip(b"=").decode()
