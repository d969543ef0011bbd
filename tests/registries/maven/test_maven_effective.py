"""This tests the effective POM. Each rule is as Maven 3.8.7 answered when it was asked."""

from __future__ import annotations

import pytest

from securechain_ingest.errors import RateLimited, Unavailable
from securechain_ingest.registries.maven.cache import BoundedCache
from securechain_ingest.registries.maven.names import Coordinates
from securechain_ingest.registries.maven.pom import Pom, parse_pom
from securechain_ingest.registries.maven.resolution import MAX_DEPTH, Effectives
from tests.registries.maven.poms import (
    Shelf,
    at_once,
    bom,
    dependencies,
    dependency,
    direct,
    effective,
    management,
    profile,
    profiles,
    project,
    properties,
    short,
)

# Properties.


@pytest.mark.parametrize(
    ("expression", "version"),
    [
        ("${x}", "1"),
        ("${a}", "1.1"),
        ("${project.version}", "7"),
        ("${pom.version}", "7"),
        ("${version}", "7"),
        ("${project.parent.version}", "3"),
        ("${parent.version}", "3"),
        ("${project.groupId}.${project.artifactId}", "g.c"),
        ("${project.packaging}", "jar"),
        ("${own.prefix}", "${own.prefix}"),
        ("${project.build.sourceEncoding}", "UTF-8"),
        ("${loop}", "${loop}"),
        ("${env.HOME}", "${env.HOME}"),
        ("${java.version}", "${java.version}"),
        ("$x", "$x"),
    ],
)
async def test_an_expression_means_what_maven_takes_it_for(expression: str, version: str) -> None:
    texts = properties(
        x="1", a="${x}.${b}", b="${x}", loop="${pool}", pool="${loop}", project_build_sourceEncoding="UTF-8"
    )

    assert await direct(
        project("g:c:7", texts + dependencies(dependency(f"o:d:{expression}")), parent="g:p:3"), project("g:p:3")
    ) == [f"o:d:{version}:compile"]


async def test_the_childs_properties_count_in_what_it_inherits() -> None:
    parent = project(
        "g:p:1",
        properties(v="1")
        + management(dependency("o:d:${v}"), bom("o:bom:${v}"))
        + dependencies(
            dependency("o:e:${v}"), dependency("${project.groupId}:${project.artifactId}:${project.version}")
        ),
    )
    boms = [project(f"o:bom:{version}", management(dependency(f"o:f:{version}.0"))) for version in ("1", "2")]
    child = project("h:c:5", properties(v="2") + dependencies(dependency("o:d"), dependency("o:f")), parent="g:p:1")

    assert set(await direct(child, parent, *boms)) == {
        "o:d:2:compile",
        "o:e:2:compile",
        "o:f:2.0:compile",
        "h:c:5:compile",
    }


async def test_a_bom_has_properties_of_its_own() -> None:
    own = project("g:c:1", properties(v="9") + management(bom("o:bom:1")) + dependencies(dependency("o:d")))

    assert await direct(own, project("o:bom:1", properties(v="3") + management(dependency("o:d:${v}")))) == [
        "o:d:3:compile"
    ]


async def test_properties_that_double_each_other_end_and_are_unresolved() -> None:
    doubled = {f"p{level}": f"${{p{level + 1}}}" * 10 for level in range(40)}

    assert await direct(project("g:c:1", properties(**doubled, p40="x") + dependencies(dependency("o:d:${p0}")))) == [
        "o:d:${p0}:compile"
    ]


async def test_a_chain_of_very_many_properties_ends() -> None:
    chain = {f"p{level}": f"${{p{level + 1}}}" for level in range(5_000)}
    (found,) = await direct(project("g:c:1", properties(**chain) + dependencies(dependency("o:d:${p0}"))))

    assert "${" in found


# Management.


async def test_management_gives_what_a_dependency_does_not_say() -> None:
    managed = management(
        dependency("o:a:1", scope="test", optional="true"),
        dependency("o:b:1", scope="test"),
        dependency("o:c:1"),
    )
    own = dependencies(
        dependency("o:a"), dependency("o:b:2", scope="runtime"), dependency("o:c", scope=""), dependency("o:d")
    )
    found = await effective(project("g:c:1", managed + own))

    assert [(one.artifact_id, one.version, one.scope, one.optional) for one in found.dependencies] == [
        ("a", "1", "test", None),
        ("b", "2", "runtime", None),
        ("c", "1", "compile", None),
        ("d", None, "compile", None),
    ]


async def test_management_is_by_group_artifact_type_and_classifier() -> None:
    managed = management(
        dependency("o:a:1"),
        dependency("o:a:2", classifier="linux"),
        dependency("o:a:3", type="test-jar"),
        dependency("o:b:4", classifier="${no.classifier}"),
    )
    own = dependencies(
        dependency("o:a", classifier="linux"),
        dependency("o:a"),
        dependency("o:a", type="test-jar"),
        dependency("o:a", classifier="windows"),
        dependency("o:b", classifier="${no.classifier}"),
    )
    nothing = properties(no_classifier="")

    assert await direct(project("g:c:1", nothing + managed + own)) == [
        "o:a:2:compile:linux",
        "o:a:1:compile",
        "o:a:3:compile:test-jar",
        "o:a:None:compile:windows",
        "o:b:4:compile",
    ]


async def test_own_management_goes_before_the_parents_and_both_before_boms() -> None:
    parent = project("g:p:1", management(dependency("o:a:parent"), dependency("o:b:parent"), bom("o:parents-bom:1")))
    boms = [
        project(f"o:{name}-bom:1", management(*(dependency(f"o:{one}:{name}-bom") for one in "abcd")))
        for name in ("own", "parents")
    ]
    own = management(bom("o:own-bom:1"), dependency("o:a:own"))
    child = project("g:c:1", own + dependencies(*map(dependency, ("o:a", "o:b", "o:c"))), parent="g:p:1")

    assert await direct(child, parent, *boms) == ["o:a:own:compile", "o:b:parent:compile", "o:c:own-bom:compile"]


async def test_of_boms_the_first_declared_counts_and_their_own_imports_come_last() -> None:
    own = management(bom("o:one:1"), bom("o:two:1")) + dependencies(
        dependency("o:a"), dependency("o:b"), dependency("o:c")
    )
    one = project("o:one:1", management(bom("o:nested:1"), dependency("o:a:one")))
    two = project("o:two:1", management(*(dependency(f"o:{name}:two") for name in "abc")))
    nested = project("o:nested:1", management(dependency("o:a:nested"), dependency("o:b:nested")))

    assert await direct(project("g:c:1", own), one, two, nested) == [
        "o:a:one:compile",
        "o:b:nested:compile",
        "o:c:two:compile",
    ]


async def test_a_bom_that_has_no_say_is_not_asked_for() -> None:
    own = management(bom("o:bom:1"), dependency("o:a:1")) + dependencies(
        dependency("o:a"), dependency("o:b:2", scope="runtime")
    )
    shelf = Shelf(project("g:c:1", own))

    assert [short(found) for found in (await shelf.effective("g:c:1")).dependencies] == [
        "o:a:1:compile",
        "o:b:2:runtime",
    ]
    assert shelf.loads == []


async def test_a_bom_may_give_a_dependency_with_a_version_its_scope() -> None:
    own = project("g:c:1", management(bom("o:bom:1")) + dependencies(dependency("o:a:2")))

    assert await direct(own, project("o:bom:1", management(dependency("o:a:1", scope="test")))) == ["o:a:2:test"]


async def test_a_bom_inherits_too() -> None:
    own = project("g:c:1", management(bom("o:bom:1")) + dependencies(dependency("o:a")))
    above = project("o:above:2", properties(v="8") + management(dependency("o:a:${v}")))

    assert await direct(own, project("o:bom:1", parent="o:above:2"), above) == ["o:a:8:compile"]


async def test_a_bom_in_an_active_profile_is_imported() -> None:
    active = profiles(profile("<property><name>!off</name></property>", management(bom("o:bom:1"))))

    assert await direct(
        project("g:c:1", dependencies(dependency("o:a")), parent="g:p:1"),
        project("g:p:1", active),
        project("o:bom:1", management(dependency("o:a:4"))),
    ) == ["o:a:4:compile"]


async def test_of_managed_entries_that_are_the_same_the_first_counts_but_the_last_beside_imports() -> None:
    twice = (dependency("o:a:1"), dependency("${project.groupId}:a:2", scope="runtime"))
    own = dependencies(dependency("o:a"))

    assert await direct(project("o:c:1", management(*twice) + own)) == ["o:a:1:runtime"]
    assert await direct(project("o:c:1", management(*twice, bom("o:bom:1")) + own), project("o:bom:1")) == [
        "o:a:2:runtime"
    ]


# Inheritance.


async def test_dependencies_are_inherited_through_all_parents_and_the_childs_count() -> None:
    assert set(
        await direct(
            project("g:c:1", dependencies(dependency("o:a:own")), parent="g:p:1"),
            project("g:p:1", dependencies(dependency("o:a:parent"), dependency("o:b:parent")), parent="g:q:1"),
            project("g:q:1", dependencies(dependency("o:b:grandparent"), dependency("o:c:${project.version}"))),
        )
    ) == {"o:a:own:compile", "o:b:parent:compile", "o:c:1:compile"}


async def test_a_relocation_leads_elsewhere_and_is_not_inherited() -> None:
    relocation = "<relocation><groupId>new.${project.groupId}</groupId></relocation>"
    moved = f"<distributionManagement>{relocation}</distributionManagement>"
    old = project("g:c:1", moved + dependencies(dependency("o:a:1")))

    assert (await effective(old)).relocation == Coordinates("new.g", "c", "1")
    assert (await effective(project("g:d:1", parent="g:c:1"), old)).relocation is None


# What is missing or wrong.


async def test_a_missing_parent_is_told_and_what_the_pom_itself_says_remains() -> None:
    found = await effective(project("g:c:1", dependencies(dependency("o:a:1"), dependency("o:b:${v}")), parent="g:p:1"))

    assert [one.version for one in found.dependencies] == ["1", "${v}"]
    assert found.gaps == ("parent g:p:1 cannot be had (not_found)",)


async def test_a_missing_bom_is_told_and_the_next_one_counts() -> None:
    own = management(bom("o:gone:1"), bom("o:bom:1")) + dependencies(dependency("o:a"))
    found = await effective(project("g:c:1", own), project("o:bom:1", management(dependency("o:a:2"))))

    assert [one.version for one in found.dependencies] == ["2"]
    assert found.gaps == ("BOM o:gone:1 cannot be had (not_found)",)


async def test_parents_in_a_circle_are_survived_and_told() -> None:
    found = await effective(
        project("g:a:1", dependencies(dependency("o:x:1")), parent="g:b:1"),
        project("g:b:1", dependencies(dependency("o:y:1")), parent="g:a:1"),
    )

    assert [one.artifact_id for one in found.dependencies] == ["y", "x"]
    assert found.gaps == ("parent g:a:1 is its own: g:a:1 -> g:b:1 -> g:a:1",)


async def test_boms_in_a_circle_are_survived_and_told() -> None:
    own = project("g:c:1", management(bom("o:a:1")) + dependencies(dependency("o:x"), dependency("o:y")))
    found = await effective(
        own,
        project("o:a:1", management(dependency("o:x:1"), bom("o:b:1"))),
        project("o:b:1", management(dependency("o:y:2"), bom("o:a:1"))),
    )

    assert [one.version for one in found.dependencies] == ["1", "2"]
    assert found.gaps == ("BOM o:a:1 is its own: g:c:1 -> o:a:1 -> o:b:1 -> o:a:1",)


@pytest.mark.parametrize("version", ["${revision}", "1,2", ""])
async def test_a_parent_whose_version_is_none_is_not_asked_for(version: str) -> None:
    shelf = Shelf(project("g:c:1", dependencies(dependency("o:a:1")), parent=f"g:p:{version}"))
    found = await shelf.effective("g:c:1")

    assert shelf.loads == []
    assert found.gaps == (f"parent g:p:{version} cannot be asked for",)


async def test_a_chain_of_parents_without_end_ends() -> None:
    loads = 0

    async def load(coordinates: Coordinates) -> Pom:
        nonlocal loads
        loads += 1
        return parse_pom(project(f"g:p{loads}:1", parent=f"g:p{loads + 1}:1")[1], str(coordinates))

    found = await Effectives(load, Shelf().versions, at_once).of(
        Coordinates("g", "p0", "1"), parse_pom(project("g:p0:1", parent="g:p1:1")[1], "")
    )

    assert loads == MAX_DEPTH
    assert "one too many" in found.gaps[0]


async def test_boms_that_import_ever_more_boms_end() -> None:
    loads = 0

    async def load(coordinates: Coordinates) -> Pom:
        nonlocal loads
        loads += 1
        more = [bom(f"o:{coordinates.artifact_id}{letter}:1") for letter in "abc"]
        return parse_pom(project("o:any:1", management(*more))[1], str(coordinates))

    own = project("g:c:1", management(bom("o:b:1")) + dependencies(dependency("o:x")))[1]
    found = await Effectives(load, Shelf().versions, at_once).of(Coordinates("g", "c", "1"), parse_pom(own, ""))

    assert loads <= 1000
    assert any("one too many" in gap for gap in found.gaps)


@pytest.mark.parametrize(
    "failure", [Unavailable("down", url="x"), RateLimited("slowly", url="x", delay_s=3)], ids=lambda error: error.kind
)
@pytest.mark.parametrize(
    "body",
    [management(bom("o:a:1"), bom("o:b:1")), management(bom("o:a:1")), ""],
    ids=["two BOMs", "a BOM", "a parent"],
)
async def test_what_cannot_be_had_now_is_an_error_and_no_gap(failure: Unavailable | RateLimited, body: str) -> None:
    async def load(_: Coordinates) -> Pom:
        raise failure

    _, document = project("g:c:1", body + dependencies(dependency("o:x")), parent=None if body else "g:p:1")
    with pytest.raises(type(failure)):
        await Effectives(load, Shelf().versions, at_once).of(Coordinates("g", "c", "1"), parse_pom(document, ""))


# What is kept.


async def test_parents_and_boms_are_resolved_once_for_all_children() -> None:
    parent = project("g:p:1", management(bom("o:bom:1"), dependency("o:b:1")), parent="g:q:1")
    children = [project(f"g:c{n}:1", dependencies(dependency("o:a"), dependency("o:b")), parent="g:p:1") for n in "12"]
    shelf = Shelf(*children, parent, project("g:q:1"), project("o:bom:1", management(dependency("o:a:1"))))
    first, second = [await shelf.effective(f"g:c{n}:1") for n in "12"]

    assert shelf.loads == ["g:p:1", "g:q:1", "o:bom:1"]
    assert first.dependencies == second.dependencies
    assert second.gaps == ()


async def test_a_gap_is_looked_for_again() -> None:
    shelf = Shelf(project("g:c:1", parent="g:p:1"), project("g:p:1", parent="g:gone:1"))
    await shelf.effective("g:c:1")
    await shelf.effective("g:c:1")

    assert shelf.loads.count("g:gone:1") == 2


def test_a_cache_keeps_what_was_used_last_within_its_limit() -> None:
    cache: BoundedCache[str, int] = BoundedCache(10)
    cache.put("a", 1, 4)
    cache.put("b", 2, 4)
    assert cache.get("a") == 1
    cache.put("c", 3, 4)
    cache.put("whale", 4, 11)

    assert [cache.get(key) for key in ("a", "b", "c", "whale")] == [1, None, 3, None]
    cache.put("d", 5, 4)
    cache.put("d", 6, 5)
    cache.put("e", 7, 5)
    assert [cache.get(key) for key in "de"] == [6, 7]
