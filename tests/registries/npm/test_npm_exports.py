"""`exports` of a package.json says what can be imported; the examples follow the Node.js documentation."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securechain_ingest.registries.npm.exports import exported_subpaths
from securechain_ingest.registries.npm.import_names import is_internal
from tests.steps import assert_linear

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
    found, are_all = exported_subpaths(exports, MODULES, is_internal)
    assert are_all
    return sorted(found)


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
        ["gone.js", "../lib/a.js", "./lib/a.js"],
        [{"browser": ["./lib/a.js"]}],
        {"import": "./gone.js", "require": "./lib/a.js"},
        {"types": "./gone.d.ts", "default": "./lib/a.js"},
        {"browser": "./gone.js", "default": "./lib/a.js"},
        {"deno": "./lib/a.js", "types": "./gone.d.ts"},
        {"node": {"browser": "./gone.js"}, "default": "./lib/a.js"},
        "./lib//a.js",
        "./lib/%61.js",
        "./lib/a.js?version#part",
    ],
)
def test_a_subpath_counts_if_any_condition_leads_to_a_module(target: object) -> None:
    assert subpaths({".": "./index.js", "./some": target, "./some.js": target}) == ["some", "some.js"]


@pytest.mark.parametrize("condition", ["source", "@pkg/source"])
def test_a_condition_of_the_authors_own_leads_a_user_nowhere(condition: str) -> None:
    assert subpaths(
        {"./*": {condition: "./lib/deep/*", "import": "./lib/*.mjs"}, "./own": {condition: "./lib/a.js"}}
    ) == ["b"]


@pytest.mark.parametrize(
    "target",
    [
        "./node_modules/b.js",
        "./lib/node_modules/b.js",
        "./NODE_MODULES/b.js",
        "./node%5Fmodules/b.js",
        "./lib/../index.js",
        "./lib/./a.js",
        "./lib/%2e%2E/index.js",
        "./lib%2Fa.js",
        "./lib\\..\\index.js",
        "lib/a.js",
        "./lib",
        "./lib/",
        {"default": "./gone.js", "node": "./lib/a.js"},
        {"node": "./gone.js", "default": "./lib/a.js"},
        {"node": None, "default": "./lib/a.js"},
        {"0": "./lib/a.js"},
        {"4294967294": "./lib/a.js", "default": "./lib/a.js"},
        "./lib/%61%.js",
        "./lib/%zz.js",
        ["./gone.js", "./lib/a.js"],
        [{"1": "./index.js"}, "./lib/a.js"],
        {"deno": "./gone.js", "default": "./gone.js", "browser": "./lib/a.js"},
    ],
)
def test_a_target_that_node_refuses_or_does_not_find_leads_nowhere(target: object) -> None:
    modules = (*MODULES, "node_modules/b.js", "lib/node_modules/b.js", "lib/a%.js", "lib/%zz.js")

    assert exported_subpaths({"./some": target}, modules, is_internal) == (set(), True)


@pytest.mark.parametrize("number", ["01", "-1", "1.0", "4294967295", "\u0661"])
def test_a_condition_that_only_looks_like_an_index_of_an_array_is_a_condition(number: str) -> None:
    assert subpaths({"./some": {number: "./gone.js", "default": "./lib/a.js"}}) == ["some"]


def test_a_pattern_does_not_lead_below_node_modules() -> None:
    modules = ("node_modules/b.js", "lib/node_modules/b.js", "lib/b.js")
    exports = {"./x/*": "./node_modules/*", "./y/*": "./lib/*", "./z/*": "./lib/node_modules/*"}

    assert exported_subpaths(exports, modules, is_internal) == ({"y/b.js"}, True)


def test_the_older_and_the_newer_form_of_a_folder_are_one() -> None:
    assert subpaths({"./": "./", "./*": "./lib/*.js"}) == ["a", "deep/c", "internal/d"]


@pytest.mark.parametrize(
    ("exports", "found"),
    [
        ({"./*/": "./lib/*.js"}, ["a/", "deep/c/", "internal/d/"]),
        ({"./x/*/": "./lib/*/c.js"}, ["x/deep/"]),
        ({"./*/x/": "./lib/*.js", "./*": "./lib/*.mjs"}, ["a/x/", "b", "deep/c/x/", "internal/d/x/"]),
        ({"./*/": "./lib/*/"}, []),
    ],
)
def test_a_pattern_may_end_in_a_slash(exports: dict[str, object], found: list[str]) -> None:
    """With a star before its end the slash is a part of what users write."""
    assert subpaths(exports) == found


def test_deeply_nested_conditions_do_no_harm() -> None:
    target: object = "./lib/a.js"
    for _ in range(900):
        target = {"node": [target]}

    assert subpaths({"./some": target}) == []


def patterns_and_files(size: int) -> tuple[dict[str, object], list[str]]:
    """Return as many patterns as files; each pattern's target has the beginning of every file, and none its end."""
    exports: dict[str, object] = {f"./p{number}/*": f"./lib/*-{number}.js" for number in range(size)}
    return exports, [f"lib/file_{number}.js" for number in range(size)]


def patterns_that_all_match(size: int) -> tuple[dict[str, object], list[str]]:
    exports: dict[str, object] = {f"./p{number}/*": "./lib/*" for number in range(size)}
    return exports, [f"lib/file_{number}.js" for number in range(size)]


def patterns_that_hide_each_other(size: int) -> tuple[dict[str, object], list[str]]:
    """One pattern leads to every file, and many that are more specific have to be asked first."""
    exports: dict[str, object] = {f"./file_*{number}": None for number in range(size)}
    return exports | {"./*": "./*"}, [f"file_{number}.js" for number in range(size)]


def patterns_of_every_length(size: int) -> tuple[dict[str, object], list[str]]:
    exports: dict[str, object] = {f"./{'a' * number}*": f"./{'a' * number}*" for number in range(size)}
    return exports, [f"{'a' * 250}{number}.js" for number in range(size)]


def conditions_in_conditions(size: int) -> tuple[dict[str, object], list[str]]:
    target: dict[str, object] = {f"c{number}": ["./gone.js"] * 3 for number in range(size)}
    return {"./a": target, "./b/*": target}, ["a.js"]


@pytest.mark.parametrize(
    "make",
    [
        patterns_and_files,
        patterns_that_all_match,
        patterns_that_hide_each_other,
        patterns_of_every_length,
        conditions_in_conditions,
    ],
)
@pytest.mark.parametrize("size", [50, 200])
def test_the_work_grows_with_the_patterns_and_the_files_and_not_with_their_product(
    make: Callable[[int], tuple[dict[str, object], list[str]]], size: int
) -> None:
    def prepare(each: int) -> Callable[[], object]:
        exports, modules = make(each)
        kept = dict.fromkeys(modules)
        return lambda: exported_subpaths(exports, kept, is_internal)

    assert_linear(prepare, size)


def test_of_patterns_with_very_many_matches_those_nearest_to_the_root_are_found() -> None:
    exports: dict[str, object] = {f"./p{number}/*": "./lib/*" for number in range(100)}
    found, are_all = exported_subpaths(exports, [f"lib/{'x/' * (n % 9)}{n}.js" for n in range(500)], is_internal)

    assert not are_all
    assert {f"p{number}/0.js" for number in range(100)} <= found
    assert "p0/x/x/x/x/x/x/x/x/8.js" not in found


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
