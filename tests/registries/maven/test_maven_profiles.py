"""This tests profiles by JDK: each text is on or off as Maven 3.8.7 had it on JDK 17.0.15, or off where Maven
refused the POM.
"""

from __future__ import annotations

import pytest

from securechain_ingest.registries.maven.pom import parse_pom
from tests.registries.maven.poms import dependencies, dependency, profile, profiles, project

ON = (
    "[9,11[",
    "[11, ]",
    "[1.8,11",
    "[1.8.0u40,)",
    "[17,18)",
    "(17,18)",
    "17",
    "!1.8",
    "[1.8]",
    "[1.8",
    "[9",
    "(9",
    "[9,20[",
    "[ 9 , 20 ]",
    "[9 ,20]",
    "[9, 20]",
    "[ 9,20]",
    "[1.8.0u40]",
    "[1.8.0_40,)",
    "[1.8.0-40,)",
    "[17.0.15,)",
    "[17.0.15.1,)",
    "[1.8.0_u,)",
    "[,)",
    "(,)",
    "[",
    "(",
    "[11,,17]",
    "[11,,18]",
    "[11,12,18]",
    "[1.8,);",
    "[1.8,) ",
    "[1.8+,)",
    "17.0",
    "17.0.15",
    "17.0.1",
    "1",
    "[1.8.,)",
    "[1..8,)",
    "[1.8 ,)",
    "[11 ,)",
    "[[11,)",
    "!1.8,!1.7",
    "![1.8,11)",
    "![11,18)",
    "! 17",
    " ! 17 ",
    "[-1,)",
    "[11,]",
    "(11,]",
    "(,18",
    "[9,11[,18]",
    "[9, 11[ ,18]",
    "[\uff11\uff11,)",
    "[\u0663,)",
    "[+11,)",
    "[11.-1,)",
    "[.,)",
)
OFF = (
    "[9,11)",
    "[11,17]",
    "[11,17)",
    "[17]",
    "[17,17]",
    "!17",
    "1.8",
    "(,17]",
    "(,17)",
    "(,11]",
    "[,17]",
    "[1.5,1.8],[11,17]",
    "[1.5,1.8],[11,18]",
    "]9,11]",
    ")9,11]",
    "[9;11]",
    "[9]",
    "(9)",
    "9,",
    "9,)",
    "[18,19[",
    "[17.0.16,)",
    "[17.0.14,17.0.15)",
    "[17.0.15]",
    "(17.0.15,)",
    "[abc,)",
    "[]",
    "()",
    ",",
    "]",
    ")",
    "1.7,1.8",
    "1.8+",
    "17+",
    "170",
    "[.8,)",
    "[99999999999,)",
    "[8,99999999999]",
    "[11,) (foo)",
    "[11,)]",
    "[11,12])",
    "11",
    "[11,2147483648)",
    "[17ea,)",
    "[17-ea,)",
    "[17_1,)",
    "[16_9,)",
    "[17.0-16,)",
    "[17.0_16,)",
    "[11)",
    "[18)",
    "[18,]",
    "(18,",
    ",17]",
    ",18)",
    ",11]",
    "[9u,",
    "[1.8.0u40,1.9)",
    "[17.0.u,)",
    "[17.u,)",
    "[17.0.15u1,)",
    "[17.0.16u1,)",
    "[17.+1,)",
)


def is_active(jdk: str) -> bool:
    body = profiles(profile(f"<jdk>{jdk}</jdk>", dependencies(dependency("d:x:1"))))
    return bool(parse_pom(project("g:c:1", body)[1], "").dependencies)


@pytest.mark.parametrize("jdk", ON)
def test_a_profile_for_this_jdk_is_on(jdk: str) -> None:
    assert is_active(jdk)


@pytest.mark.parametrize("jdk", OFF)
def test_a_profile_for_another_jdk_or_none_is_off(jdk: str) -> None:
    assert not is_active(jdk)


def test_a_jdk_of_very_many_digits_is_none() -> None:
    assert not is_active(f"[{'9' * 5000},)")
    assert is_active(f"[1.{'9' * 5000},)")


def test_a_jdk_of_very_many_parts_is_read_once() -> None:
    assert is_active(f"[{'1.' * 500_000}8,)")
    assert not is_active(f"[18,{',' * 500_000}19)")
