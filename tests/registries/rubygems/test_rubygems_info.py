"""This tests what the compact index says about a gem."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from securechain_ingest.errors import Malformed, NotFound
from securechain_ingest.model import Package, Version
from securechain_ingest.registries.rubygems.info import parse_info
from securechain_ingest.registries.rubygems.names import identify

URL = "https://index.example/info/own"
SUM = "checksum:fe8077b56b57211cbb2b2b0773940cd138c921b656100b56f9d4d3f6b80e49a3"


def parsed(*lines: str, name: str = "own") -> Package:
    body = "".join(f"{line}\n" for line in ("---", *lines)).encode()
    return parse_info(body, identify(name), URL, "https://files.example/gems")


def version(*lines: str) -> Version:
    (found,) = parsed(*lines).versions
    return found


def needs(found: Version) -> dict[str, str]:
    assert found.requirements is not None
    return {need.target.registry_name: need.constraints for need in found.requirements}


def test_a_line_is_a_version_with_its_date_and_requirements() -> None:
    found = version(f"1.0.0 rack:~> 1.4,RedCloth:< 2&>= 1.0|{SUM},ruby:>= 2.7,created_at:2026-08-01T10:20:30Z")

    assert (found.name, found.purl, found.release_date) == ("1.0.0", "pkg:gem/own@1.0.0", "2026-08-01T10:20:30Z")
    assert needs(found) == {"rack": "~> 1.4", "RedCloth": "< 2, >= 1.0"}


def test_a_version_without_dependencies_requires_nothing() -> None:
    assert version(f"1.0.0 |{SUM}").requirements == ()


def test_a_dependency_on_any_version_says_so() -> None:
    assert needs(version(f"1.0.0 a:>= 0,b|{SUM}")) == {"a": ">= 0", "b": "any"}


def test_an_index_of_before_june_2026_has_no_dates() -> None:
    assert version(f"1.0.0 |{SUM}").release_date is None


def test_what_ruby_and_rubygems_are_required_is_no_dependency() -> None:
    assert version(f"1.0.0 |{SUM},ruby:< 3.5.dev&>= 2.7,rubygems:> 1.3.1").requirements == ()


@pytest.mark.parametrize(
    "line",
    [
        f"1.0.0 a:>= 1|{SUM},later:2026-01-01T00:00:00Z,created_at:2026-08-01T10:20:30.123Z,x",
        f"1.0.0 a:>= 1|{SUM},created_at:2026-08-01T10:20:30Z|a further,column:1",
        f"1.0.0 a:>= 1|a further,column|{SUM},created_at:2026-08-01T12:20:30+02:00",
        f"1.0.0 a:>= 1|{SUM},created_at:2026-08-01T10:20:30Z\r",
    ],
)
def test_unknown_keys_and_columns_are_left_alone(line: str) -> None:
    found = version(line)

    assert (found.release_date, needs(found)) == ("2026-08-01T10:20:30Z", {"a": ">= 1"})


def test_the_lines_in_front_of_the_dashes_are_no_versions() -> None:
    body = f"created_at: 2026-01-01T00:00:00Z\n---\n1.0 |{SUM}\n".encode()

    assert [found.name for found in parse_info(body, identify("own"), URL, "").versions] == ["1.0"]


@pytest.mark.parametrize(
    ("token", "number", "filename"),
    [
        ("1.0.0-beta.1", "1.0.0-beta.1", "own-1.0.0-beta.1.gem"),
        ("1.0.0-rc.1", "1.0.0-rc.1", "own-1.0.0-rc.1.gem"),
        ("1.0.0-1", "1.0.0-1", "own-1.0.0-1.gem"),
        ("1.0-SNAPSHOT", "1.0-SNAPSHOT", "own-1.0-SNAPSHOT.gem"),
        ("1.0-alpha-2", "1.0-alpha-2", "own-1.0-alpha-2.gem"),
        ("1.0.0-beta.1-java", "1.0.0-beta.1", "own-1.0.0-beta.1-java.gem"),
        ("1.0.0-rc.1-x86_64-linux-musl", "1.0.0-rc.1", "own-1.0.0-rc.1-x86_64-linux-musl.gem"),
        ("1.0.beta-x64-mingw-ucrt", "1.0.beta", "own-1.0.beta-x64-mingw-ucrt.gem"),
        *(
            (f"1.0-{platform}", "1.0", f"own-1.0-{platform}.gem")
            for platform in (
                *("java", "jruby", "x86-mingw32", "x64-mingw-ucrt", "arm-linux-gnueabihf", "aarch64-linux-musl"),
                *("universal-darwin-20", "x86-mswin32-60", "mswin32_60", "mingw32", "linux", "universal-java-1.8"),
                *("x86_64-linux", "sparc-solaris2.8", "powerpc-aix-5", "arm64-darwin", "universal-rubinius", "x86"),
                *("i586-linux", "amd64-freebsd13", "wasm32-wasi", "dalvik", "x86-dotnet2.0", "some_platform"),
            )
        ),
    ],
)
def test_what_follows_a_dash_is_a_platform_or_makes_a_pre_release(token: str, number: str, filename: str) -> None:
    found = parsed(f"{token} |{SUM}")

    assert [one.name for one in found.versions] == [number]
    assert found.artifacts[0].filename == filename


def test_a_pre_release_with_a_dash_makes_no_release_and_gives_it_no_date() -> None:
    found = parsed(
        f"1.0.0-beta.1 |{SUM},created_at:2022-01-01T00:00:00Z",
        f"1.0.0-rc.1 |{SUM},created_at:2022-02-01T00:00:00Z",
        f"1.0.0 a:>= 1|{SUM},created_at:2022-02-23T00:00:00Z",
    )
    dates = {one.name: one.release_date for one in found.versions}

    assert dates == {
        "1.0.0-beta.1": "2022-01-01T00:00:00Z",
        "1.0.0-rc.1": "2022-02-01T00:00:00Z",
        "1.0.0": "2022-02-23T00:00:00Z",
    }
    assert found.artifacts[0].version == "1.0.0"
    assert found.ref.ecosystem.rank(dates) == {"1.0.0-beta.1": 0, "1.0.0-rc.1": 1, "1.0.0": 2}
    assert [one.name for one in parsed(f"1.0.0-beta.1 |{SUM}").versions] == ["1.0.0-beta.1"]


def test_the_files_of_all_platforms_are_one_version() -> None:
    found = version(
        f"1.0-java a:>= 1,jar:>= 0|{SUM},created_at:2026-08-02T00:00:00Z",
        f"1.0 a:>= 2|{SUM},created_at:2026-08-01T00:00:00Z",
        f"1.0-x86_64-linux-musl |{SUM},created_at:2026-08-03T00:00:00Z",
    )

    assert (found.name, found.release_date) == ("1.0", "2026-08-01T00:00:00Z")
    assert needs(found) == {"a": ">= 2"}


def test_without_a_neutral_file_a_version_requires_what_any_of_its_files_does() -> None:
    found = version(f"1.0-java a:>= 1,jar:>= 0|{SUM}", f"1.0-x86-mingw32 a:>= 2,dll:>= 0|{SUM}")

    assert needs(found) == {"a": ">= 1", "jar": ">= 0", "dll": ">= 0"}


def test_a_file_that_was_pushed_again_counts_as_it_is_last() -> None:
    assert needs(version(f"1.0 a:>= 1|{SUM}", f"1.0 a:>= 2|{SUM}")) == {"a": ">= 2"}


def test_several_requirements_on_one_gem_are_one() -> None:
    assert needs(version(f"1.0 a:>= 1,b:>= 0,a:< 2|{SUM}")) == {"a": ">= 1, < 2", "b": ">= 0"}


def test_a_dependency_that_no_gem_can_be_named_like_is_left_out() -> None:
    assert needs(version(f"1.0 a:>= 1,no gem:>= 0,b:>= 0|{SUM}")) == {"a": ">= 1", "b": ">= 0"}


@pytest.mark.parametrize(
    ("lines", "filename"),
    [
        (["1.0 |", "1.1 |", "1.2.rc1 |"], "own-1.1.gem"),
        (["1.10 |", "1.9 |"], "own-1.10.gem"),
        (["1.0.rc1 |", "1.0.rc2 |"], "own-1.0.rc2.gem"),
        (["1.0-java |", "1.0 |"], "own-1.0.gem"),
        (["1.0 |", "1.1-java |", "1.1-x86-mingw32 |"], "own-1.1-java.gem"),
    ],
)
def test_the_artifact_is_the_neutral_file_of_the_newest_release(lines: list[str], filename: str) -> None:
    (artifact,) = parsed(*lines).artifacts

    assert (artifact.filename, artifact.url) == (filename, f"https://files.example/gems/{filename}")


def test_a_gem_of_which_every_version_was_yanked_is_not_found() -> None:
    with pytest.raises(NotFound):
        parsed()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\n",
        b"<!DOCTYPE html>\n<html></html>\n",
        b'{"message": "Not Found"}',
        b"---\nlatest |\n",
        b"---\n-1.1 |\n",
        b"---\n1.0- |\n",
        b"---\n1.0-/ |\n",
        b"---\n |checksum:00\n",
        b"---\n\xff\xfe |\n",
        b"---\n1.0 rack:>= 1,act",
        b"---\n1.0 |\n1.1",
    ],
)
def test_a_file_without_a_line_that_can_be_read_or_one_that_is_cut_off_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        parse_info(body, identify("own"), URL, "")


@pytest.mark.parametrize(
    "line", [b"latest |", b"-1.1 |", b"1.0- |", b"1.0-/ |", b"\xff\xfe |", b"9." + b"9" * 4301 + b" |"]
)
def test_a_damaged_line_costs_itself_and_is_told_and_nothing_is_taken_for_gone(line: bytes) -> None:
    with capture_logs() as lines:
        package = parse_info(b"---\n1.0 |\n" + line + b"\n1.1 |\n", identify("own"), URL, "")
    assert [version.name for version in package.versions] == ["1.0", "1.1"]
    assert not package.lists_all_versions
    assert [(told["event"], told["count"]) for told in lines] == [("lines_unreadable", 1)]
    assert lines[0]["first"].startswith("line 2: ")


@given(st.binary(max_size=200) | st.text("01.- |:,&>=~\n\rabc<", max_size=80).map(str.encode))
def test_any_answer_is_a_package_or_refused_as_what_it_is(body: bytes) -> None:
    try:
        package = parse_info(b"---\n" + body, identify("own"), URL, "")
    except (Malformed, NotFound):
        return
    names = [found.name for found in package.versions]
    assert len(set(names)) == len(names) > 0
    for found in package.versions:
        assert all(constraints for constraints in needs(found).values())


@pytest.mark.parametrize(
    ("column", "digest"), [(SUM, SUM.removeprefix("checksum:")), ("checksum:00", None), ("", None)]
)
def test_the_artifact_has_the_digest_of_its_line(column: str, digest: str | None) -> None:
    (artifact,) = parsed(f"1.0 |{column}", f"0.9 |{SUM[:-1]}4").artifacts
    assert artifact.sha256 == digest
