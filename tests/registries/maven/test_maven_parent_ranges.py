"""This tests parents named by a range: each answer is Maven 3.8.7's, over the same repository."""

from __future__ import annotations

import pytest

from tests.registries.maven.poms import Shelf, dependencies, dependency, management, project, properties, short

PARENTS = ("1.0", "2.5", "1.5", "1.6-SNAPSHOT", "2.0-alpha", "2.0", "1.9-beta")


def parent(version: str) -> object:
    return project(f"g:p:{version}", properties(pv=version) + management(dependency(f"d:x:{version}")))


async def inherited(versions: str) -> tuple[list[str], tuple[str, ...]]:
    """Return the dependencies of a child whose parent's version is that, and the gaps."""
    own = dependencies(dependency("d:x"), dependency("d:y:${pv}"), dependency("d:z:${project.parent.version}"))
    shelf = Shelf(project("g:c:1", own, parent=f"g:p:{versions}"), *map(parent, PARENTS))  # type: ignore[arg-type]
    found = await shelf.effective("g:c:1")
    return [short(one) for one in found.dependencies], found.gaps


@pytest.mark.parametrize(
    ("versions", "chosen"),
    [
        ("[1.0,2.0)", "2.0-alpha"),
        ("[1.0, 2.0)", "2.0-alpha"),
        ("[1.0,2.0]", "2.0"),
        ("(,1.5]", "1.5"),
        ("(,1.5)", "1.0"),
        ("[,1.5]", "1.5"),
        ("[1.5]", "1.5"),
        ("[1.0,1.0]", "1.0"),
        ("[1.0,1.6)", "1.6-SNAPSHOT"),
        ("[1.0,1.2],[1.4,1.7]", "1.6-SNAPSHOT"),
        ("[1.4,1.5],[1.0,1.2]", "1.5"),
        ("[2.0,2.5),[2.5]", "2.5"),
        ("[1.0,1.2],", "1.0"),
        ("1.5", "1.5"),
    ],
)
async def test_the_highest_parent_inside_a_bounded_range_is_inherited_from(versions: str, chosen: str) -> None:
    assert await inherited(versions) == (
        [f"d:x:{chosen}:compile", f"d:y:{chosen}:compile", f"d:z:{versions}:compile"],
        (),
    )


@pytest.mark.parametrize(
    ("versions", "reason"),
    [
        ("[1.0,)", "no upper bound"),
        ("(,)", "no upper bound"),
        ("[1.0,1.2],[2.0,)", "no upper bound"),
        ("(1.0,1.5)", "no version is in"),
        ("[3.0,4.0]", "no version is in"),
        ("[1.5,1.0]", "is no range"),
        ("[1.0", "is no range"),
        ("(1.5)", "is no range"),
        ("[" + "1" * 5000 + "]", "is no range"),
        ("LATEST", "cannot be had"),
    ],
)
async def test_a_range_that_maven_refuses_is_told_and_leaves_what_is_known(versions: str, reason: str) -> None:
    found, (gap,) = await inherited(versions)

    assert reason in gap
    assert found[:2] == ["d:x:None:compile", "d:y:${pv}:compile"]


async def test_a_parent_of_which_no_version_is_listed_is_told() -> None:
    shelf = Shelf(project("g:c:1", dependencies(dependency("d:x:1")), parent="g:gone:[1,2]"))
    found = await shelf.effective("g:c:1")

    assert found.gaps == ("parent g:gone:[1,2]: its versions cannot be had (not_found)",)
    assert [short(one) for one in found.dependencies] == ["d:x:1:compile"]


async def test_a_parent_that_is_its_own_by_a_range_is_told() -> None:
    shelf = Shelf(project("g:c:1", dependencies(dependency("d:x:1")), parent="g:c:[1,2]"))

    assert "is its own" in (await shelf.effective("g:c:1")).gaps[0]


async def test_a_parents_parent_may_be_named_by_a_range_too() -> None:
    shelf = Shelf(
        project("g:c:1", dependencies(dependency("d:x")), parent="g:m:1"),
        project("g:m:1", parent="g:p:[1.0,1.5]"),
        *map(parent, PARENTS),  # type: ignore[arg-type]
    )

    assert [short(one) for one in (await shelf.effective("g:c:1")).dependencies] == ["d:x:1.5:compile"]
