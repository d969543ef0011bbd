"""This tests which paths of a crate a dependent can import."""

from __future__ import annotations

import pytest

from tests.registries.cargo.crates import MANIFEST, edition, paths, read


def test_every_kind_of_public_item_has_a_path() -> None:
    root = """
        pub mod module {}
        pub struct Struct<T: Default> where T: Copy { pub field: T }
        pub struct Tuple(pub u8, u8);
        pub struct Unit;
        pub enum Enum { Variant, Other { field: u8 } }
        pub union Union { a: u8 }
        pub unsafe trait Trait { fn method(&self) {} const C: u8; }
        pub const fn function<const N: usize>(a: [u8; N]) -> impl Fn(u8) -> u8 { move |b| b }
        pub async unsafe extern "C" fn other() {}
        pub extern fn old() {}
        pub const CONST: &str = "a;b{";
        pub static mut STATIC: u8 = b'{';
        pub type Alias<'a> = &'a str;
        pub macro modern($a:ident) { struct $a; }
        impl Struct<u8> { pub fn inherent() {} }
        extern "C" { pub fn foreign(a: u8); pub static ERRNO: u8; pub type Opaque; fn hidden(); }
    """
    assert paths(root) == [
        *("Alias", "CONST", "ERRNO", "Enum", "Opaque", "STATIC", "Struct", "Trait", "Tuple", "Union", "Unit"),
        *("foreign", "function", "modern", "module", "old", "other"),
    ]


def test_private_and_restricted_items_and_what_is_in_private_modules_have_none() -> None:
    root = """
        fn a() {} pub(crate) struct B; pub(super) enum C {} pub(in crate::d) const E: u8 = 1; pub(self) fn f() {}
        mod d { pub fn g() {} }
        pub(crate) mod h { pub fn i() {} }
        pub mod j { fn k() {} pub(in super) struct L; pub fn m() {} }
    """
    assert paths(root) == ["j", "j::m"]


def test_modules_are_found_in_files_folders_and_where_an_attribute_says() -> None:
    assert paths(
        'pub mod a; pub mod b; #[path = "elsewhere/c.rs"] pub mod c;'
        'pub mod inline { pub mod d; #[path = "x.rs"] pub mod e; }',
        a="pub mod deep; pub fn fa() {}",
        a__deep="pub fn fd() {}",
        b__mod="pub mod deep;",
        b__deep="pub fn fb() {}",
        elsewhere__c="pub mod sibling;",
        elsewhere__sibling="pub fn fs() {}",
        inline__d="pub fn fi() {}",
        inline__x="pub fn fx() {}",
        unused="pub fn never() {}",
    ) == [
        *("a", "a::deep", "a::deep::fd", "a::fa", "b", "b::deep", "b::deep::fb"),
        *("c", "c::sibling", "c::sibling::fs"),
        *("inline", "inline::d", "inline::d::fi", "inline::e", "inline::e::fx"),
    ]


def test_a_module_whose_file_is_not_in_the_archive_cannot_be_imported() -> None:
    assert paths("pub mod generated; pub fn a() {}") == ["a"]


def test_a_file_that_leads_to_itself_is_read_once() -> None:
    assert paths("pub mod a;", a='#[path = "a.rs"] pub mod a; pub fn b() {} include!("a.rs");') == ["a", "a::b"]


def test_an_included_file_is_part_of_the_module_that_includes_it() -> None:
    root = 'pub mod a { include!("parts/b.rs"); } include!(concat!(env!("OUT_DIR"), "/c.rs"));'

    assert paths(root, parts__b="pub fn b() {}") == ["a", "a::b"]


def test_re_exports_give_the_paths_of_private_modules_items() -> None:
    root = """
        mod a;
        pub use a::{One, inner::{self, Two as Deux}, nothing as _};
        pub use self::a::inner::deepest::Three;
        pub use crate::a::renamed as four;
    """
    a = "pub struct One; pub fn renamed() {} pub mod inner; pub fn nothing() {}"
    inner = "pub struct Two; pub mod deepest { pub struct Three; pub use super::Two; }"

    assert paths(root, a=a, a__inner=inner) == [
        *("Deux", "One", "Three", "four"),
        *("inner", "inner::Two", "inner::deepest", "inner::deepest::Three", "inner::deepest::Two"),
    ]


def test_globs_bring_what_is_public_and_go_through_other_globs() -> None:
    root = "mod a; pub use a::*; pub mod prelude { pub use crate::a::b::*; pub use super::a::Enum::*; }"
    a = "pub mod b { pub struct B; struct No; pub(crate) struct Nor; } pub use self::b::*; pub enum Enum { X, Y }"

    assert paths(root, a=a) == ["B", "Enum", "b", "b::B", "prelude", "prelude::B", "prelude::X", "prelude::Y"]


def test_the_path_of_a_glob_may_lead_through_another_glob() -> None:
    root = """
        mod hub { pub use far::one::*; pub use far::two::*; use crate::source::*; } pub use hub::*;
        mod source { pub mod far { pub mod one { pub struct One; } pub mod two { pub struct Two; } } }
    """
    assert paths(root) == ["One", "Two"]


def test_a_glob_does_not_pass_on_what_its_module_imports_privately() -> None:
    assert paths("mod a; pub use a::*;", a="use std::fmt; pub(crate) use std::io; pub use std::rc::Rc;") == ["Rc"]


def test_globs_in_a_circle_come_to_an_end() -> None:
    root = "pub mod a { pub use crate::b::*; pub fn fa() {} } pub mod b { pub use crate::a::*; pub fn fb() {} }"

    assert paths(root) == ["a", "a::fa", "a::fb", "b", "b::fa", "b::fb"]


def test_a_module_is_not_entered_from_within_itself() -> None:
    root = "pub mod prelude { pub use crate::*; } pub fn a() {} pub use self::b as c; use self::c as b;"

    assert paths(root) == ["a", "c", "prelude", "prelude::a", "prelude::c", "prelude::prelude"]


def test_a_modules_own_names_go_before_those_of_globs() -> None:
    root = "mod a; use a::Own; pub use a::*; fn value() {} struct Type {}"
    a = "pub struct Own; pub struct Other; pub fn value() {} pub mod Type { pub fn x() {} } pub fn Type() {}"

    assert paths(root, a=a) == ["Other", "Type"]


def test_what_is_re_exported_from_another_crate_has_a_path_and_a_glob_of_one_has_none() -> None:
    root = """
        pub use serde; pub use ::log::info; pub use other::{deep::Thing as It, *};
        pub extern crate core as _core; pub extern crate b as _;
    """

    assert paths(root) == ["It", "_core", "info", "serde"]


@pytest.mark.parametrize(
    ("year", "root"),
    [
        (2015, "mod a { pub mod b { pub fn f() {} } pub mod c { pub use a::b::f; } } pub use a::c;"),
        (2018, "mod a { pub mod b { pub fn f() {} } pub mod c { pub use crate::a::b::f; } } pub use a::c;"),
        (
            2021,
            """extern crate self as me;
            mod a { pub mod b { pub fn f() {} } pub mod c { pub use me::a::b::f; } } pub use a::c;""",
        ),
        (2015, "pub mod c { pub use ::a::f; } mod a { pub fn f() {} }"),
    ],
)
def test_paths_begin_where_the_edition_says(year: int, root: str) -> None:
    assert paths(root.replace("pub fn f()", "pub mod f { pub fn g() {} } pub fn f()"), edition(year)) == [
        *("c", "c::f", "c::f::g"),
    ]


def test_a_path_may_begin_in_the_module_itself_since_2018() -> None:
    assert paths("pub mod a { mod b { pub mod c { pub fn d() {} } } pub use b::c; }") == ["a", "a::c", "a::c::d"]


def test_exported_macros_lie_at_the_root_and_others_nowhere() -> None:
    root = "#[macro_use] mod a; macro_rules! local { () => { pub fn no() {} } } pub(crate) use local;"
    a = """
        #[macro_export] macro_rules! one { ($a:ident) => { pub struct $a; }; }
        #[cfg_attr(feature = "x", macro_export)] macro_rules! two { () => () }
        #[macro_export(local_inner_macros)] macro_rules! three ( () => () );
        #[cfg(test)] #[macro_export] macro_rules! four { () => () }
    """
    assert paths(root, a=a) == ["one", "three", "two"]


def test_procedural_macros_go_by_the_names_that_they_are_called_by() -> None:
    root = """
        #[proc_macro] pub fn call(input: TokenStream) -> TokenStream { input }
        #[proc_macro_derive(Trait, attributes(a, b))] pub fn derive_trait(input: TokenStream) -> TokenStream { input }
        #[proc_macro_attribute] pub fn attribute(a: TokenStream, b: TokenStream) -> TokenStream { b }
        fn helper() {}
    """
    assert paths(root, MANIFEST + "[lib]\nproc-macro = true\n") == ["Trait", "attribute", "call"]


@pytest.mark.parametrize(
    ("attribute", "counts"),
    [
        ('#[cfg(feature = "x")]', True),
        ("#[cfg(windows)]", True),
        ("#[cfg(not(test))]", True),
        ("#[cfg(any(test, unix))]", True),
        ("#[doc(hidden)]", True),
        ("#[deprecated]", True),
        ("#[cfg(test)]", False),
        ("#[cfg(all(test, unix))]", False),
        ("#[cfg(not(not(test)))]", False),
        ("#[cfg(any())]", False),
        ("#[cfg(doc)]", False),
        ("#[cfg_attr(all(), cfg(test))]", False),
        ("#[cfg_attr(unix, cfg(test))]", True),
    ],
)
def test_an_item_counts_if_some_dependents_build_has_it(attribute: str, counts: bool) -> None:
    root = f"{attribute}\npub fn a() {{}}\n{attribute} pub mod b {{ pub fn c() {{}} }}"

    assert paths(root) == (["a", "b", "b::c"] if counts else [])


def test_a_file_that_is_only_for_tests_has_no_paths() -> None:
    assert paths("pub mod a;", a="#![cfg(test)] pub fn b() {}") == ["a"]


def test_alternatives_for_platforms_add_up() -> None:
    root = """
        #[cfg(unix)] #[path = "unix.rs"] mod sys;
        #[cfg(windows)] #[path = "windows.rs"] mod sys;
        #[cfg_attr(target_os = "wasi", path = "wasi.rs")] mod more;
        pub use sys::*; pub use more::*;
    """
    assert paths(
        root,
        unix="pub fn both() {} pub fn u() {}",
        windows="pub fn both() {} pub fn w() {}",
        wasi="pub fn a() {}",
        more="pub fn m() {}",
    ) == ["a", "both", "m", "u", "w"]


def test_items_inside_of_macro_calls_count() -> None:
    root = """
        cfg_if::cfg_if! {
            if #[cfg(unix)] { mod a; pub use a::A; } else if #[cfg(test)] { pub fn no() {} } else { pub fn b() {} }
        }
        cfg_net! { pub mod net; #[cfg(test)] pub mod no; }
        bitflags! { #[derive(Debug)] pub struct Flags: u32 { const X = 1; } struct Hidden: u8 { const Y = 2; } }
        lazy_static! { pub static ref LAZY: u8 = { 1 }; static ref HIDDEN: u8 = 2; }
        thread_local!(pub static LOCAL: u8 = 1);
        s! { pub struct first { pub a: u8 } pub enum second { pub_a } }
        assert_impl!(pub: Send);
    """
    assert paths(root, a="pub struct A;", net="pub fn open() {}") == sorted(
        ["A", "Flags", "LAZY", "LOCAL", "b", "first", "net", "net::open", "second"]
    )


def test_a_call_of_the_crates_own_macro_gives_the_items_that_it_expands_to() -> None:
    root = """
        mod make;
        #[macro_use] mod macros { macro_rules! numbers { ($($name:ident)*) => { $(pub fn $name() {})* } } }
        macro_rules! pair {
            ($(#[$attr:meta])* $vis:vis $name:ident => $other:ident: $type:ty = $value:expr, $($rest:tt)*) => {
                $(#[$attr])* $vis struct $name(pub $type);
                pub static $other: $type = $value;
                pair! { $($rest)* }
            };
            () => {};
        }
        numbers! { u8 u16 }
        macro_rules! pasted { ($name:ident) => { paste::paste! { pub fn [<new_ $name>]() {} } }; }
        pasted!(thing);
        pair! {
            /// Documented.
            #[derive(Debug)] pub One => ONE: Vec<(u8, u16)> = vec![1, 2],
            pub(crate) Two => TWO: &'static str = "a, b",
        }
    """
    make = """
        macro_rules! feature { ($($item:item)*) => { $( #[cfg(feature = "x")] $item )* } }
        macro_rules! doc { ($item:item) => { #[macro_export] $item } }
        feature! { pub use self::deep::Thing; mod deep { pub struct Thing; } pub const C: [u8; 2] = [{ 1 }, 2]; }
        doc! { macro_rules! join { ($($a:expr),* $(,)?) => {} } }
        pub use crate::make::C as D;
    """
    assert paths(root.replace("mod make;", "mod make; pub use make::*;"), make=make) == [
        *("C", "D", "ONE", "One", "TWO", "Thing", "join", "new_thing", "u16", "u8"),
    ]


def test_a_macro_may_be_called_above_its_definition_by_its_path_or_by_a_name_that_an_import_gives() -> None:
    """rustdoc shows the same names of this crate; `flags!` of its module is another crate's."""
    root = """
        mod data;
        crate::exported!(A);
        imported!(C);
        made::renamed!(D);
        mod made {
            macro_rules! imported { ($name:ident) => { pub struct $name; } }
            macro_rules! outer { ($name:ident) => { inner!($name Inner); } }
            macro_rules! inner { ($name:ident $other:ident) => { pub mod $name { pub struct $other; } } }
            pub(crate) use {imported, inner, outer as renamed};
        }
        use made::*;
        #[macro_export] macro_rules! exported { ($name:ident) => { pub struct $name; } }
        macro_rules! flags { ($(struct $name:ident;)*) => { $(pub fn never() {})* } }
        pub use data::*;
    """

    found = paths(root, data="flags::flags! { pub struct E; }")

    assert found == ["A", "C", "D", "D::Inner", "E", "exported"]


def test_a_macro_that_calls_itself_without_end_costs_nothing_but_its_own_names() -> None:
    root = """
        macro_rules! again { ($($a:tt)*) => { again! { $($a)* $($a)* } pub fn never() {} } }
        again! { x } pub fn real() {}
    """
    assert "real" in paths(root)


@pytest.mark.parametrize("body", ["more! { $($a)* y } more! { $($a)* }", "pub mod m { more! { $($a)* } more! {} }"])
def test_a_macro_that_calls_itself_by_another_name_costs_nothing_that_was_found_before(body: str) -> None:
    root = "more! { x } pub fn real() {} use again as more; macro_rules! again { ($($a:tt)*) => { BODY } }"

    found = read({"src/lib.rs": root.replace("BODY", body)})

    assert "my_crate::real" in found.names
    assert "more!" in (found.error or "") or "again!" in (found.error or "")


def test_words_that_are_keywords_in_some_places_only_are_names_elsewhere() -> None:
    root = """
        pub const default: u8 = 1; pub const auto: u8 = 1; pub const safe: u8 = 1;
        pub const safe_too: u8 = 1; pub const unsafe fn raw() {} pub fn union() {} pub mod macro_rules {}
    """

    assert paths(root) == ["auto", "default", "macro_rules", "raw", "safe", "safe_too", "union"]


def test_text_that_only_looks_like_items_is_passed_over() -> None:
    root = """
        //! pub fn a() {}
        /* pub fn b() {} /* nested */ pub fn c() {} */
        const S: &str = "pub fn d() {} \\" pub fn e() {}";
        const R: &str = r#"pub fn f() {} " } { "#;
        const C: char = '"'; const L: &'static str = "}"; const B: u8 = b'\\'';
        fn body<'a>(x: &'a str) { let _ = '{'; let _ = "}"; let _ = r"\\"; pub fn g() {} }
        macro_rules! m { () => { pub fn h() {} }; }
        pub fn real() {}
    """
    assert paths(root) == ["real"]


def test_raw_names_are_written_without_their_mark_and_others_than_ascii_left_out() -> None:
    assert paths("pub mod r#async { pub fn r#try() {} } pub use r#async::r#try as r#do; pub struct Größe;") == [
        *("async", "async::try", "do"),
    ]


@pytest.mark.parametrize(
    ("manifest", "file", "crate"),
    [
        (MANIFEST, "src/lib.rs", "my_crate"),
        (MANIFEST + '[lib]\nname = "other"\n', "src/lib.rs", "other"),
        (MANIFEST + '[lib]\npath = "./code/entry.rs"\n', "code/entry.rs", "my_crate"),
        (MANIFEST + '[lib]\npath = "code\\\\entry.rs"\n', "code/entry.rs", "my_crate"),
        (MANIFEST.replace("package", "project"), "src/lib.rs", "my_crate"),
        (MANIFEST.replace('edition = "2021"', ""), "src/lib.rs", "my_crate"),
    ],
)
def test_the_library_has_the_name_and_file_that_the_manifest_gives(manifest: str, file: str, crate: str) -> None:
    folder = file.rpartition("/")[0]
    names = read({file: "pub mod a;", f"{folder}/a.rs": "", f"{folder}/main.rs": "pub fn no() {}"}, manifest).names

    assert names == (crate, f"{crate}::a")


def test_a_program_is_known_by_its_name_alone() -> None:
    assert read({"src/main.rs": "pub fn a() {}"}).names == ("my_crate",)


def test_tests_benches_examples_and_the_build_script_are_no_part_of_the_library() -> None:
    others = ("tests/a.rs", "benches/b.rs", "examples/c.rs", "build.rs", "src/bin/d.rs")
    files = {"src/lib.rs": "pub fn a() {}"} | dict.fromkeys(others, "pub fn no() {}")

    assert read(files).names == ("my_crate", "my_crate::a")


@pytest.mark.parametrize(
    ("fields", "repository"),
    [
        ('repository = "https://github.com/some-owner/some-repo.git"', "https://github.com/some-owner/some-repo"),
        ('homepage = "https://gitlab.com/group/sub/repo"', "https://gitlab.com/group/sub/repo"),
        ('repository = "https://example.org/x"\nhomepage = "https://github.com/a/b"', "https://github.com/a/b"),
        ('repository = "https://example.org/x"', None),
        ("", None),
    ],
)
def test_the_repository_is_the_manifests(fields: str, repository: str | None) -> None:
    assert read({"src/lib.rs": ""}, f"{MANIFEST}{fields}\n").repository_url == repository
