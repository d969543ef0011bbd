"""What names mean if several modules or conditions give them. rustdoc shows the same names of these crates, taken over
all features and systems."""

from __future__ import annotations

from tests.registries.cargo.crates import paths


def test_a_module_behind_one_glob_does_not_hide_one_that_is_imported_behind_another() -> None:
    """Bindings to C have a module of the same name for each system, one as it is and another by an import."""
    root = """
        mod new {
            #[cfg(unix)] mod one { pub(crate) mod thread { pub fn first() {} } }
            #[cfg(unix)] pub(crate) use one::*;
            #[cfg(windows)]
            mod two { pub(crate) use deep::thread; mod deep { pub(crate) mod thread { pub fn second() {} } } }
            #[cfg(windows)] pub(crate) use two::*;
            pub use thread::*;
        }
        pub use new::*;
    """
    assert paths(root) == ["first", "second"]
