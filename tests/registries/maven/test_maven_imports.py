"""This tests what makes an entry of the managed dependencies an import.

Each rule is as Maven 3.8.7 answered when it was asked.
"""

from __future__ import annotations

import pytest

from tests.registries.maven.poms import dependencies, dependency, direct, management, project, properties


@pytest.mark.parametrize(
    ("scope", "kind", "version"),
    [
        ("${s}", "${t}", "4.0"),
        ("import", "${t}", "4.0"),
        ("${s}", "pom", "4.0"),
        ("${nested}", "pom", "4.0"),
        ("${s}", "jar", None),
        ("${nobody}", "pom", None),
        ("Import", "pom", None),
    ],
)
async def test_the_scope_and_the_type_of_an_import_may_be_properties(
    scope: str, kind: str, version: str | None
) -> None:
    texts = properties(s="import", t="pom", nested="${s}")
    own = management(dependency("o:bom:1", type=kind, scope=scope)) + dependencies(dependency("d:x"))

    assert await direct(project("g:c:1", texts + own), project("o:bom:1", management(dependency("d:x:4.0")))) == [
        f"d:x:{version}:compile"
    ]


async def test_an_import_by_properties_counts_in_a_bom_and_by_a_childs_properties() -> None:
    parent = project("g:p:1", properties(s="test") + management(dependency("o:bom:1", type="pom", scope="${s}")))
    child = project("g:c:1", properties(s="import") + dependencies(dependency("d:x")), parent="g:p:1")
    boms = [
        project("o:bom:1", properties(t="pom") + management(dependency("o:other:1", type="${t}", scope="import"))),
        project("o:other:1", management(dependency("d:x:4.0"))),
    ]

    assert await direct(child, parent, *boms) == ["d:x:4.0:compile"]


@pytest.mark.parametrize(("imports_itself", "wanted"), [(False, "d:x:1.0:compile"), (True, "d:x:2.0:provided")])
async def test_of_repeated_keys_in_a_bom_the_first_counts_unless_it_imports_others(
    imports_itself: bool, wanted: str
) -> None:
    twice = [dependency("d:x:1.0"), dependency("d:x:2.0", scope="provided")]
    others = [dependency("o:other:1", type="pom", scope="import")] if imports_itself else []
    own = management(dependency("o:bom:1", type="pom", scope="import")) + dependencies(dependency("d:x"))
    boms = [project("o:bom:1", management(*others, *twice)), project("o:other:1")]

    assert await direct(project("g:c:1", own), *boms) == [wanted]
