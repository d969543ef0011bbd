"""A gemspec's YAML is read for what it says, whatever it is tagged as and however hostile it is."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securechain_ingest.errors import ArchiveRefused
from securechain_ingest.registries.rubygems.gemspec import Gemspec, parse_gemspec
from tests.steps import assert_linear

HEAD = "--- !ruby/object:Gem::Specification\nname: own\nversion: !ruby/object:Gem::Version\n  version: 1.0\n"


def spec(text: str) -> Gemspec:
    return parse_gemspec((HEAD + text).encode())


def test_the_files_and_the_folders_to_look_in_are_read() -> None:
    found = spec("files:\n- lib/own.rb\n- ext/own.c\nrequire_paths:\n- lib\n- ext\n")

    assert (found.name, found.files, found.require_paths) == ("own", ("lib/own.rb", "ext/own.c"), ("lib", "ext"))


@pytest.mark.parametrize("text", ["", "require_paths: []\n", "require_paths:\n"])
def test_without_require_paths_it_is_lib(text: str) -> None:
    assert spec(text).require_paths == ("lib",)


def test_a_gemspec_without_files_lists_none() -> None:
    assert spec("files: []\n").files == ()
    assert spec("summary: none\n").files == ()


def test_a_long_text_that_is_meant_very_often_is_one_file() -> None:
    found = spec(f"files:\n- &1 lib/{'a' * 100}.rb\n{'- *1' + chr(10)}" + "- *1\n" * 1_000)

    assert found.files == (f"lib/{'a' * 100}.rb",)


def test_directives_that_libyaml_compares_with_each_other_are_refused() -> None:
    directives = "".join(f"%TAG !a{number}! b\n" for number in range(2_000))

    with pytest.raises(ArchiveRefused) as caught:
        parse_gemspec(f"{directives}{HEAD}".encode())
    assert caught.value.reason == "bad_metadata"


def test_twice_as_many_aliases_of_a_list_twice_as_long_take_twice_as_many_steps() -> None:
    def prepared(size: int) -> Callable[[], object]:
        files = "".join(f"  - lib/{number}.rb\n" for number in range(size))
        return partial(spec, f"x: &x\n{files}files:\n" + "- *x\n" * size)

    assert_linear(prepared)


def test_a_gemspec_twice_as_long_takes_twice_as_many_steps() -> None:
    def prepared(size: int) -> Callable[[], object]:
        files = "".join(f"- &f{number} lib/{number}.rb\n- *f{number}\n" for number in range(size))
        return partial(spec, f"files:\n{files}require_paths: *f0\n")

    assert_linear(prepared)


def test_one_text_that_is_written_once_and_meant_twice() -> None:
    found = spec("files: &1\n- &2 lib/own.rb\n- lib/b.rb\nextra_rdoc_files: *1\nrequire_paths:\n- *2\n")

    assert (found.files, found.require_paths) == (("lib/own.rb", "lib/b.rb"), ("lib/own.rb",))


def test_files_that_only_another_list_of_files_names_count_too() -> None:
    found = spec("files:\n- lib/own.rb\nextra_rdoc_files:\n- README\n- lib/own/doc.rb\ntest_files: lib/own/check.rb\n")

    assert sorted(found.files) == ["README", "lib/own.rb", "lib/own/check.rb", "lib/own/doc.rb"]


def test_a_list_in_a_list_of_files_is_a_part_of_it() -> None:
    assert spec("files:\n- README\n- - lib/own.rb\n  - lib/b.rb\n").files == ("README", "lib/own.rb", "lib/b.rb")


def test_names_that_ruby_1_9_wrote_as_binary() -> None:
    assert spec("files:\n- !binary |-\n  bGliL293bi5yYg==\n- !binary x\n").files == ("lib/own.rb", "x")


@pytest.mark.parametrize(
    ("text", "repository"),
    [
        ("homepage: https://github.com/o/r\n", "https://github.com/o/r"),
        (
            "homepage: https://example.org\nmetadata:\n  bug_tracker_uri: https://github.com/o/r/issues\n",
            "https://github.com/o/r",
        ),
        (
            "homepage: https://github.com/o/home\nmetadata:\n  source_code_uri: https://gitlab.com/o/r/-/tree/main\n",
            "https://gitlab.com/o/r",
        ),
        ("homepage: ''\nmetadata: {}\n", None),
        ("homepage:\nmetadata: none\n", None),
    ],
)
def test_the_repository_is_what_the_author_calls_so_before_the_homepage(text: str, repository: str | None) -> None:
    assert spec(text).repository_url == repository


def test_objects_are_never_made() -> None:
    found = spec("files: !ruby/object:Kernel\n- lib/own.rb\nx: !!python/object/apply:os.system ['false']\n")

    assert found.files == ("lib/own.rb",)


def test_an_old_name_in_latin_1_costs_nothing_else() -> None:
    assert parse_gemspec(HEAD.encode() + b"authors:\n- Andr\xe9\nfiles:\n- lib/own.rb\n").files == ("lib/own.rb",)


def test_a_bomb_of_aliases_stays_as_small_as_it_is_written() -> None:
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 8)}]" for level in range(1, 40)]

    assert spec("\n".join([*lines, "files: *a39", "require_paths: *a0", ""])).files == ()


def test_a_document_that_contains_itself_ends() -> None:
    assert spec("files: &1\n- lib/own.rb\n- *1\n").files == ("lib/own.rb",)


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_depth_is_refused_before_it_costs_time(opening: str) -> None:
    with pytest.raises(ArchiveRefused, match="nested too deeply"):
        spec("x:\n " + opening * 1_000_000)


@pytest.mark.parametrize(
    "body", [b"", b"--- text\n", b"- a\n", b"a: b: c\n", b"*unknown\n", b"{", b"\x00\x01", b"\x1f\x8b"]
)
def test_what_is_no_gemspec_is_refused(body: bytes) -> None:
    with pytest.raises(ArchiveRefused) as caught:
        parse_gemspec(body)
    assert caught.value.reason == "bad_metadata"


@given(
    st.binary(max_size=100)
    | st.text("files:\n -[]{}&*!a1'\"|>?,#", max_size=60).map(lambda text: (HEAD + text).encode())
)
def test_any_document_is_a_gemspec_or_refused(body: bytes) -> None:
    try:
        found = parse_gemspec(body)
    except ArchiveRefused:
        return
    assert all(isinstance(path, str) and path for path in found.files)
    assert found.require_paths
