"""These are real gem files, the same bytes for the same declaration."""

from __future__ import annotations

import gzip
import hashlib
import io
import random
import tarfile
from collections.abc import Mapping

import yaml

from tests.registry_server.rubygems.gems import Gem, GemVersion
from tests.registry_server.tars import MOMENT_S, tar_gz

_PADDING = "data/noise.bin"


def gem_file(gem: Gem, version: GemVersion, platform: str = "ruby") -> bytes:
    """Return the .gem of one platform."""
    files = dict.fromkeys(version.files if version.files is not None else (f"lib/{gem.name}.rb",), b"# Made.\n")
    if version.padding_bytes:
        files[_PADDING] = random.Random(gem.name).randbytes(version.padding_bytes)
    gemspec = _gemspec(gem, version, platform, files).encode()
    data = tar_gz(files)
    metadata = gzip.compress(gemspec, 9, mtime=MOMENT_S)
    match version.layout:
        case "modern":
            checksums = f"---\nSHA256:\n  metadata.gz: {hashlib.sha256(metadata).hexdigest()}\n".encode()
            packed = gzip.compress(checksums, 9, mtime=MOMENT_S)
            return tar({"metadata.gz": metadata, "data.tar.gz": data, "checksums.yaml.gz": packed})
        case "2008":
            return tar({"data.tar.gz": data, "metadata.gz": metadata})
        case "unpacked":
            return tar({"data.tar.gz": data, "metadata": gemspec})


def tar(members: Mapping[str, bytes]) -> bytes:
    """Return a plain tar as RubyGems writes it."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, body in members.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode, member.mtime = len(body), 0o444, MOMENT_S
            archive.addfile(member, io.BytesIO(body))
    return raw.getvalue()


def _gemspec(gem: Gem, version: GemVersion, platform: str, files: Mapping[str, bytes]) -> str:
    """Return what Gem::Specification#to_yaml writes: tags of Ruby's classes, and an alias where it writes one text
    twice.
    """
    links = {key: value for key, value in gem.links.items() if key != "homepage_uri"}
    listed = list(files) if version.lists_files else []
    needs = version.platform_needs.get(platform, version.needs)
    return "\n".join(
        [
            "--- !ruby/object:Gem::Specification",
            f"name: {_quoted(gem.name)}",
            "version: !ruby/object:Gem::Version",
            f"  version: {_quoted(version.number)}",
            f"platform: {platform}",
            "authors:",
            "- Somebody",
            "autorequire:",
            "bindir: bin",
            "cert_chain: []",
            f"date: {gem.date_of(version)[:10]} 00:00:00.000000000 Z",
            "dependencies:" if needs else "dependencies: []",
            *(line for need in needs for line in _dependency(need.target or "", need.written)),
            "description: |",
            "  Made.",
            "email: somebody@example.org",
            "executables: []",
            "extensions: []",
            "extra_rdoc_files: []",
            "files:" if listed else "files: []",
            *(f"- {_quoted(path)}" for path in listed),
            f"homepage: {_quoted(gem.links.get('homepage_uri', ''))}",
            "licenses:",
            "- MIT",
            "metadata:" if links else "metadata: {}",
            *(f"  {key}: {_quoted(value)}" for key, value in links.items()),
            "post_install_message:",
            "rdoc_options: []",
            "require_paths:",
            *(f"- {_quoted(path)}" for path in version.require_paths),
            "requirements: []",
            "rubygems_version: 3.5.3",
            "signing_key:",
            "specification_version: 4",
            "summary: Made.",
            "test_files: []",
            "",
        ]
    )


def _dependency(name: str, written: str) -> list[str]:
    clauses = [clause.rpartition(" ") for clause in written.split("&")]
    return [
        "- !ruby/object:Gem::Dependency",
        f"  name: {_quoted(name)}",
        "  requirement: &id001 !ruby/object:Gem::Requirement",
        "    requirements:",
        *(
            line
            for operator, _, number in clauses
            for line in (
                f"    - - {_quoted(operator)}",
                "      - !ruby/object:Gem::Version",
                f"        version: {_quoted(number)}",
            )
        ),
        "  type: :runtime",
        "  prerelease: false",
        "  version_requirements: *id001",
    ]


def _quoted(text: str) -> str:
    return yaml.safe_dump(text, width=10_000).removesuffix("\n").removesuffix("\n...")
