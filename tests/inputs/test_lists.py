"""This tests lists of packages as people have them, a line each, in whichever form."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securechain_ingest.errors import InvalidName, PoisonMessage
from securechain_ingest.inputs.lists import read_list
from securechain_ingest.inputs.text import decoded


def purls(text: str) -> list[str]:
    return [ref.purl for ref in read_list(text.splitlines(), "list.txt").packages]


def test_names_purls_and_requirements_may_stand_together() -> None:
    assert purls(
        """
        # what we use
        npm:@babel/core
        pkg:maven/org.antlr/ST4@4.3.4?type=jar#x
        Django[argon2] >= 4.2 ; python_version > "3.8"   # the site
        six==1.16.0 \\
            --hash=sha256:abc \\
            --hash=sha256:def
        gem:rails
        typing_extensions @ https://files.example/x.whl#sha256=1
        """
    ) == [
        "pkg:npm/%40babel/core",
        "pkg:maven/org.antlr/ST4",
        "pkg:pypi/django",
        "pkg:pypi/six",
        "pkg:gem/rails",
        "pkg:pypi/typing-extensions",
    ]


def test_a_package_that_is_named_twice_is_asked_for_once() -> None:
    assert purls("six\npypi:six\npkg:pypi/six@1.0\nSix>=1\n") == ["pkg:pypi/six"]


def test_options_of_pip_are_told_and_name_nothing() -> None:
    listed = read_list(["-r other.txt", "--index-url x", "six"], "requirements.txt")
    assert listed.passed_over == ("-r other.txt", "--index-url x")
    assert len(listed.packages) == 1


def test_a_comment_that_ends_in_a_backslash_does_not_swallow_the_next_line() -> None:
    assert purls("# from C:\\tools\\\nsix\nflask==3.0 \\\n# see D:\\\nrails\n") == [
        "pkg:pypi/six",
        "pkg:pypi/flask",
        "pkg:pypi/rails",
    ]


@pytest.mark.parametrize(
    "line",
    [
        "flask==3.0\t# the site",
        "flask==3.0\t--hash=sha256:abc",
        'flask >= 3.0 --global-option="--no-user-cfg" --hash=sha256:abc',
        'flask==3.0 --config-settings "--build-option=--x"  # the site',
        "flask==3.0 -C a=b",
        'flask ; python_version >= "3" --hash=sha256:abc',
        "pypi:flask # the site",
        "pkg:pypi/flask\t# the site",
        "pkg:pypi/flask@3.0#docs # the site",
    ],
)
def test_what_stands_behind_a_requirement_does_not_cost_the_list(line: str) -> None:
    assert purls(f"{line}\nsix\n") == ["pkg:pypi/flask", "pkg:pypi/six"]


@pytest.mark.parametrize(
    "line",
    [
        "git+https://code.example/x.git@main#egg=x",
        "https://files.example/x-1.0.zip",
        "./wheels/x-1.0-py3-none-any.whl",
        "../x",
        "/srv/x",
        "x-1.0-py3-none-any.whl",
        "file:///srv/x-1.0.tar.gz",
        "file:./libs/x",
        "git@code.example:x/y.git",
        ".",
        "..",
        ".[dev,docs]",
        '. ; python_version > "3"',
        "libs/x",
        "libs/x[dev]",
        ".\\libs\\x",
        "C:\\wheels\\x-1.0-py3-none-any.whl",
        "x-1.0.tar.bz2",
        "x-1.0.tgz",
        "downloads/x-1.0.tar.xz",
        "x-1.0-py3-none-any.whl --hash=sha256:abc",
        'x-1.0-py3-none-any.whl ; sys_platform == "linux"',
        "x-1.0.zip[dev]",
    ],
)
def test_what_pip_takes_from_elsewhere_is_told_and_names_no_package_of_a_registry(line: str) -> None:
    listed = read_list([line, "six", "x.y @ https://files.example/x.whl", "npm:jszip"], "requirements.txt")
    assert listed.passed_over == (line,)
    assert [ref.purl for ref in listed.packages] == ["pkg:pypi/six", "pkg:pypi/x-y", "pkg:npm/jszip"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_list_is_read_as_the_shell_has_written_it(encoding: str) -> None:
    assert purls(decoded("six\r\nnpm:left-pad\r\n".encode(encoding))) == ["pkg:pypi/six", "pkg:npm/left-pad"]


def test_messages_keep_all_that_they_say() -> None:
    line = '{"node_type": "NPMPackage", "package": "left", "parent_id": "4:x:1", "strange": 1}'
    listed = read_list([line], "messages.jsonl")
    assert [(message.package, message.parent_id) for message in listed.messages] == [("left", "4:x:1")]
    assert listed.unknown_keys == ("strange",)


@pytest.mark.parametrize(
    ("line", "error"),
    [("{", PoisonMessage), ("a b c", InvalidName), ("fortran:x", InvalidName), ("pkg:pypi/", InvalidName)],
)
def test_a_line_that_names_nothing_is_refused_with_its_number(line: str, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"^list.txt line 3: "):
        read_list(["six", "", line], "list.txt")


@given(st.lists(st.text()))
def test_any_text_is_a_list_or_refused(lines: list[str]) -> None:
    with suppress(InvalidName, PoisonMessage):
        read_list(lines, "list.txt")
