"""This tests what a version requires: `Requires-Dist` of today and of old."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securechain_ingest.errors import Malformed
from securechain_ingest.registries.pypi.names import identify
from securechain_ingest.registries.pypi.requirements import read_requirements, requirements_of_metadata
from tests.steps import assert_linear

OWNER = identify("Some-Package")


def required(*lines: object) -> dict[str, str]:
    declared = read_requirements(lines, OWNER)
    assert declared.unreadable == ()
    return {requirement.target.purl: requirement.constraints for requirement in declared.requirements}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("other", {"pkg:pypi/other": "any"}),
        ("Other_Package>=1.0,<2.0", {"pkg:pypi/other-package": ">=1.0, <2.0"}),
        ("other (>=1.0)", {"pkg:pypi/other": ">=1.0"}),
        ("other[speed,more]~=1.4.2", {"pkg:pypi/other": ">=1.4.2, <1.5"}),
        ("other @ https://example.org/other.whl", {"pkg:pypi/other": "any"}),
        ("other @ git+https://example.org/x ; python_version >= '3'", {"pkg:pypi/other": "any"}),
    ],
)
def test_a_line_is_a_requirement_of_a_package_with_constraints(line: str, expected: dict[str, str]) -> None:
    assert required(line) == expected


@pytest.mark.parametrize(
    "marker",
    [
        'python_version >= "3.8"',
        'python_full_version < "3.12"',
        'sys_platform == "linux" and platform_machine == "x86_64"',
        'implementation_name == "cpython" or extra == "test"',
        'extra != "test"',
        '"x86" in platform_machine',
    ],
)
def test_a_marker_that_holds_for_cpython_3_11_on_linux_keeps_the_requirement(marker: str) -> None:
    assert required(f"other>=1; {marker}") == {"pkg:pypi/other": ">=1"}


@pytest.mark.parametrize(
    "marker",
    [
        'python_version < "3"',
        'sys_platform == "win32"',
        'extra == "test"',
        'python_version >= "3.8" and extra == "test"',
        'platform_python_implementation == "PyPy"',
    ],
)
def test_a_marker_that_does_not_hold_there_leaves_the_requirement_out(marker: str) -> None:
    assert required(f"other>=1; {marker}") == {}


def test_the_clauses_of_several_lines_on_one_package_are_joined() -> None:
    lines = ['Other>=1.0; python_version >= "3"', "other<2.0", 'OTHER>=9; sys_platform == "win32"', "third", "third!=3"]

    assert required(*lines) == {"pkg:pypi/other": ">=1.0, <2.0", "pkg:pypi/third": "!=3"}


@pytest.mark.parametrize(
    ("marker", "holds"),
    [
        ("python_version >= '3.10.*'", True),
        ("python_version < '3.10.*'", False),
        ("python_version >= '3.8.*' and python_version < '4.*'", True),
        ("python_version == '3.*'", True),
        ("python_version != '3.*'", False),
    ],
)
def test_a_wildcard_in_an_order_of_a_marker_is_read_as_it_was_meant(marker: str, holds: bool) -> None:
    assert required(f"other>=1; {marker}") == ({"pkg:pypi/other": ">=1"} if holds else {})


def test_a_package_does_not_require_itself_to_switch_an_extra_on() -> None:
    assert required("some.package[all]>=1.0", "other") == {"pkg:pypi/other": "any"}


def test_a_package_that_plainly_requires_itself_is_taken_at_its_word() -> None:
    assert required("Some.Package>=1.0") == {"pkg:pypi/some-package": ">=1.0"}


@pytest.mark.parametrize(
    ("line", "constraints"),
    [
        ("other>=1.0.*", ">=1.0"),
        ("other (>=1.19.*)", ">=1.19"),
        ("other (>= 1.0.*,)", ">=1.0"),
        ("other (>=1.9.*, <3.4.*)", ">=1.9, <3.4"),
        ("other (<=1.*)", "<=1"),
        ("other>=1.x", ">=1"),
        ("other>=9.0.0a1.0", ">=9.0.0a1"),
        ("other>=9a1.0", ">=9a1"),
        ("other!=3.0*", "<3.0, >=3.1"),
        ("other (>=2.7,!=3.0*,!=3.1*)", ">=2.7, <3.0, >=3.2"),
        ("other==3*", ">=3, <4"),
        ("other==0.1.*.*", ">=0.1, <0.2"),
        ("other (!=~5.0,>=4.12)", "<5.0, >=5.1, >=4.12"),
        ('other>"1.0"', ">1.0"),
        ("other>= '2.7'", ">=2.7"),
        ("other>=1.3.0,<1.4.0',", ">=1.3.0, <1.4.0"),
        ("'other' >=1.19\"", ">=1.19"),
        ('other ">=1.19"; python_version >= "3.7"', ">=1.19"),
        ("other (>=7.2.0<8.0.0)", ">=7.2.0, <8.0.0"),
        ("other >=3.6,", ">=3.6"),
        ("other >=3.6, ", ">=3.6"),
        ("other => 1.0", ">=1.0"),
        ("other =< 1.0", "<=1.0"),
        ("other = 1.0", "==1.0"),
        ("other > = 1.0", ">=1.0"),
        ("other = = 1.0", "==1.0"),
        ("other <> 1.0", "!=1.0"),
        ("other ~= 1.0.*", ">=1.0, <2"),
        ("other ~= 1", ">=1.0, <2"),
        ("other ~> 1.2", ">=1.2, <2"),
        ("other ^1.2.3", ">=1.2.3, <2"),
        ("other ^0.2", ">=0.2, <0.3"),
        ("other (~1.2.3)", ">=1.2.3, <1.3"),
        ("other (1.0)", "==1.0"),
        ("other >dev", ">0.0.0dev"),
        ("other>=1.9.0+cu111", ">=1.9.0"),
        ("other (>=2.0-dev_r1,<3)", "<3"),
        ("other >= dev", "any"),
        ("other==*", "any"),
        ("other>=", "any"),
        ("other>=1.0 or so", "any"),
        ("other[", "any"),
        ("other[a b]>=1", ">=1"),
        ("other @ ", "any"),
        ("other>=1.0 # as tested", ">=1.0"),
        ("other==1.0 --hash=sha256:abc", "==1.0"),
        ("other --hash=sha256:abc", "any"),
        ("other==1.0 \\", "==1.0"),
        ("other>=1.0 and <2.0", ">=1.0, <2.0"),
        ("other>=1.0 & <2.0", ">=1.0, <2.0"),
        ("other>=1.0 || <0.5", "any"),
        ("other>=1.0|<0.5", "any"),
        ("other >= 1.0 , python_version>2", ">=1.0"),
        ("other >= 1.0 python_version >= '3'", ">=1.0"),
        ("other (>=1.0, <2) sys_platform == 'linux'", ">=1.0, <2"),
        ("other>=1,000", ">=1"),
        ("other>=1.", ">=1"),
        ("other>=\u20181.0\u2019", ">=1.0"),
        ("\ufeffother>=1.0\u200b", ">=1.0"),
        ("other[bar]]>=1", ">=1"),
        ("other *", "any"),
        ("other (*)", "any"),
    ],
)
def test_clauses_that_pep_440_does_not_allow_are_read_as_they_were_meant(line: str, constraints: str) -> None:
    assert required(line) == {"pkg:pypi/other": constraints}
    assert ";" in line or required(f'{line}; python_version < "3"') == {}


@pytest.mark.parametrize(
    "marker",
    ["", " ", "python_version >= 3.8", "python_versio > '3'", "sys_platform == 'linux", "((", "extra == ", "???"],
)
def test_a_marker_that_is_none_leaves_the_requirement_certain(marker: str) -> None:
    assert required(f"other>=1.0;{marker}") == {"pkg:pypi/other": ">=1.0"}
    assert required(f"other (>=1.0.*);{marker}") == {"pkg:pypi/other": ">=1.0"}


@pytest.mark.parametrize("marker", ["extra == test", "extra == 'test", "python_version >= 3 and extra=='test'"])
def test_a_requirement_of_an_extra_is_none_however_its_marker_is_written(marker: str) -> None:
    assert required(f"other>=1.0; {marker}") == {}


_ADDRESSES = """
git+https://host.example/x.git
git+ssh://git@host.example/x.git@v1
git+https://host.example/x.git#egg=other
git+https://host.example/x.git ; os_name == 'posix'
https://host.example/x.whl
hg+http://host.example/x
svn+svn://host.example/x
ssh://x/y
git@host.example:owner/x.git
git@host.example/owner/x
host.example/x.whl
-e git+https://host.example/x.git#egg=x
file:///x.whl
./x.whl
../x
/x
C:\\x.whl
"""


@pytest.mark.parametrize(
    "line",
    [
        *_ADDRESSES.strip().splitlines(),
        *("", "???", "-other", 7, None, ["other"], "o" * 20_000, "other or third"),
        *("third>=" + "9" * 4301, "third (>=1." + "1" * 5000 + ")"),
    ],
)
def test_a_line_that_nobody_can_read_is_told_and_the_others_count(line: object) -> None:
    declared = read_requirements([line, "other>=1"], OWNER)

    assert [(r.target.name, r.constraints) for r in declared.requirements] == [("other", ">=1")]
    assert declared.unreadable == (str(line)[:200],)


@pytest.mark.parametrize(
    "line",
    ["other@git+https://host.example/x.git", "other @ git@host.example:owner/x.git", "other @ file:x.whl", "other@./x"],
)
def test_an_address_behind_a_name_is_a_requirement_of_that_name(line: str) -> None:
    assert required(line) == {"pkg:pypi/other": "any"}


def test_a_number_beyond_all_bounds_costs_its_line_of_a_metadata_file() -> None:
    body = METADATA.replace(b"other >=1.0,\n        <2.0", b"other >=" + b"9" * 4301)
    declared = requirements_of_metadata(body, OWNER, "https://files.example/x.whl.metadata")

    assert [requirement.target.name for requirement in declared.requirements] == ["fourth"]
    assert len(declared.unreadable) == 1


def test_many_lines_on_one_package_are_read_in_linear_work() -> None:
    def prepare(size: int) -> Callable[[], object]:
        lines = [f"other!={size}.{number}" for number in range(size)]
        return lambda: read_requirements(lines, OWNER)

    assert_linear(prepare)


def test_a_deeply_nested_marker_does_no_harm() -> None:
    nested = "(" * 3000 + 'os_name == "posix"' + ")" * 3000

    assert read_requirements([f"other; {nested}", "third"], OWNER).requirements[-1].target.name == "third"


@given(st.lists(st.text(max_size=40)))
def test_any_lines_are_read_or_told(lines: list[str]) -> None:
    declared = read_requirements(lines, OWNER)

    assert all(requirement.constraints for requirement in declared.requirements)
    assert len({requirement.target.purl for requirement in declared.requirements}) == len(declared.requirements)


METADATA = b"""Metadata-Version: 2.1
Name: Some-Package
Version: 1.0
Requires-Dist: other >=1.0,
        <2.0
Requires-Dist: third ; extra == 'x'
requires-dist: fourth

Requires-Dist: not-a-header
"""


@pytest.mark.parametrize("body", [METADATA, METADATA.replace(b"\n", b"\r\n"), b"\xef\xbb\xbf" + METADATA])
def test_a_metadata_file_names_its_requirements_in_headers(body: bytes) -> None:
    declared = requirements_of_metadata(body, OWNER, "https://files.example/x.whl.metadata")

    assert [(r.target.name, r.constraints) for r in declared.requirements] == [
        ("other", ">=1.0, <2.0"),
        ("fourth", "any"),
    ]


@pytest.mark.parametrize("body", [b"", b"<html></html>", b"\n\nName: x\n", b"\xff\xfe", b"Name: x\n"])
def test_what_is_no_metadata_file_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        requirements_of_metadata(body, OWNER, "https://files.example/x.whl.metadata")


@given(st.binary())
def test_any_bytes_are_metadata_or_malformed(body: bytes) -> None:
    try:
        requirements_of_metadata(body, OWNER, "https://files.example/")
    except Malformed:
        return
    assert b":" in body
