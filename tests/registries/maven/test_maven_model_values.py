"""This tests what `${project.…}` names: each value as Maven 3.8.7 answered when it was asked."""

from __future__ import annotations

import pytest

from tests.registries.maven.poms import dependencies, dependency, direct, project, properties

VALUES = """
<prerequisites><maven>3.0.4</maven></prerequisites><inceptionYear>1999</inceptionYear><url>https://e.org/p</url>
<organization><name>POrg</name><url>https://porg</url></organization>
<issueManagement><system>PIs</system><url>https://pis</url></issueManagement>
<ciManagement><system>PCi</system><url>https://pci</url></ciManagement>
<scm><url>https://scm/p</url><connection>scm:git:p</connection><tag>ptag</tag></scm>
<distributionManagement><repository><id>prid</id><url>https://prurl</url></repository>
<site><id>psid</id></site><downloadUrl>https://pdl</downloadUrl></distributionManagement>
<licenses><license><name>PLic</name></license></licenses>
<developers><developer><id>one</id></developer><developer><id>two</id></developer></developers>
<build><directory>pdir</directory><finalName>pfinal</finalName></build>
"""
OWN = """
<prerequisites><maven>3.0.5</maven></prerequisites><organization><name>COrg</name></organization>
<ciManagement/><scm><url>https://scm/c</url></scm><build><finalName>cfinal</finalName></build>
<distributionManagement><repository><id>crid</id></repository></distributionManagement>
"""
UNKNOWN = None


async def value(expression: str, body: str, *, inherits: bool) -> str | None:
    """Return what an expression comes to in the POM g:c:7 with `body`; None: nothing.

    The parent is g:p:3 with VALUES.
    """
    texts = properties(x="px") + dependencies(dependency(f"o:d:${{{expression}}}"))
    parent = project("g:p:3", f"<packaging>pom</packaging>{VALUES}")
    (found,) = await direct(project("g:c:7", body + texts, parent="g:p:3" if inherits else None), parent)
    text = found.removeprefix("o:d:").removesuffix(":compile")
    return None if text == f"${{{expression}}}" else text


@pytest.mark.parametrize(
    ("expression", "own", "inherited", "overridden", "without"),
    [
        ("project.prerequisites.maven", "3.0.4", UNKNOWN, "3.0.5", UNKNOWN),
        ("prerequisites.maven", "3.0.4", UNKNOWN, "3.0.5", UNKNOWN),
        ("pom.prerequisites.maven", "3.0.4", UNKNOWN, "3.0.5", UNKNOWN),
        ("project.inceptionYear", "1999", "1999", "1999", UNKNOWN),
        ("project.scm.tag", "ptag", "ptag", "HEAD", UNKNOWN),
        ("project.scm.url", "https://scm/p", "https://scm/p/c", "https://scm/c", UNKNOWN),
        ("scm.connection", "scm:git:p", "scm:git:p/c", "scm:git:p/c", UNKNOWN),
        ("project.url", "https://e.org/p", "https://e.org/p/c", "https://e.org/p/c", UNKNOWN),
        ("project.organization.name", "POrg", "POrg", "COrg", UNKNOWN),
        ("organization.url", "https://porg", "https://porg", UNKNOWN, UNKNOWN),
        ("project.issueManagement.system", "PIs", "PIs", "PIs", UNKNOWN),
        ("project.ciManagement.url", "https://pci", "https://pci", UNKNOWN, UNKNOWN),
        ("project.distributionManagement.repository.id", "prid", "prid", "crid", UNKNOWN),
        ("project.distributionManagement.repository.url", "https://prurl", "https://prurl", UNKNOWN, UNKNOWN),
        ("project.distributionManagement.repository.layout", "default", "default", "default", UNKNOWN),
        ("project.distributionManagement.site.id", "psid", "psid", "psid", UNKNOWN),
        ("project.distributionManagement.downloadUrl", "https://pdl", "https://pdl", "https://pdl", UNKNOWN),
        ("project.licenses[0].name", "PLic", "PLic", "PLic", UNKNOWN),
        ("project.developers[1].id", "two", "two", "two", UNKNOWN),
        ("project.developers[2].id", UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN),
        ("project.build.directory", "pdir", "pdir", "pdir", "${project.basedir}/target"),
        (
            "project.build.outputDirectory",
            "pdir/classes",
            "pdir/classes",
            "pdir/classes",
            "${project.basedir}/target/classes",
        ),
        ("project.build.finalName", "pfinal", "pfinal", "cfinal", "c-7"),
        ("build.finalName", "pfinal", "pfinal", "cfinal", "c-7"),
        ("project.build.sourceDirectory", *["${project.basedir}/src/main/java"] * 4),
        ("project.parent.version", UNKNOWN, "3", "3", UNKNOWN),
        ("parent.relativePath", UNKNOWN, "../pom.xml", "../pom.xml", UNKNOWN),
        ("project.parent.id", UNKNOWN, "g:p:pom:3", "g:p:pom:3", UNKNOWN),
        ("project.id", *["g:c:jar:7"] * 4),
        ("id", *["g:c:jar:7"] * 4),
        ("project.Version", *["7"] * 4),
        ("project.properties(x)", *["px"] * 4),
        ("project.properties.x", *[UNKNOWN] * 4),
        ("project.x", *[UNKNOWN] * 4),
        ("project.artifactid", *[UNKNOWN] * 4),
        ("project.organization.", *[UNKNOWN] * 4),
        ("basedir", *[UNKNOWN] * 4),
        ("project.basedir", *[UNKNOWN] * 4),
        ("project.baseUri", *[UNKNOWN] * 4),
        ("maven.build.timestamp", *[UNKNOWN] * 4),
        ("settings.localRepository", *[UNKNOWN] * 4),
    ],
)
async def test_a_value_of_the_model_is_what_maven_takes_it_for(
    expression: str, own: str | None, inherited: str | None, overridden: str | None, without: str | None
) -> None:
    assert await value(expression, VALUES, inherits=False) == own
    assert await value(expression, "", inherits=True) == inherited
    assert await value(expression, OWN, inherits=True) == overridden
    assert await value(expression, "", inherits=False) == without


@pytest.mark.parametrize(
    "expression", ["env.HOME", "java.version", "user.name", "maven.version", "os.detected.classifier"]
)
async def test_what_depends_on_the_machine_stays_unresolved(expression: str) -> None:
    assert await value(expression, "", inherits=False) is None


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("version", "7-x"),
        ("by.version", "7-x"),
        ("groupId", "g"),
        ("parent.version", "3"),
        ("project.version", "7"),
        ("name", UNKNOWN),
        ("round", UNKNOWN),
        ("artifactId", UNKNOWN),
    ],
)
async def test_a_property_that_names_itself_means_the_value_of_the_model(expression: str, found: str | None) -> None:
    own = (
        "<version>${version}-x</version><groupId>${groupId}</groupId><parent.version>${parent.version}</parent.version>"
    )
    circles = "<name>${name}</name><artifactId>${round}</artifactId><round>${artifactId}</round>"
    body = f"<properties>{own}<by.version>${{version}}</by.version>{circles}</properties>"

    assert await value(expression, body, inherits=True) == found
