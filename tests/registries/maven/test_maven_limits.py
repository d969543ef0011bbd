"""This tests POMs that are made to take long: what is read of them takes steps by their length, and has an end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from securechain_ingest.errors import Malformed
from securechain_ingest.registries.maven import resolution
from securechain_ingest.registries.maven.effective import MAX_TEXT, MAX_TEXTS, Texts, inherit, joined
from securechain_ingest.registries.maven.names import Coordinates
from securechain_ingest.registries.maven.package import requirements
from securechain_ingest.registries.maven.pom import MAX_DEPENDENCIES, MAX_MANAGED, Dependency, parse_pom
from securechain_ingest.registries.maven.profiles import JDK
from securechain_ingest.registries.maven.reading import read_bom, read_pom
from securechain_ingest.registries.maven.resolution import LIGHT, Effectives
from tests.registries.maven.poms import (
    Shelf,
    bom,
    dependencies,
    dependency,
    management,
    profile,
    profiles,
    project,
    properties,
    short,
)
from tests.steps import assert_linear

OWN = Coordinates("g", "c", "1")


def pom(body: str, *, parent: str | None = None) -> bytes:
    return project("g:c:1", body, parent=parent)[1]


def many(size: int, write: Callable[[int], str]) -> str:
    return "".join(map(write, range(size)))


BODIES: dict[str, Callable[[int], str]] = {
    "dependencies": lambda size: dependencies(many(size, lambda number: dependency(f"o:d{number}:1"))),
    "dependencies that are managed": lambda size: (
        management(many(size, lambda number: dependency(f"o:d{number}:1")))
        + dependencies(many(size, lambda number: dependency(f"o:d{number}")))
    ),
    "one key again and again": lambda size: management(many(size, lambda _: dependency("o:d:1"))),
    "properties of one another": lambda size: (
        properties(**{f"p{number}": f"${{p{number + 1}}}" for number in range(size)})
        + dependencies(many(size, lambda number: dependency(f"o:d{number}:${{p{number}}}")))
    ),
    "properties that double": lambda size: (
        properties(**{f"p{number}": f"${{p{number + 1}}}" * 10 for number in range(size)})
        + dependencies(many(size, lambda number: dependency(f"o:d{number}:${{p{number}}}")))
    ),
    "properties of one large one": lambda size: (
        properties(big="x" * MAX_TEXT)
        + dependencies(many(size, lambda number: dependency(f"o:d{number}:{'${big}' * 50}")))
    ),
    "properties in a circle": lambda size: (
        properties(**{f"p{number}": f"${{p{(number + 1) % size}}}" for number in range(size)})
        + dependencies(many(size, lambda number: dependency(f"o:d{number}:${{p{number}}}")))
    ),
    "active profiles": lambda size: (
        management(many(size, lambda number: dependency(f"o:m{number}:1")))
        + profiles(many(size, lambda number: profile(f"<jdk>{JDK}</jdk>", management(dependency(f"o:d{number}:1")))))
    ),
    "asleep profiles": lambda size: profiles(many(size, lambda number: profile(f"<jdk>[{'1.' * 5}{number},1)</jdk>"))),
    "imports": lambda size: (
        management(many(size, lambda number: bom(f"o:b{number}:1"))) + dependencies(dependency("o:x"))
    ),
    "developers": lambda size: f"<developers>{'<developer><id>a</id></developer>' * size}</developers>",
    "elements of one name": lambda size: "<scm><url>a</url></scm>" * size,
}


@pytest.mark.parametrize("kind", BODIES)
def test_a_pom_is_read_in_steps_by_its_length(kind: str) -> None:
    def prepare(size: int) -> Callable[[], object]:
        body = pom(BODIES[kind](size))
        return lambda: read_pom(inherit(parse_pom(body, "a.pom"), None), OWN)

    assert_linear(prepare, 100)


@pytest.mark.parametrize("kind", BODIES)
def test_a_bom_is_read_in_steps_by_its_length(kind: str) -> None:
    def prepare(size: int) -> Callable[[], object]:
        body = pom(BODIES[kind](size))
        return lambda: read_bom(inherit(parse_pom(body, "a.pom"), None))

    assert_linear(prepare, 100)


def test_a_lineage_is_joined_in_steps_by_its_length() -> None:
    def prepare(size: int) -> Callable[[], object]:
        body = management(*(dependency(f"o:d{number}:1") for number in range(size)))
        lineage = [parse_pom(pom(body), "a.pom") for _ in range(10)]
        return lambda: joined(lineage)

    assert_linear(prepare)


def test_requirements_are_made_in_steps_by_the_dependencies() -> None:
    made = iter(range(1_000_000))

    def prepare(size: int) -> Callable[[], object]:
        found = [Dependency("o", f"d{next(made)}", "1", "jar", None, "compile", None) for _ in range(size)]
        return lambda: requirements(found)

    assert_linear(prepare)


def diamonds(depth: int, missing: str) -> Shelf:
    """Return BOMs that import two of the next level each, and at the end one that is not there."""
    levels = [
        project(f"o:{side}{level}:1", management(bom(f"o:a{level + 1}:1"), bom(f"o:b{level + 1}:1")))
        for level in range(depth)
        for side in "ab"
    ]
    last = [project(f"o:{side}{depth}:1", management(bom(missing))) for side in "ab"]
    return Shelf(project("g:c:1", management(bom("o:a0:1")) + dependencies(dependency("o:x"))), *levels, *last)


def test_boms_that_share_boms_are_each_read_once_and_each_gap_told_once() -> None:
    def prepare(size: int) -> Callable[[], object]:
        shelf = diamonds(size, "o:gone:1")
        return lambda: asyncio.run(shelf.effective("g:c:1"))

    shelf = diamonds(12, "o:gone:1")
    found = asyncio.run(shelf.effective("g:c:1"))
    assert found.gaps == ("BOM o:gone:1 cannot be had (not_found)",)
    assert len(shelf.loads) == len(set(shelf.loads)) == 26
    assert_linear(prepare, 8)


async def test_one_import_of_very_many_says_what_it_has_to_say() -> None:
    boms = [project(f"o:b{number}:1", management(dependency(f"o:x{number}:{number}"))) for number in range(300)]
    own = management(*(bom(f"o:b{number}:1") for number in range(300))) + dependencies(dependency("o:x299"))
    found = await Shelf(project("g:c:1", own), *boms).effective("g:c:1")

    assert [short(one) for one in found.dependencies] == ["o:x299:299:compile"]


def test_a_text_that_properties_make_too_long_stays_as_it_is() -> None:
    body = properties(big="x" * 8000, twice="${big}${big}")
    texts = Texts(inherit(parse_pom(pom(body), "a.pom"), None))

    assert texts("${big}") == "x" * 8000
    assert texts("${big}${big}") == "${big}${big}"
    assert texts("${twice}-1") == "${twice}-1"
    assert texts("${big}" * 100_000) == "${big}" * 100_000


def test_texts_that_together_come_to_too_much_are_an_error_with_the_poms_name() -> None:
    entries = [dependency(f"o:d{number}:${{big}}") for number in range(MAX_TEXTS // 8000 + 10)]
    model = inherit(parse_pom(pom(properties(big="x" * 8000) + dependencies(*entries)), "a.pom"), None)

    with pytest.raises(Malformed, match="the texts of g:c:1 come to more than"):
        read_pom(model, OWN)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (dependencies(*(dependency(f"o:d{number}:1") for number in range(MAX_DEPENDENCIES + 1))), "10001 dependencies"),
        (management(*(dependency("o:d:1") for _ in range(MAX_MANAGED + 1))), "30001 managed dependencies"),
        (properties(**{f"p{number}": "1" for number in range(MAX_MANAGED + 1)}), "30001 properties"),
    ],
    ids=["dependencies", "managed", "properties"],
)
def test_a_pom_with_more_entries_than_any_real_one_is_malformed(body: str, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        parse_pom(pom(body), "a.pom")


def test_ancestors_that_together_have_too_many_entries_are_malformed() -> None:
    half = [
        parse_pom(pom(dependencies(*(dependency(f"o:{side}{number}:1") for number in range(6000)))), "a.pom")
        for side in "ab"
    ]
    with pytest.raises(Malformed, match="12000 dependencies"):
        joined(half)


async def test_boms_that_together_manage_too_much_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolution, "MAX_IMPORTED", 1000)
    boms = [
        project(f"o:b{number}:1", management(*(dependency(f"o{number}:d{each}:1") for each in range(100))))
        for number in range(12)
    ]
    own = management(*(bom(str(one)) for one, _ in boms)) + dependencies(dependency("o0:d7"), dependency("o11:d7"))
    found = await Shelf(project("g:c:1", own), *boms).effective("g:c:1")

    assert [short(one) for one in found.dependencies] == ["o0:d7:1:compile", "o11:d7:None:compile"]
    assert "is one too many: all together manage more than 1000" in found.gaps[0]


async def test_large_poms_are_worked_out_elsewhere_and_come_to_the_same() -> None:
    run_elsewhere: list[str] = []

    async def elsewhere(function: Callable[..., Any], url: str, *args: Any) -> Any:
        run_elsewhere.append(url)
        return function(url, *args)

    def shelf(size: int) -> Shelf:
        managed = management(*(dependency(f"o:d{number}:{number}") for number in range(size)), bom("o:bom:1"))
        return Shelf(
            project("g:c:1", dependencies(dependency("o:d7"), dependency("o:e7")), parent="g:p:1"),
            project("g:p:1", managed),
            project("o:bom:1", management(*(dependency(f"o:e{number}:{number}.1") for number in range(size)))),
        )

    answers = []
    for size in (100, LIGHT):
        run_elsewhere.clear()
        stock = shelf(size)
        effectives = Effectives(stock.load, stock.versions, elsewhere)
        found = await effectives.of(OWN, await stock.load(OWN))
        answers.append([short(one) for one in found.dependencies])
        assert run_elsewhere == ([] if size == 100 else ["g:c:1", "o:bom:1"])
    assert answers[0] == answers[1] == ["o:d7:7:compile", "o:e7:7.1:compile"]
