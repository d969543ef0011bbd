"""What a macro's definition says, and which of several definitions counts. rustdoc shows the same names of these
crates, taken over all features and systems."""

from __future__ import annotations

import pytest

from securechain_ingest.registries.cargo.modules import MAX_DEFINITIONS
from tests.registries.cargo.crates import paths, read


def test_documentation_in_a_macros_definition_is_an_attribute_as_in_its_calls() -> None:
    """A macro may call itself with documentation in front, for the rule that takes attributes. In a pattern it says
    nothing."""
    root = """
        macro_rules! handler {
            ($name:ident, GET) => {
                handler!(
                    /// Routes GET.
                    $name, GET);
            };
            ($name:ident, $method:ident) => { handler!(/** Routes another. */ $name, $method); };
            ($(#[$m:meta])+ $name:ident, $method:ident) => { $(#[$m])+ pub fn $name() {} };
        }
        handler!(get, GET);
        handler!(put, PUT);
        macro_rules! documented {
            (
                /// This very line.
                $name:ident
            ) => { pub struct $name; };
        }
        documented!(Thing);
    """

    found = read({"src/lib.rs": root})

    assert found.names == ("my_crate", "my_crate::Thing", "my_crate::get", "my_crate::put")
    assert found.error is None


def test_a_macro_that_is_defined_once_for_each_condition_stands_for_the_sum_of_all() -> None:
    root = """
        #[cfg(feature = "std")] macro_rules! if_std { ($($i:item)*) => { $($i)* } }
        #[cfg(not(feature = "std"))] macro_rules! if_std { ($($i:item)*) => {} }
        if_std! { pub fn with_std() {} pub mod io { pub struct Reader; } }

        cfg_if::cfg_if! {
            if #[cfg(unix)] {
                macro_rules! system { ($n:ident) => { pub mod unix { pub struct $n; } } }
            } else {
                macro_rules! system { ($n:ident) => { pub mod other { pub struct $n; } } }
            }
        }
        system!(Handle);

        macro_rules! both {
            ($feature:tt $name:ident) => {
                #[cfg(feature = $feature)] macro_rules! $name { ($i:item) => { pub mod $name { $i } } }
                #[cfg(not(feature = $feature))] macro_rules! $name { ($i:item) => {} }
            };
        }
        both!("f32" f32_only);
        both!("f64" f64_only);
        f32_only! { pub struct Angle; }
        f64_only! { pub struct Angle; }
    """
    assert paths(root) == [
        *("f32_only", "f32_only::Angle", "f64_only", "f64_only::Angle"),
        *("io", "io::Reader", "other", "other::Handle", "unix", "unix::Handle", "with_std"),
    ]


def test_a_definition_without_condition_takes_the_place_of_the_one_before() -> None:
    root = """
        macro_rules! make { ($n:ident) => { pub fn $n() {} pub fn first() {} } }
        make!(a);
        macro_rules! make { ($n:ident) => { pub fn $n() {} pub fn second() {} } }
        pub mod m { make!(b); }
        macro_rules! helped {
            ($n:ident $m:ident) => { macro_rules! helper { () => { pub mod $n { pub fn $m() {} } } } helper!(); };
        }
        helped!(one only_one);
        helped!(two only_two);
    """
    assert paths(root) == ["a", "first", "m", "m::b", "m::second", "one", "one::only_one", "two", "two::only_two"]


def test_definitions_for_conditions_that_call_themselves_do_not_multiply() -> None:
    """Every build has one of them, which calls none of the others."""
    root = """
        #[cfg(unix)] macro_rules! each { ($n:ident $($t:tt)*) => { pub fn $n() {} each!($($t)*); }; () => {} }
        #[cfg(windows)] macro_rules! each { ($n:ident $($t:tt)*) => { pub struct $n; each!($($t)*); }; () => {} }
        each!(NAMES);
    """
    names = sorted(f"n{number}" for number in range(60))

    found = read({"src/lib.rs": root.replace("NAMES", " ".join(names))})

    assert found.names == ("my_crate", *(f"my_crate::{name}" for name in names))
    assert found.error is None


def test_a_fragment_ends_before_whatever_may_follow_one_of_its_kind() -> None:
    root = """
        macro_rules! generic { ($n:ident<$($g:ident: $bound:path),*>) => { pub struct $n<$($g: $bound),*>($($g),*); } }
        generic!(Generic<T: Clone, U: std::ops::Fn(u8) -> u8>);
        macro_rules! of { ($n:ident<$t:ty>: $m:ident) => { pub type $n = $t; pub mod $m {} } }
        of!(Nested<Vec<Option<u8>>>: nested);
        of!(Function<fn(u8) -> [u8; 2]>: function);
        macro_rules! sized { ($n:ident: $t:ty [$e:expr]) => { pub static $n: [$t; $e] = [0; $e]; } }
        sized!(SIZED: u8 [1 + 2]);
        macro_rules! slice { ($n:ident: $t:ty; $m:ident) => { pub type $n = $t; pub fn $m() {} } }
        slice!(Slice: &'static [u8]; slice);
        slice!(Pointer: *const [u8]; pointer);
        slice!(Dyn: dyn Fn(&mut [u8]) -> [u8; 2]; dynamic);
        macro_rules! pair { ($n:ident: $a:pat_param | $b:pat_param) => { pub fn $n() { if let $a | $b = 1 {} } } }
        pair!(either: 1 | 2);
    """
    functions = ["SIZED", "Slice", "dynamic", "either", "function", "nested", "pointer", "slice"]
    assert paths(root) == ["Dyn", "Function", "Generic", "Nested", "Pointer", *functions]


@pytest.mark.parametrize(
    "item",
    [
        "pub fn it() -> *const u8 { unknown() }",
        "pub fn it<const N: usize>() {}",
        "pub fn it() -> impl Iterator<Item = u8> { unknown() }",
        "pub fn it() -> Foo<{ 1 + 2 }> { Foo }",
        'pub const unsafe extern "C" fn it() {}',
        "pub struct it<T = Vec<u8>> { t: T }",
        "#[derive(Debug)] pub enum it<const N: usize = 3> { A, B }",
        "pub trait it<T = u8> where T: Fn() -> u8 { const C: u8; }",
        "pub struct it(pub u8) where u8: Copy;",
        "pub const it: [u8; { 1 }] = { [1] };",
        "pub static it: fn() -> u8 = { fn one() -> u8 { 1 } one };",
        "pub type it<T> = Option<T>;",
        "pub use std::{mem as it};",
    ],
)
def test_an_item_among_a_macros_arguments_ends_with_its_own_body_or_semicolon(item: str) -> None:
    root = f"""
        macro_rules! wrap {{
            ($m:ident $i:item) => {{ pub mod $m {{ $i }} }};
            ($($t:tt)*) => {{ pub mod several {{}} }};
        }}
        wrap!(m {item});
    """
    assert paths(root) == ["m", "m::it"]


def test_an_underscore_is_no_name_that_a_macro_takes() -> None:
    root = """
        macro_rules! named { ($n:ident) => { pub mod named { pub fn $n() {} } }; (_) => { pub mod unnamed {} } }
        named!(_);
    """
    assert paths(root) == ["unnamed"]


def test_of_very_many_definitions_for_conditions_the_last_count() -> None:
    definitions = [
        f"#[cfg(f{number})] macro_rules! make {{ () => {{ pub struct S{number:04}; }} }}" for number in range(1000)
    ]
    assert paths(" ".join((*definitions, "make!();"))) == [f"S{number:04}" for number in range(1000)][-MAX_DEFINITIONS:]
