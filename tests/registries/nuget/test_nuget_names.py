"""This tests package ids: any case names one package."""

from __future__ import annotations

import pytest

from securechain_ingest.errors import InvalidName
from securechain_ingest.registries.kit.identity import version_purl
from securechain_ingest.registries.nuget.names import identify


def test_an_id_in_any_case_is_one_package() -> None:
    one, other = identify("Newtonsoft.Json"), identify("newtonsoft.JSON")

    assert (one.name, one.purl) == (other.name, other.purl) == ("newtonsoft.json", "pkg:nuget/newtonsoft.json")
    assert one.registry_name == "Newtonsoft.Json"


@pytest.mark.parametrize("name", ["", " ", "a b", ".a", "-a", "a/b", "../a", "a%2e", "a" * 101, "a\n", "a@1"])
def test_what_no_package_can_be_called_is_refused(name: str) -> None:
    with pytest.raises(InvalidName):
        identify(name)


@pytest.mark.parametrize("name", ["jQuery", "_1", "EntityFramework.7", "a-b_c.D", "1st", "Übung"])
def test_what_packages_are_called_is_allowed(name: str) -> None:
    assert identify(name).name == name.lower()


def test_metadata_and_other_letters_are_encoded_in_purls() -> None:
    assert version_purl(identify("Übung"), "1.0.0+a") == "pkg:nuget/%C3%BCbung@1.0.0%2Ba"
