"""npm's packument is the one document about all versions of a package; this module makes the model of it.

Its format is in npm/registry, `docs/responses/package-metadata.md`. Fifteen years of publishing tools have left every
field in every shape. So each value is checked, and one of a wrong type counts as missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from securechain_ingest.errors import InvalidName, Malformed, NotFound
from securechain_ingest.model import NOT_AVAILABLE, Artifact, Package, PackageRef, Requirement, Version
from securechain_ingest.registries.kit.dates import utc_seconds
from securechain_ingest.registries.kit.identity import own_spelling, version_purl
from securechain_ingest.registries.kit.json_documents import as_table, as_text, load_json
from securechain_ingest.registries.kit.licenses import license_of
from securechain_ingest.registries.kit.preferred_version import Preference, preference
from securechain_ingest.registries.kit.repository import normalise_repository, vendor_of
from securechain_ingest.registries.kit.semver import SemverKey, is_prerelease, version_key
from securechain_ingest.registries.npm.constraints import constraints, either
from securechain_ingest.registries.npm.names import MAX_NAME_LENGTH, identify, scope_of

_ALIAS: Final = "npm:"


def parse_packument(body: bytes, ref: PackageRef, url: str) -> Package:
    """Return the package that a packument describes, without validator. It raises NotFound for one that has no versions
    (any more), and Malformed for a document that is not a packument, or is another package's."""
    document = load_json(body, url)
    if not isinstance(document, dict) or not (as_table(document.get("versions")) or as_table(document.get("time"))):
        raise Malformed(f"the registry's answer about {ref.registry_name} is not a package document", url=url)
    ref = own_spelling(document.get("name") or document.get("_id") or ref.registry_name, ref, identify, url)
    manifests = {
        name: as_table(manifest) for name, manifest in as_table(document.get("versions")).items() if name.strip()
    }
    times = as_table(document.get("time"))
    if not manifests:
        fate = "has been unpublished" if "unpublished" in times else "has no versions"
        raise NotFound(f"{ref.registry_name} {fate} in the npm registry", url=url)
    default = default_version(manifests, as_table(document.get("dist-tags")).get("latest"))
    repository = normalise_repository(_repository_candidates(document, manifests[default]))
    return Package(
        ref=ref,
        vendor=vendor_of(repository) or scope_of(ref) or NOT_AVAILABLE,
        repository_url=repository,
        license=license_of(*(manifests[default].get(key) for key in ("license", "licenses"))),
        versions=tuple(_version(ref, name, manifest, times.get(name)) for name, manifest in manifests.items()),
        artifacts=_artifacts(default, manifests[default]),
        validator=None,
        revision=as_text(document.get("_rev")),
    )


def default_version(manifests: dict[str, Any], latest: object) -> str:
    """Return the version that `npm install` takes: the one tagged `latest` if it is not deprecated, otherwise the
    highest release, otherwise the highest of any kind. Deprecated ones come behind the others of their kind."""
    if isinstance(latest, str) and latest in manifests and not _is_deprecated(manifests[latest].get("deprecated")):
        return latest

    def key_of(name: str) -> Preference[SemverKey]:
        is_deprecated = _is_deprecated(manifests[name].get("deprecated"))
        return preference(name, version_key, lambda key: (not is_prerelease(key), not is_deprecated))

    return max(manifests, key=key_of)


def requirements(dependencies: object, optional: object = None) -> tuple[Requirement, ...] | None:
    """Return a manifest's runtime dependencies. The result is None if they are written in a form that says nothing
    certain.

    Many publishing tools repeat `optionalDependencies` among the `dependencies`; those are installed by default and
    count as runtime ones. npm reads the ranges of such entries where they are optional. Names that no package can have
    are left out.
    """
    if not dependencies:
        return ()
    if not isinstance(dependencies, dict):
        return None
    found: dict[str, tuple[PackageRef, list[str]]] = {}
    optional_ones = as_table(optional)
    for name, text in dependencies.items():
        declared = as_text(optional_ones.get(name)) or as_text(text) or ""
        try:
            target, wanted = _wanted(name, declared)
        except InvalidName:
            continue
        found.setdefault(target.purl, (target, []))[1].append(wanted)
    return tuple(
        Requirement(target, constraints(wanted[0]) if len(wanted) == 1 else either(wanted))
        for target, wanted in found.values()
    )


def _version(ref: PackageRef, name: str, manifest: dict[str, Any], time: object) -> Version:
    return Version(
        name=name,
        purl=version_purl(ref, name),
        release_date=utc_seconds(time),
        requirements=requirements(manifest.get("dependencies"), manifest.get("optionalDependencies")),
        deprecated=_is_deprecated(manifest.get("deprecated")),
    )


def _is_deprecated(said: object) -> bool:
    """Return whether a version is deprecated, which a message or true says. `npm deprecate` with an empty message takes
    that back."""
    return said is True or (isinstance(said, str) and said != "")


def _wanted(name: str, text: str) -> tuple[PackageRef, str]:
    """Return the target and the range of an entry of `dependencies`; `npm:other@^1`, in any case, installs `other`
    under the entry's name. It raises InvalidName."""
    wanted = text.strip()
    if wanted[: len(_ALIAS)].lower() == _ALIAS:
        # The first character may be a scope's.
        at = wanted.find("@", len(_ALIAS) + 1)
        name, wanted = (wanted[len(_ALIAS) :], "") if at < 0 else (wanted[len(_ALIAS) : at], wanted[at + 1 :])
    return _identify(name) if len(name) <= MAX_NAME_LENGTH else identify(name), wanted


_identify: Final = lru_cache(maxsize=65_536)(identify)


def _repository_candidates(document: dict[str, Any], manifest: dict[str, Any]) -> Iterator[object]:
    for source in (document, manifest):
        yield source.get("repository")
    for source in (document, manifest):
        yield source.get("homepage")
        yield source.get("bugs")


def _artifacts(version: str, manifest: dict[str, Any]) -> tuple[Artifact, ...]:
    dist = as_table(manifest.get("dist"))
    url, digest = dist.get("tarball"), dist.get("integrity") or dist.get("shasum")
    if not isinstance(url, str) or not url.startswith(("https://", "http://")):
        return ()
    try:
        parts = urlsplit(url)
    except ValueError:
        return ()
    # `dist.unpackedSize` is about the contents; nothing tells the size of the file.
    filename = unquote(parts.path.rpartition("/")[2])
    return (Artifact(url, filename, version, size=None, digest=as_text(digest)),)
