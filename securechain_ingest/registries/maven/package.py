"""This module makes the model of an effective POM: edges, the repository, the file that the import names are read
from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final

from securechain_ingest.errors import InvalidName
from securechain_ingest.model import ANY, PackageRef, Requirement
from securechain_ingest.registries.kit.licenses import license_of
from securechain_ingest.registries.kit.repository import normalise_repository
from securechain_ingest.registries.maven.constraints import constraints
from securechain_ingest.registries.maven.effective import Model, Texts
from securechain_ingest.registries.maven.model_values import inherited_value
from securechain_ingest.registries.maven.names import identify
from securechain_ingest.registries.maven.pom import Dependency

_RUNTIME: Final = frozenset({"compile", "runtime"})
_OWN_EXTENSION: Final = frozenset(
    {"aar", "amp", "apk", "ear", "hpi", "jpi", "kar", "nar", "nbm", "par", "rar", "sar", "swc", "wab", "war", "zip"}
)
"""The file of these packagings is a zip with their name as its ending."""

_WITHOUT_CLASSES: Final = frozenset(
    # Only a POM; or files with a classifier.
    {"pom", "bom", "java-source", "javadoc", "test-jar", "tests", "sources", "gradle-module", "module", "none"}
    # Kotlin's libraries for native code, JavaScript and WebAssembly; other languages.
    | {"klib", "knm", "npm", "js", "css", "gem", "whl", "nupkg", "swf", "tasty", "nir"}
    # Native code and what installs it.
    | {"so", "dll", "dylib", "jnilib", "framework", "lib", "a", "o", "exe", "bin", "uexe", "wasm"}
    | {"deb", "rpm", "msi", "dmg", "pkg", "run", "sh", "img", "iso", "docker", "docker-build", "helm"}
    # Archives that are no zips.
    | {"tar", "gz", "tgz", "bz2", "xz", "zst", "7z"}
    # Archives of contents, configurations, other archives or apps, whose file has yet another ending.
    | {"content-package", "slingfeature", "galleon-feature-pack", "galleon-user-feature-pack", "karaf-assembly"}
    | {"nbm-application", "esa", "xar", "apklib", "aab", "ipa"}
    # Documents and descriptors.
    | {
        "xml",
        "json",
        "yml",
        "yaml",
        "toml",
        "properties",
        "txt",
        "md",
        "html",
        "pdf",
        "csv",
        "xsd",
        "wsdl",
        "rdf",
        "owl",
    }
    | {"asc", "md5", "sha1", "sha256", "sha512", "signature", "feature", "features", "target", "product"}
    | {"eclipse-target-definition", "eclipse-update-site", "eclipse-repository", "p2-installable-unit"}
)
"""The file of these packagings, if there is one, has no classes in it. Any other packaging (bundle, maven-plugin)
makes a jar, except those with a dot (`tar.gz`), which are named after their file."""

_MAX_LICENSES: Final = 5
_REPOSITORY_VALUES: Final = ("scm.url", "scm.connection", "scm.developerConnection", "url", "issueManagement.url")


def requirements(dependencies: Iterable[Dependency]) -> tuple[Requirement, ...]:
    """Return the runtime ones of an effective POM's direct dependencies, one for a package.

    If there are several on one package (a classifier, another type), the plain jar's version counts, if it is known.
    """
    best: dict[str, tuple[tuple[bool, bool], Requirement]] = {}
    for dependency in dependencies:
        if dependency.scope not in _RUNTIME or (dependency.optional or "").lower() == "true":
            continue
        try:
            requirement = _requirement(dependency.group_id, dependency.artifact_id, dependency.version)
        except InvalidName:
            # A property that nobody defines, or a name that no artifact can have.
            continue
        is_plain = dependency.type == "jar" and not dependency.classifier
        worth = (requirement.constraints != ANY, is_plain)
        purl = requirement.target.purl
        if purl not in best or worth > best[purl][0]:
            best[purl] = worth, requirement
    return tuple(requirement for _, requirement in best.values())


@lru_cache(maxsize=65_536)
def _requirement(group_id: str, artifact_id: str, version: str | None) -> Requirement:
    """This raises InvalidName."""
    return Requirement(identify(f"{group_id}:{artifact_id}"), constraints(version))


def extension(texts: Texts) -> str | None:
    """Return the extension of the artifact's main file, which its packaging gives. The result is None if no file is
    made that could have classes in it."""
    packaging = texts.value("packaging") or "jar"
    if packaging in _WITHOUT_CLASSES or ("." in packaging and "${" not in packaging):
        return None
    return packaging if packaging in _OWN_EXTENSION else "jar"


def repository(model: Model, texts: Texts) -> str:
    """Return the normalised repository of an effective POM, or NOT_AVAILABLE."""
    return normalise_repository(texts(address) for address in _addresses(model))


def license_named(model: Model, texts: Texts) -> str | None:
    """Return the licence that the effective POM names, or a choice of several. None means that it names none."""
    lineage = [pom.values for pom in model.lineage]
    written = (inherited_value(lineage, f"licenses[{number}].name") for number in range(_MAX_LICENSES))
    return license_of([texts(name) for name in written if name])


def vendor_of_group(ref: PackageRef) -> str:
    """Return the vendor of a group: that of `org.example:thing` is `org`."""
    return ref.registry_name.partition(":")[0].partition(".")[0]


def _addresses(model: Model) -> Iterator[str]:
    """Return the addresses at which the source may lie. Maven appends the child's artifact id to an inherited address;
    that says more only where the parent names no more than an owner."""
    for name in _REPOSITORY_VALUES:
        child = None
        for pom in model.lineage:
            address = pom.values.get(name)
            if address is not None:
                # The npm shorthand owner/repo means nothing here.
                if ":" in address or "." in address.partition("/")[0]:
                    yield address
                    if child is not None:
                        yield f"{address}/{child.values.get('artifactId', '')}"
                break
            child = pom


def package_properties(ref: PackageRef) -> dict[str, str]:
    """Return the properties that only this ecosystem's nodes have (contract, section 1.1)."""
    group_id, _, artifact_id = ref.registry_name.partition(":")
    return {"group_id": group_id, "artifact_id": artifact_id}
