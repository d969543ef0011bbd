"""What the parser of crates does not follow any further says so, and nothing of it grows faster than its input."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from securechain_ingest.registries.cargo.allowance import Allowance
from securechain_ingest.registries.cargo.manifest import MAX_KEY_PARTS, parse_manifest
from securechain_ingest.registries.cargo.modules import Modules, build_modules
from securechain_ingest.registries.cargo.public_names import public_paths
from securechain_ingest.registries.cargo.rust_items import parse_items
from securechain_ingest.registries.cargo.rust_macros import Macro
from securechain_ingest.registries.cargo.rust_tokens import MAX_TOKENS, with_documentation_as_attributes
from securechain_ingest.registries.cargo.sources import Sources
from securechain_ingest.registries.cargo.token_trees import TokenTrees
from tests.registries.cargo.crates import MANIFEST, read
from tests.steps import assert_linear


def _crate(text: Callable[[int], str]) -> Callable[[int], Callable[[], object]]:
    return lambda size: partial(read, {"src/lib.rs": text(size)})


def _numbered(text: str, count: int) -> str:
    return "".join(text.replace("#", str(number)) for number in range(count))


@pytest.mark.parametrize(
    "text",
    [
        lambda size: '""' * size,
        lambda size: '"' + '\\"' * size,
        lambda size: "mod a {" + "'\"' \"" * size,
        lambda size: "= " * size,
        lambda size: 'r#"' * size,
        lambda size: "r" + "#" * size,
        lambda size: "/*" * size + "//" * size,
        lambda size: "m!{" * 80 + "a " * size,
        lambda size: "mod a {" * 80 + "a " * size,
        lambda size: "#[cfg(" + "not(" * 80 + "a, " * size,
        lambda size: f"use {'a::' * size}{{{'b, ' * size}}};",
        lambda size: f"include!(concat!({'1, ' * size}));",
        lambda size: f"pub mod {'a' * size} {{ {_numbered('pub fn f#() {} ', size)} }}",
        lambda size: _numbered("pub mod m# { pub struct A; } pub use m#::*; ", size),
        lambda size: _numbered("mod m# { pub struct A#; } use m#::*; pub use A# as B#; ", size),
        lambda size: _numbered("mod m# { use super::*; pub struct A#; } use m#::*; pub use A# as B#; ", size),
        lambda size: (
            f"macro_rules! m {{ ({_numbered('$a#:tt ', size)}; $($b:ident)*) => {{ $(fn $b() {{}})* }} }}"
            f"m! {{ {'a ' * size}; {'b ' * size} }}"
        ),
        lambda size: (
            f"macro_rules! m {{ ($($a:ident [$($b:ident)*])*) => {{ $($({'$b ' * size})*)* }} }}"
            f"m! {{ {'a [] ' * size} }}"
        ),
    ],
)
def test_a_crate_twice_as_long_takes_twice_as_many_steps(text: Callable[[int], str]) -> None:
    assert_linear(_crate(text))


@pytest.mark.parametrize(
    "sign",
    [
        *('"', ",", "=", "'", "r#", "{}", '"\\"', "/**a", "x=", 'r#"', "[<", "const a=", "const a=(", "const a:[;"),
        *("#[a]", "#[", "fn a(", "fn a(){", "fn a(){'", "fn a();", "fn a(){}", "impl {", "impl a ", "impl{}"),
        *("fn a(){/*", 'fn a(){r#"}"#', "#[a]fn a();", "#[a]//\n", "pub(a)", "unsafe ", 'extern "C" ', "(a)", "[{(}"),
    ],
)
def test_millions_of_signs_are_passed_over_at_once(sign: str) -> None:
    # A search that begins anew at each of them would never end.
    text = "pub fn first() {}\n" + sign * 50_000

    assert parse_items(text, in_macro=True)[0].name == "first"
    assert with_documentation_as_attributes(text + "///").startswith("pub fn first")


def test_a_level_of_too_many_tokens_is_read_up_to_there_and_that_is_told() -> None:
    found = read({"src/lib.rs": f"pub fn first() {{}} {',' * MAX_TOKENS} pub fn last() {{}}"})

    assert found.names == ("my_crate", "my_crate::first")
    assert found.error == "'src/lib.rs' holds more than is read of one file, so that names may be missing"


def _built(allowance: Allowance, **files: str) -> Modules:
    sources = Sources([], {})
    for name, text in files.items():
        sources.add(f"{name}.rs", text.encode())
    return build_modules(sources, "lib.rs", allowance)


def test_a_file_that_very_many_modules_share_does_not_multiply_without_end() -> None:
    root = _numbered('HASH[path = "x.rs"] mod m#; ', 50).replace("HASH", "#")
    modules = _built(Allowance(items=1_000), lib=root, x=_numbered("pub fn f#() {} ", 50))

    assert sum(len(binding.inside.bindings) for [binding] in modules.root.bindings.values() if binding.inside) <= 1_000
    assert modules.problem == "it has more items than are read of one crate, so that names may be missing"


def test_choosing_among_very_many_rules_for_very_many_calls_does_not_multiply_without_end() -> None:
    rules = _numbered("(a#) => {}; ", 100)
    modules = _built(Allowance(steps=9_000), lib=f"macro_rules! m {{ {rules} }} {_numbered('m! { a# } ', 100)}")

    assert modules.problem == "macros expand to more than is read, so that names may be missing (m!)"


@pytest.mark.parametrize("allowance", [Allowance(characters=5_000), Allowance(steps=5_000), Allowance(calls=10)])
def test_a_macro_that_expands_to_more_and_more_of_itself_ends_and_is_told(allowance: Allowance) -> None:
    root = """
        macro_rules! double { ($($all:tt)*) => { double! { $($all)* $($all)* } pub struct Never; } }
        double! { pub fn a() {} }
        pub fn b() {}
    """
    modules = _built(allowance, lib=root)

    assert "b" in modules.root.bindings
    assert modules.problem == "macros expand to more than is read, so that names may be missing (double!)"


def test_a_macro_may_call_itself_as_often_as_the_compiler_lets_it() -> None:
    root = f"""
        macro_rules! each {{
            ($name:ident $($rest:ident)*) => {{ pub fn $name() {{}} each! {{ $($rest)* }} }};
            () => {{}}
        }}
        pub mod a {{ pub mod b {{ cfg_if::cfg_if! {{ if #[cfg(x)] {{ each! {{ {_numbered("f# ", 126)} }} }} }} }} }}
    """
    found = read({"src/lib.rs": root})

    assert (len(found.names), found.error) == (1 + 2 + 126, None)


@pytest.mark.parametrize("allowance", [Allowance(), Allowance(calls=10)])
def test_a_macro_that_stands_for_nothing_but_a_call_of_itself_ends_and_is_told(allowance: Allowance) -> None:
    root = "macro_rules! again { ($($all:tt)*) => { again! { $($all)* } } } again! { pub fn never() {} } pub fn b() {}"
    modules = _built(allowance, lib=root)

    assert set(modules.root.bindings) == {"again", "b"}
    assert modules.problem == "macros expand to more than is read, so that names may be missing (again!)"


def test_a_macro_that_takes_one_tree_after_the_other_gives_its_items_in_the_end() -> None:
    root = f"""
        macro_rules! walk {{
            ([$($done:ident)*] ;) => {{ $(pub fn $done() {{}})* }};
            ([$($done:ident)*] $next:ident $($rest:tt)*) => {{ walk! {{ [$($done)* $next] $($rest)* }} }};
        }}
        walk! {{ [] {_numbered("f# ", 100)} ; }}
    """
    found = read({"src/lib.rs": root})

    assert (len(found.names), found.error) == (1 + 100, None)


def test_the_text_of_a_macro_counts_once_however_deep_it_stands() -> None:
    definition = f"($a:ident) => {{ {'{' * 20} $a {'a ' * 100} {'}' * 20} pub struct $a; }}"

    known = TokenTrees(Allowance(characters=500))

    assert str(Macro("m", definition, known).expand("Deep")).endswith("pub struct Deep ;")


def test_re_exports_that_lead_through_too_many_others_are_told() -> None:
    modules = _built(Allowance(), lib="pub fn first() {} " + "#[cfg(a)] pub mod m { pub use super::*; }" * 100)

    names, problem = public_paths(modules.root, "a", edition=2021, steps=50_000)

    assert {"a::first", "a::m"} <= names
    assert problem == f"its re-exports lead through too many others: {len(names)} names were found until then"


def test_names_longer_than_any_that_somebody_writes_are_left_out_and_told() -> None:
    found = read({"src/lib.rs": f"pub fn short() {{}} pub mod {'a' * 300} {{ pub fn deep() {{}} }}"})

    assert found.names == ("my_crate", "my_crate::short")
    assert found.error == "1 names of more than 255 characters are left out"


@pytest.mark.parametrize(
    "text",
    [
        lambda size: f"{'.'.join('a' * min(size, MAX_KEY_PARTS))} = 1",
        lambda size: "".join(f"a.b.c{number} = {{ d.e = 1 }}\n" for number in range(size)),
        lambda size: f'description = """{"a." * size}"""',
        lambda size: f"# {'a.' * size}\nx = '{'a.' * size}'",
    ],
)
def test_a_manifest_twice_as_long_takes_twice_as_many_steps(text: Callable[[int], str]) -> None:
    assert_linear(
        lambda size: partial(parse_manifest, f"{MANIFEST}[package.metadata]\n{text(size)}\n{'#' * size}".encode()), 400
    )
