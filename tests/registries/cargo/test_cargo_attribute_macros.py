"""Attributes that are macros of other crates decide what becomes of an item. The lists were made by rustdoc 1.97, of
crates that were built with cxx 1.0.205, wasm-bindgen 0.2.130, napi 2.16 and pyo3 0.22.
"""

from __future__ import annotations

from tests.registries.cargo.crates import paths


def test_methods_that_wasm_bindgen_imports_are_no_functions_of_the_crate() -> None:
    root = """
        use wasm_bindgen::prelude::*;
        #[wasm_bindgen]
        extern "C" {
            pub type Array;
            type Hidden;
            #[wasm_bindgen(method)] pub fn at(this: &Array, i: i32) -> JsValue;
            #[wasm_bindgen(constructor)] pub fn new() -> Array;
            #[wasm_bindgen(js_name = "method")] pub fn free_function();
            #[wasm_bindgen(method, getter)] pub fn length(this: &Array) -> u32;
            #[wasm_bindgen(catch, js_class = "A", static_method_of = Array)] pub fn of_it() -> Array;
            #[wasm_bindgen::prelude::wasm_bindgen(final, method)] pub fn other(this: &Array);
            #[wasm_bindgen(thread_local_v2, js_name = "window")] pub static WINDOW: JsValue;
            fn hidden_fn();
        }
        #[wasm_bindgen] pub fn exported() {}
        #[wasm_bindgen] pub struct Ex;
        #[wasm_bindgen] impl Ex { #[wasm_bindgen(constructor)] pub fn new() -> Ex { Ex } }
        #[wasm_bindgen] pub enum StrEnum { A = "a" }
    """
    assert paths(root) == ["Array", "Ex", "StrEnum", "WINDOW", "exported", "free_function"]


def test_all_that_cxx_makes_of_a_bridge_is_public_and_what_it_calls_lies_outside() -> None:
    root = """
        #[cxx::bridge(namespace = "org::x")]
        pub mod ffi {
            struct SharedPrivate { a: u32 }
            pub struct SharedPublic { b: u32 }
            enum Choice { One, Two }
            extern "Rust" { type RustSide; fn rust_fn(); fn meth(&self); }
            unsafe extern "C++" {
                include!("x.h");
                type CppType;
                type Aliased = crate::Foo;
                fn cpp_free() -> u32;
                pub fn cpp_free_pub() -> u32;
                fn cpp_method(self: &CppType);
                fn cpp_pin(self: Pin<&mut CppType>);
                fn short(&mut self);
                #[rust_name = "renamed"] fn original();
                #[Self = "CppType"] fn assoc();
                unsafe fn danger(p: *const u8);
            }
            impl Vec<SharedPublic> {}
        }
        #[cxx::bridge] mod private { struct Hidden { a: u8 } }
        #[other::bridge] pub mod plain { struct Hidden { a: u8 } }
    """
    assert paths(root, x="pub fn header() {}") == [
        *("ffi", "ffi::Aliased", "ffi::Choice", "ffi::CppType", "ffi::SharedPrivate", "ffi::SharedPublic"),
        *("ffi::cpp_free", "ffi::cpp_free_pub", "ffi::danger", "ffi::renamed", "plain"),
    ]


def test_attributes_that_only_add_to_an_item_leave_it_where_it_is() -> None:
    root = """
        #[napi] pub fn nf() {} #[napi(object)] pub struct No {} #[napi] pub const NC: u32 = 1;
        #[pyfunction] pub fn pf() {} #[pymodule] pub fn pm() {} #[pyclass] pub struct Pc {}
        #[uniffi::export] pub fn uf() {} #[async_trait::async_trait] pub trait T {}
    """
    assert paths(root) == ["NC", "No", "Pc", "T", "nf", "pf", "pm", "uf"]


def test_functions_that_only_tests_have_are_no_names() -> None:
    root = '#[test] pub fn a() {} #[bench] pub fn b() {} #[tokio::test(flavor = "x")] pub async fn c() {} pub fn d() {}'

    assert paths(root) == ["d"]


def test_an_attribute_of_another_crate_is_not_taken_for_one_of_the_language() -> None:
    assert paths('#[tool::path = "b.rs"] pub mod a; #[tool::cfg(test)] pub fn f() {}', a="pub fn g() {}") == [
        *("a", "a::g", "f"),
    ]
