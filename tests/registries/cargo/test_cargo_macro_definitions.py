"""What a macro's definition says, and which of several definitions counts. rustdoc shows the same names of these
crates, taken over all features and systems."""

from __future__ import annotations

from tests.registries.cargo.crates import read


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
