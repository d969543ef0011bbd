"""This tests import names: which of a nupkg's assemblies are read, and what stands where there is none."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from securechain_ingest.archives.limits import ArchiveLimits
from securechain_ingest.archives.sparse import MissingBytes, SparseFile
from securechain_ingest.errors import ArchiveRefused
from securechain_ingest.model import ImportNames
from securechain_ingest.registries.nuget.client import NuGet
from securechain_ingest.registries.nuget.frameworks import preference
from securechain_ingest.registries.nuget.import_names import read_nupkg
from securechain_ingest.registries.nuget.nuspec import Nuspec, parse_nuspec
from tests.registry_server import nuget

LIMITS = ArchiveLimits(max_members=10_000, max_expanded_bytes=64 * 1024 * 1024)


def dll(*spaces: str, name: str = "Acme") -> bytes:
    return nuget.assembly(name, [f"{space}.Thing" if space else "Thing" for space in spaces])


def nupkg(members: dict[str, bytes], package_id: str = "Acme") -> bytes:
    version = nuget.Version("1.0.0", members=members)
    return nuget.nupkg(nuget.Package(package_id, (version,)), version)


def names(members: dict[str, bytes], package_id: str = "Acme") -> tuple[str, ...]:
    return read_nupkg(io.BytesIO(nupkg(members, package_id)), LIMITS, package_id).names


def test_one_frameworks_assemblies_are_read_and_not_all() -> None:
    found = names(
        {
            "lib/net45/Acme.dll": dll("Acme.Old"),
            "lib/net8.0/Acme.dll": dll("Acme", "Acme.New"),
            "lib/net8.0/Acme.Extra.dll": dll("Acme.Extra", name="Acme.Extra"),
            "lib/netstandard2.0/Acme.dll": dll("Acme.Middle"),
        }
    )

    assert found == ("Acme", "Acme.Extra", "Acme.New")


@pytest.mark.parametrize(
    "folders",
    [
        ["net10.0", "net9.0", "net8.0", "net5.0"],
        ["net6.0", "netcoreapp3.1", "netcoreapp2.1", "netstandard2.1", "netstandard2.0", "netstandard1.6"],
        ["netstandard2.0", "net8.0-windows7.0", "net6.0-android31.0", "net481", "net48", "net472", "net46"],
        ["net8.0", "net8.0-windows7.0", "net48"],
        ["net46", "net45", "net40", "net35", "net20", ""],
        ["net40-full", "net40-client", ""],
        ["4.5", "40", "35", ""],
        ["net45", "portable-net45%2Bwin8"],
        ["NETStandard2.0", "Net45"],
        ["net45", "", "uap10.0"],
    ],
    ids=str,
)
def test_the_framework_is_the_one_that_a_project_made_today_takes(folders: list[str]) -> None:
    assert sorted(folders, key=preference, reverse=True) == folders


@pytest.mark.parametrize(
    "path",
    [
        *("lib%2Fnet40%2FAcme.dll", "lib/net40%2fAcme.dll", "l%69b/net40/Acme.dll"),
        *("lib\\net40\\Acme.dll", "lib%5Cnet40%5CAcme.dll"),
    ],
)
def test_members_have_the_names_that_nuget_gives_them(path: str) -> None:
    assert names({path: dll("Acme.Found")}) == ("Acme.Found",)


def test_an_escaped_name_is_unescaped_once_and_never_leads_outside() -> None:
    assert names({"lib%252Fnet40%252FA.dll": dll("A"), "lib/net40/B.dll": dll("B")}) == ("B",)
    assert names({"..%2Flib%2Fnet40%2FA.dll": dll("A"), "lib/net40/100%.dll": dll("B")}) == ("B",)
    assert names({"lib/net45%2Bx/A%20B%C3%A9.dll": dll("A")}) == ("A",)


def test_a_nupkg_whose_members_have_64_bit_sizes_is_read() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive, archive.open("lib/net40/Acme.dll", "w", force_zip64=True) as member:
        member.write(dll("Acme.Found"))

    assert read_nupkg(packed, LIMITS, "Acme").names == ("Acme.Found",)


@pytest.mark.parametrize(
    "folder",
    ["net.1", "net-.1", ".", ".1", "net1.", f"net{'9' * 5_000}", f"net4.{'9' * 5_000}", f"netstandard{'.1' * 5_000}"],
)
def test_a_framework_of_an_absurd_version_is_one_like_another(folder: str) -> None:
    assert names({f"lib/{folder}/Acme.dll": dll("Acme.Found")}) == ("Acme.Found",)


def test_a_folder_that_only_says_nothing_is_needed_is_passed_over() -> None:
    assert names({"lib/net8.0/_._": b"", "lib/net45/Acme.dll": dll("Acme.Old")}) == ("Acme.Old",)


def test_reference_assemblies_stand_for_a_package_without_others() -> None:
    found = names(
        {"ref/net8.0/Acme.dll": dll("Acme.Reference"), "runtimes/win/lib/net8.0/Acme.dll": dll("Acme.Windows")}
    )

    assert found == ("Acme.Reference",)


def test_the_assemblies_of_a_runtime_stand_where_there_are_no_others() -> None:
    found = names(
        {"runtimes/unix/lib/net8.0/Acme.dll": dll("Acme.Unix"), "runtimes/win/native/acme.dll": nuget.native_library()}
    )

    assert found == ("Acme.Unix",)


def test_resources_native_libraries_tools_and_analyzers_are_not_read() -> None:
    found = names(
        {
            "lib/net8.0/Acme.dll": dll("Acme"),
            "lib/net8.0/native.dll": nuget.native_library(),
            "lib/net8.0/de/Acme.resources.dll": dll("Acme.German"),
            "lib/net8.0/Acme.resources.dll": dll("Acme.Resources"),
            "lib/net8.0/Acme.xml": b"<doc/>",
            "tools/net8.0/Acme.Tool.dll": dll("Acme.Tool"),
            "analyzers/dotnet/cs/Acme.Analyzers.dll": dll("Acme.Analyzers"),
            "build/Acme.Tasks.dll": dll("Acme.Tasks"),
        }
    )

    assert found == ("Acme",)


def test_a_framework_with_native_libraries_alone_is_passed_over() -> None:
    found = names(
        {"lib/net8.0/native.dll": nuget.native_library(), "lib/netstandard2.0/Acme.dll": dll("Acme.Standard")}
    )

    assert found == ("Acme.Standard",)


@pytest.mark.parametrize("library", ["System.Buffers", "System", "Microsoft.CSharp", "netstandard", "mscorlib"])
def test_a_system_library_beside_the_packages_own_is_not_read(library: str) -> None:
    found = names(
        {f"lib/net8.0/{library}.dll": dll("System.Buffers", name=library), "lib/net8.0/Acme.dll": dll("Acme")}
    )

    assert found == ("Acme",)


def test_a_package_that_is_a_system_library_is_what_it_is() -> None:
    library = nuget.assembly("System.Memory", ["System.Span", "System.Buffers.Pool"])

    assert names({"lib/netstandard2.0/System.Memory.dll": library}, "System.Memory") == ("System.Buffers",)
    assert names(
        {"lib/net8.0/System.Acme.dll": dll("System.Acme"), "lib/net8.0/Other.dll": dll("Other", name="Other")},
        "System.Acme",
    ) == ("Other", "System.Acme")


def test_types_in_a_system_namespace_do_not_make_that_the_packages() -> None:
    assert names({"lib/net8.0/Acme.dll": dll("Acme", "System")}) == ("Acme",)


def test_assemblies_without_a_public_type_in_a_namespace_are_known_by_their_names() -> None:
    found = names({"lib/net8.0/a.dll": dll("", name="Acme.Core"), "lib/net8.0/b.dll": dll("System", name="Acme.Rest")})

    assert found == ("Acme.Core", "Acme.Rest")


def test_names_that_a_client_could_not_bear_are_left_out() -> None:
    assert names({"lib/net8.0/Acme.dll": dll("Acme", "Acme.<Private>", "Ünïcode", "Acme.`1")}) == ("Acme",)


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"content/readme.txt": b"Made."},
        {"tools/Acme.dll": dll("Acme.Tool")},
        {"lib/net8.0/_._": b""},
        {"lib/net8.0/native.dll": nuget.native_library()},
        {"analyzers/dotnet/cs/Acme.dll": dll("Acme.Analyzers")},
        {"lib/net8.0/netstandard.dll": dll("System.IO", name="netstandard")},
    ],
    ids=lambda members: next(iter(members), "nothing"),
)
def test_a_package_without_assemblies_is_known_by_its_id(members: dict[str, bytes]) -> None:
    assert names(members, "Some.Package") == ("Some.Package",)


def test_old_folders_and_cases_are_understood() -> None:
    assert names({"Lib/NET40/Acme.DLL": dll("Acme.Upper")}) == ("Acme.Upper",)
    assert names({"lib/Acme.dll": dll("Acme.Root")}) == ("Acme.Root",)
    assert names({"lib\\net45\\Acme.dll": dll("Acme.Backslash")}) == ("Acme.Backslash",)


def test_an_assembly_beyond_the_limit_is_known_by_its_file() -> None:
    limits = ArchiveLimits(max_members=100, max_expanded_bytes=10_000_000, max_member_bytes=1000)
    body = nupkg({"lib/net8.0/Acme.Large.dll": dll("Acme") + b"\0" * 2000})

    found = read_nupkg(io.BytesIO(body), limits, "Acme")
    assert found.names == ("Acme.Large",)
    assert found.error is not None


@pytest.mark.parametrize("body", [b"", b"not a library", b"MZ and more", dll("Acme").replace(b"BSJB", b"XXXX")])
def test_an_assembly_that_cannot_be_read_is_known_by_its_file_and_told_of(body: bytes) -> None:
    members = {"lib/net8.0/Acme.Odd.dll": body, "lib/net8.0/Acme.Even.dll": dll("Acme.Parts", name="Acme.Even")}
    found = read_nupkg(io.BytesIO(nupkg(members)), LIMITS, "Acme")

    assert found.names == ("Acme.Odd", "Acme.Parts")
    assert found.error is not None
    assert found.error.startswith("lib/net8.0/Acme.Odd.dll: ")


def test_the_members_that_are_needed_are_fetched_at_once() -> None:
    assemblies = {f"lib/net8.0/Acme.Part{number}.dll": dll(f"Acme.Part{number}") for number in range(20)}
    version = nuget.Version("1.0.0", members=assemblies, padding_bytes=400_000)
    body = nuget.nupkg(nuget.Package("Acme", (version,)), version)
    segments = [(0, body[:1000]), (len(body) - 3000, body[-3000:])]
    with pytest.raises(MissingBytes) as caught:
        read_nupkg(SparseFile(len(body), segments), LIMITS, "Acme")  # type: ignore[arg-type]
    segments.append((caught.value.first, body[caught.value.first : caught.value.last + 1]))

    assert len(read_nupkg(SparseFile(len(body), segments), LIMITS, "Acme").names) == 20  # type: ignore[arg-type]
    assert len(segments[2][1]) < 40_000


def test_a_nupkg_on_disk_is_named_by_its_nuspec(tmp_path: Path) -> None:
    package = nuget.Package("Some.Package", (nuget.Version("1.0.0"),), repository="https://github.com/o/r.git")
    path = tmp_path / "whatever.nupkg"
    path.write_bytes(nuget.nupkg(package, package.versions[0]))

    found = NuGet.archive_names(str(path), path.name, LIMITS)
    assert found == ImportNames(("Some.Package",), repository_url="https://github.com/o/r")


def test_a_zip_that_is_no_nupkg_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.nupkg"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "Made.")

    with pytest.raises(ArchiveRefused) as caught:
        NuGet.archive_names(str(path), path.name, LIMITS)
    assert caught.value.reason == "no_name"


NUSPEC = '<package xmlns="{}"><metadata><id> Acme </id>{}</metadata></package>'


@pytest.mark.parametrize(
    ("elements", "repository"),
    [
        ('<repository type="git" url="https://github.com/o/r.git"/>', "https://github.com/o/r"),
        ("<projectUrl>https://github.com/o/r</projectUrl>", "https://github.com/o/r"),
        (
            "<projectUrl>https://github.com/o/page</projectUrl><repository url='git@github.com:o/r'/>",
            "https://github.com/o/r",
        ),
        ("<projectUrl>https://example.org/</projectUrl><repository type='git'/>", None),
        ("", None),
    ],
)
@pytest.mark.parametrize("space", ["", "http://schemas.microsoft.com/packaging/2013/05/nuspec.xsd"])
def test_a_nuspec_names_the_id_and_the_repository_in_any_of_its_namespaces(
    elements: str, repository: str | None, space: str
) -> None:
    assert parse_nuspec(NUSPEC.format(space, elements).encode()) == Nuspec("Acme", repository)


@pytest.mark.parametrize(
    "body",
    [b"", b"<package>", b"not XML", b'<!DOCTYPE package [<!ENTITY a "b">]>' + NUSPEC.format("", "&a;").encode()],
)
def test_a_nuspec_that_cannot_be_read_says_nothing(body: bytes) -> None:
    assert parse_nuspec(body) == Nuspec(None, None)


def test_a_nuspec_in_utf_16_is_read() -> None:
    body = '<?xml version="1.0" encoding="utf-16"?>' + NUSPEC.format("", "")

    assert parse_nuspec(body.encode("utf-16")) == Nuspec("Acme", None)
