"""`exports` of a package.json says what can be imported; examples after the Node.js documentation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securechain_ingest.registries.npm.exports import exported_subpaths
from securechain_ingest.registries.npm.import_names import is_internal

MODULES = (
    "index.js",
    "lib/a.js",
    "lib/b.mjs",
    "lib/deep/c.js",
    "lib/_private.js",
    "lib/internal/d.js",
    "lib/test/e.js",
    "dist/f.cjs",
    "dist/g/g.js",
    "dist/h/h.js",
)


def subpaths(exports: object) -> list[str]:
    return sorted(exported_subpaths(exports, MODULES, is_internal))


@pytest.mark.parametrize(
    "exports",
    [
        "./index.js",
        ["./index.js"],
        {"import": "./index.js", "require": "./dist/f.cjs"},
        {".": "./index.js"},
        {},
        False,
        7,
        {"./gone": "./lib/gone.js"},
        {"./nothing": None},
        {"./data": "./package.json"},
        {"./outside": "../other/index.js", "./bare": "other-package"},
    ],
)
def test_only_the_package_itself_is_exposed(exports: object) -> None:
    assert subpaths(exports) == []


@pytest.mark.parametrize(
    "target",
    [
        "./lib/a.js",
        {"import": "./lib/b.mjs"},
        {"node": {"import": {"types": "./a.d.ts", "default": "./lib/b.mjs"}}},
        ["./gone.js", "./lib/a.js"],
        [{"browser": ["./lib/a.js"]}],
    ],
)
def test_a_subpath_counts_if_any_condition_leads_to_a_module(target: object) -> None:
    assert subpaths({".": "./index.js", "./some": target, "./some.js": target}) == ["some", "some.js"]


@pytest.mark.parametrize("condition", ["source", "@pkg/source"])
def test_a_condition_of_the_authors_own_leads_a_user_nowhere(condition: str) -> None:
    assert subpaths(
        {"./*": {condition: "./lib/deep/*", "import": "./lib/*.mjs"}, "./own": {condition: "./lib/a.js"}}
    ) == ["b"]


def test_a_named_subpath_is_public_whatever_it_is_called() -> None:
    assert subpaths({"./dist/f": "./dist/f.cjs", "./_x": "./lib/_private.js"}) == ["_x", "dist/f"]


def test_a_pattern_stands_for_every_module_that_its_target_matches() -> None:
    assert subpaths({"./features/*": "./lib/*.js"}) == ["features/a", "features/deep/c", "features/internal/d"]


def test_a_pattern_with_a_suffix_asks_the_user_for_the_suffix() -> None:
    assert subpaths({"./lib/*.js": "./lib/*.js"}) == ["lib/a.js", "lib/deep/c.js", "lib/internal/d.js"]


def test_a_wildcard_over_everything_leaves_out_tests_built_and_private_files() -> None:
    assert subpaths({"./*": "./*"}) == ["index.js", "lib/a.js", "lib/b.mjs", "lib/deep/c.js", "lib/internal/d.js"]


def test_a_pattern_may_repeat_its_star() -> None:
    assert subpaths({"./*": "./dist/*/*.js"}) == ["g", "h"]


def test_a_null_target_takes_paths_out_of_a_wider_pattern() -> None:
    exports = {"./*": "./lib/*.js", "./internal/*": None, "./deep/c": None}

    assert subpaths(exports) == ["a"]


def test_the_more_specific_pattern_wins() -> None:
    exports = {"./*": "./lib/*.js", "./deep/*": "./lib/deep/gone-*.js"}

    assert subpaths(exports) == ["a", "internal/d"]


def test_a_folder_of_the_older_form_exposes_its_files() -> None:
    assert subpaths({"./lib/": "./lib/"}) == ["lib/a.js", "lib/b.mjs", "lib/deep/c.js", "lib/internal/d.js"]


_targets = st.recursive(
    st.none()
    | st.booleans()
    | st.sampled_from(["./index.js", "./lib/*.js", "./*", "./lib/", "./dist/*/*.js", "x", ""]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["import", "default", ".", "./x", "./*", "./lib/*.js", "./a/", "./*/*"]), inner
        )
    ),
    max_leaves=8,
)


@given(_targets)
def test_any_exports_give_plain_subpaths(exports: object) -> None:
    assert all(path and "*" not in path and not path.startswith(("/", ".")) for path in subpaths(exports))
