"""Macros that pass on numbered token trees give the names that they give if every call is written out anew."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from securechain_ingest.errors import ArchiveRefused
from securechain_ingest.registries.cargo.allowance import Allowance
from securechain_ingest.registries.cargo.modules import build_modules
from securechain_ingest.registries.cargo.public_names import public_paths
from securechain_ingest.registries.cargo.sources import Sources
from tests.registries.cargo.crates import paths
from tests.registries.cargo.token_by_token import token_by_token

_PATTERNS = [
    "$a:ident",
    "$a:ty",
    "$a:tt",
    "$g:item",
    "$h:expr",
    "$v:vis",
    "$l:literal",
    "$t:lifetime",
    "$($b:tt)*",
    "$($c:ident),*",
    "$($c:ident)+",
    "$($c:ident)?",
    "$(#[$d:meta])*",
    "$($g:item)*",
    "[ $e:ty ]",
    "{ $($f:tt)* }",
    "{ $($($c:ident)|*);* }",
    "(key)",
    "[]",
    "pub",
    "struct",
    ",",
    ":",
    "=>",
    "@x",
    "$($c:ident = $h:expr;)*",
    "$({ $c:ident $($b:tt)* })*",
]
_BODIES = [
    "pub struct $a;",
    "$( pub fn $c() {} )*",
    "$($b)*",
    "$($f)*",
    "$g",
    "$($g)*",
    "pub mod n { $($f)* }",
    "m!{ $($b)* }",
    "{ $a }",
    "n!{ [ $($b)* ] }",
    "m!((key) { $($f)* });",
    "impl X { pub fn no() {} pub struct No; }",
    "$(#[$d])* pub struct K;",
    "#[cfg(test)] impl Y for $a { fn z() {} }",
    "#[cfg(test)]",
    "pub const $a: u8 = 1;",
    "pub enum E { $($c),* }",
    "macro_rules! k { ($z:ident) => { pub struct $z; n!{ @x $z } } } k!{ Q }",
    "cfg_if! { if #[cfg(a)] { m!{ $a } } }",
    "$v fn w() {}",
    'extern "C" { $( pub fn $c(); )* }',
    "unknown!{ $($b)* pub struct U; n!{ $a } }",
    "unknown!{ $($f)* }",
    "use x::{ $($c),* };",
    "paste!{ pub struct [<Z $a>]; }",
    "$( pub struct $c { x: u8 } )*",
    "pub const S: &str = $l;",
]
_ARGUMENTS = [
    "A",
    "B",
    "pub",
    "struct",
    "pub struct S1;",
    "pub fn f1() { }",
    "[ A ]",
    "[ u8 ]",
    "{ A B }",
    "{ pub struct Z; }",
    "(key)",
    "( key )",
    "[]",
    "[ ]",
    ",",
    "= 1;",
    "=>",
    "@x",
    "'a",
    "::std",
    "{ A|B;C }",
    "1",
    "m!{ A }",
    "n!{ B }",
    "{ m!{ A B } }",
    "{ pub mod p { pub struct P; } }",
    "#[doc]",
    "#[cfg(test)]",
    "/// docs\n",
    "/* c } */",
    "// x )\n",
    '"s"',
    "'c'",
    "'{'",
    "'\\''",
    'r#"}"#',
    'b"("',
    "}",
    "{",
]


def _some(pieces: list[str], count: int) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(pieces), max_size=count).map(" ".join)


_RULES = st.lists(st.tuples(_some(_PATTERNS, 3), _some(_BODIES, 3)), min_size=1, max_size=3)
_CALLS = st.lists(st.tuples(st.sampled_from("mn"), _some(_ARGUMENTS, 5)), min_size=1, max_size=3)


def _names(source: str) -> set[str] | None:
    """The result is None where a limit ends the reading: a macro that calls itself without end gives as many names as
    its way of counting allows."""
    sources = Sources([], {})
    sources.add("lib.rs", source.encode())
    allowance = Allowance(items=5_000, calls=100, characters=100_000, steps=100_000)
    try:
        modules = build_modules(sources, "lib.rs", allowance)
    except (ArchiveRefused, RecursionError):
        return None
    return public_paths(modules.root, "c", edition=2021)[0] if modules.problem is None else None


@given(_RULES, _RULES, _CALLS)
def test_any_macros_give_the_names_that_they_give_token_by_token(
    m: list[tuple[str, str]], n: list[tuple[str, str]], calls: list[tuple[str, str]]
) -> None:
    definitions = [
        f"macro_rules! {name} {{ {'; '.join(f'({pattern}) => {{ {body} }}' for pattern, body in rules)} }}"
        for name, rules in (("m", m), ("n", n))
    ]
    source = "\n".join([*definitions, *(f"{name}!{{ {arguments} }}" for name, arguments in calls)])
    with token_by_token():
        expected = _names(source)

    found = _names(source)
    assert found == expected or None in (found, expected)


def test_what_is_inside_of_calls_is_written_out_where_no_macro_of_the_crate_takes_it() -> None:
    source = """
        macro_rules! outer { ($($name:ident)*) => {
            lazy_static! { $( pub static ref $name: u8 = 1; )* inner! { [$($name)*] } }
            paste! { $( pub fn [<get_ $name>]() {} )* }
            macro_rules! later { ($last:ident) => { inner! { [$last] } } }
            later! { D }
        } }
        macro_rules! inner { ([$($name:ident)*]) => { pub mod inside { $( pub struct $name; )* } } }
        outer! { A B }
    """

    assert {"get_A", "get_B", "inside::A", "inside::B", "inside::D"} <= set(paths(source))


def test_a_zero_in_a_source_is_no_number_of_a_token_tree() -> None:
    source = "macro_rules! m { ($($a:tt)*) => { $($a)* } } m! { \0 0 pub struct A; } m!{\0 9} x!{\0 1} pub fn b() {}"

    assert "b" in paths(source)


def test_trees_that_share_their_insides_cost_what_they_are_when_they_are_written_out() -> None:
    # Thirty rounds make a thousand million names of one.
    source = """
        macro_rules! double {
            (x $($left:ident)*; $($all:tt)*) => { double! { $($left)*; [$($all)*] [$($all)*] } };
            (; $($all:tt)*) => { unknown! { { $($all)* } } };
        }
        pub fn before() {}
    """
    sources = Sources([], {})
    sources.add("lib.rs", f"{source} double! {{ {'x ' * 30}; A }}".encode())
    modules = build_modules(sources, "lib.rs", Allowance(characters=100_000))

    assert "before" in modules.root.bindings
    assert modules.problem is not None


def test_an_attribute_that_says_nothing_the_first_time_is_none_that_hides_the_next_item() -> None:
    source = """
        #[cfg_attr(a, derive(Debug))] pub struct A;
        #[cfg_attr(a, derive(Debug))] #[cfg(test)] pub struct No;
        #[cfg_attr(all(), cfg(test))] pub struct Neither;
        #[cfg_attr(a, derive(Debug))] pub struct B;
        #[cfg_attr(all(), cfg(test))] pub struct Never;
    """

    assert paths(source) == ["A", "B"]


def test_a_rule_is_chosen_by_its_first_group_however_the_call_spells_it() -> None:
    source = """
        macro_rules! m {
            ((key) $a:ident) => { pub struct $a; m!((other) $a); };
            ((other) $a:ident) => { pub fn $a() {} };
            ({ key } $a:ident) => { pub mod $a {} };
            (key $a:ident) => { pub const $a: u8 = 1; };
            ($a:ident) => { pub static $a: u8 = 1; };
            () => { pub struct Empty; };
        }
        m!(( key )A); m!((/* no */ other) B); m!({key} C); m!(key D); m!(E); m!();
    """

    assert paths(source) == ["A", "B", "C", "D", "E", "Empty"]
