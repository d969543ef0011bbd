"""What the reader of Rust sources skips holds no names: with it and without it the names are the same."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from securechain_ingest.registries.cargo.rust_items import parse_items
from securechain_ingest.registries.cargo.rust_tokens import texts_of_tokens, tokens
from tests.registries.cargo.crates import paths
from tests.registries.cargo.token_by_token import one_by_one, token_by_token

_PIECES = (
    *(
        "pub ",
        "pub(crate) ",
        "const ",
        "static ",
        "static mut ",
        "type ",
        "fn ",
        "unsafe ",
        "async ",
        "extern ",
        "safe ",
    ),
    *(
        "A",
        "B",
        "r#C",
        "_",
        "self",
        "mut ",
        "1x",
        " ",
        "\n",
        "(",
        ")",
        "()",
        "(a: u8)",
        "(&self)",
        "{",
        "}",
        "{}",
        "[",
        "]",
    ),
    *(
        ": u8",
        ": ::u8",
        " = 1",
        " = (1 + [2; 3])",
        " / ",
        "=",
        " -> u8",
        "-> *const D",
        "::",
        ";",
        ";",
        ";",
        ",",
        "<",
        ">",
        "<const N: usize>",
        "'a",
    ),
    *(
        "#[cfg(test)]",
        "#[cfg(a)] ",
        "#![x]",
        "/// doc\n",
        "// const X: u8 = 1;\n",
        "/* fn y(); */",
        '"fn z();"',
        "'c'",
        "!",
    ),
    *(
        "struct S",
        "enum E {V}",
        "mod m {",
        "use a::b;",
        'extern "C" {',
        "impl T for U {",
        "trait R {",
        "m! {",
        "where T: U",
    ),
    *(
        "macro_rules! n { () => { pub const Q: u8 = 1; } }",
        "#[cxx::bridge] mod b {",
        "#[Self = x]",
        "$x",
        "union",
        "macro",
    ),
    *(
        "fn f(a: &'a u8) -> [u8; 2] { '{' }",
        "pub struct P { a: u8 }",
        "pub struct Q { b: u8 }",
        "pub struct R(u8);",
        "unsafe impl<'a> T for U<'a> { fn no() {} }",
        "pub(in a::b) const fn g() {}",
        'pub unsafe extern "C" fn h() { /* } */ }',
        "#[derive(A)] ",
        "#[cfg(not(test))] ",
        "#[proc_macro_derive(D)] ",
        '#[path = "x.rs"] mod x;',
        '{ "}" }',
        'r#"}"#',
        "b'}'",
        "'}'",
        "'static",
        "/* /* } */",
        "*/",
        "// }\n",
        '"',
        "\\",
        "{{{{{{{{{",
        "}}}}}}}}}",
        "((((((",
        "pub use a::{self, b::*};",
        "unsafe trait V { const NO: u8 = 1; }",
        "const F: fn() = { fn no() {} no };",
    ),
    *(
        'r##"}"# pub fn no() {}"##',
        'br#"{"#',
        'c"{\\""',
        'cr#"}}"#',
        'r"\\"',
        "b'\\''",
        "'\\u{7d}'",
        "/** } */",
        "/*! { */",
        "/***/",
        "//! {\n",
        "//// }\n",
    ),
    *(
        'pub const C: &CStr = c"; pub const NO: u8 = 1;";',
        'pub static D: [u8; 3] = *b"};{";',
        "const _: () = { pub fn no() {} };",
        "pub const auto: u8 = { 1 };",
        '#[doc = r#"]"#] pub struct T;',
        "fn i() { #[allow(x)] { } 'l: loop { break 'l } }",
        "pub enum F { A { a: u8 }, B = b'}' as isize }",
        "#[unsafe(no_mangle)] pub extern fn j() {}",
        "macro_rules! o { ('}' $a:tt) => { \"}\" pub fn $a() {} } }",
        "pub trait W: for<'a> X<'a> where [(); { 1 }]: Y { fn no() {} }",
        "pub struct Z<const N: char = '>'>;",
    ),
)


@given(st.lists(st.sampled_from(_PIECES), max_size=25).map("".join), st.booleans())
@example('fn c"{\\""enum E {V}', False)
def test_any_source_has_the_items_that_it_has_token_by_token(source: str, in_macro: bool) -> None:
    with token_by_token():
        expected = one_by_one(parse_items(source, in_macro=in_macro))

    assert one_by_one(parse_items(source, in_macro=in_macro)) == expected


@pytest.mark.parametrize(
    "source",
    [
        "#[cfg(test)] pub const A: u8 = 1; pub const B: u8 = 1;",
        "pub static A: ::u8 = ::b::C; static mut B: u8 = 1; pub type C = *const u8;",
        "struct S<const N: usize>; pub const A: u8 = 1;",
        'extern "C" { pub fn a(b: u8) -> u8; pub safe fn c(); pub static d: u8; #[cfg(test)] fn e(); }',
        "#[proc_macro] pub fn a(b: T) -> T; pub const fn b(); const fn: u8 = 1;",
        '#[cxx::bridge] mod ffi { unsafe extern "C++" { fn a(self: &T); fn b(c: u8); #[Self = T] fn d(); } }',
        "pub const A: u8 = 1; /// doc\n // comment\n pub const B: u8 = 2; // the end",
        "pub const A: [u8; 2] = [1, 2]; pub const B: u8 = { 1 }; pub const C: char = ';'; pub const D: u8 = 1;",
        "pub const A: u8 = (1 / (2 + [3; 4][0])); // const X: u8 = 1;\n pub const B: u8 = 2; pub const _: u8 = 3;",
        "pub fn a(b: [u8; 2], c: fn(u8) -> u8) -> (u8, u8); pub fn d(); fn e(); #[cfg(test)] fn f(); fn g(); fn h();",
        "const A: u8 = ((((1)))); const B: u8 = (1]; const C: u8 = 1; const D: u8 = (1;",
        'fn a() { \'}\' } fn b() { "}" } fn c() { r#"}"# } fn d() { /* } /* } */ */ } fn e() { // }\n } fn f() {}',
        "pub struct A { a: u8 } pub struct B; pub struct C { c: u8 } pub struct D(u8); pub struct E<T>(T) where T: F;",
        "#[cfg(test)] pub struct A { a: u8 } #[cfg(test)] pub struct B { b: u8 } pub struct C { c: u8 }",
        "#[cfg(test)] impl A { fn no() {} } #[cfg(test)] mod tests { fn no() {} } impl B { fn no() {} } fn c() {}",
        "#!/usr/bin/env run\n#![allow(a)] #[inline] /// doc\n pub fn a() {} #[inline] // x\n pub fn b() {} enum E {}",
        "const A: fn() = { fn no() {} no }; const B: u8 = match 1 { _ => 2 } + 1; fn c<'a>(b: &'a str) where B: 'a {}",
        "fn a() {{{{{{{{{{{{ '{' }}}}}}}}}}}} fn b(c: ((((((u8)))))) {} trait D { fn no(); } unsafe trait E {} /* /*",
        "#[proc_macro] pub fn a(b: T) -> T { b } #[proc_macro_derive(B)] pub fn c(d: T) -> T { d } pub(crate)fn e() {}",
        "pub fn a(); pub  fn b(); pub\nfn c(); pub fn mut(); pub fn r#d(); pub fn e(); /* fn x(); */ pub fn f();",
    ],
)
def test_a_plain_declaration_is_the_item_that_it_is_token_by_token(source: str) -> None:
    with token_by_token():
        expected = one_by_one(parse_items(source))

    assert expected
    assert one_by_one(parse_items(source)) == expected


@given(st.lists(st.sampled_from(_PIECES), max_size=25).map("".join))
def test_the_texts_of_tokens_read_at_once_are_those_read_one_by_one(source: str) -> None:
    assert texts_of_tokens(source) == [source[token.start : token.end] for token in tokens(source, 0, len(source))]


def test_what_a_macro_passes_on_in_brackets_ends_where_its_brackets_did() -> None:
    source = """
        macro_rules! outer { ({ $($all:tt)* }) => { inner! { [ $($all)* ] } } }
        macro_rules! inner { ([ $($one:tt)* ]) => { $( pub struct $one; )* } }
        outer!({ A // B
        });
        outer!({ C /* D */ });
        outer!({});
    """

    assert paths(source) == ["A", "C"]


def test_token_trees_that_a_macro_takes_together_may_be_used_one_by_one() -> None:
    source = """
        macro_rules! each {
            ($kind:ident { $($name:tt)* }) => { $( pub $kind $name {} )* pub mod all { $( pub $kind $name {} )* } };
        }
        each! { struct { A B } }
        macro_rules! twice { ($( [ $($name:tt)* ] )*) => { $( $( pub struct $name; )* )* } }
        twice! { [C D] [E] }
    """

    assert paths(source) == ["A", "B", "C", "D", "E", "all", "all::A", "all::B"]


def test_bodies_of_implementations_in_macros_hold_no_names_but_those_in_calls_may() -> None:
    source = """
        macro_rules! type_with_impl {
            ($name:ident) => {
                pub struct $name;
                impl $name { pub fn hidden(&self) {} pub const NO: u8 = 1; }
                #[cfg(feature = "x")] impl Default for $name { fn default() -> Self { $name } }
                pub fn after() {}
            };
        }
        macro_rules! passed_on { ($name:ident) => { items_of! { impl X { pub struct $name; } } } }
        macro_rules! items_of { (impl X { $($item:item)* }) => { $($item)* } }
        type_with_impl!(A);
        passed_on!(B);
    """

    assert paths(source) == ["A", "B", "after"]
