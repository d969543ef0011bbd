"""This tests the repository address in the one form that the graph holds."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securechain_ingest.registries.kit.repository import normalise_repository, vendor_of


@pytest.mark.parametrize(
    "written",
    [
        "https://github.com/some-owner/some.repo",
        "http://github.com/some-owner/some.repo/",
        "https://github.com/some-owner/some.repo.git",
        "https://www.github.com/some-owner/some.repo",
        "https://GitHub.com/some-owner/some.repo#readme",
        "https://user:token@github.com/some-owner/some.repo?tab=readme",
        "https://github.com:443/some-owner/some.repo",
        "git+https://github.com/some-owner/some.repo.git#main",
        "git://github.com/some-owner/some.repo.git",
        "git@github.com:some-owner/some.repo.git",
        "git:git@github.com:some-owner/some.repo.git",
        "ssh://git@github.com/some-owner/some.repo.git",
        "ssh://git@github.com:22/some-owner/some.repo.git",
        "git+ssh://git@github.com:some-owner/some.repo.git",
        "scm:git:git://github.com/some-owner/some.repo.git",
        "github.com/some-owner/some.repo",
        "//github.com/some-owner/some.repo",
        "https:/github.com/some-owner/some.repo",
        "https:///github.com/some-owner/some.repo",
        "https://github.com//some-owner//some.repo",
        "https://github.com/some-owner/some.repo/tree/main/packages/a",
        "https://github.com/some-owner/some.repo/blob/main/README.md",
        "https://github.com/some-owner/some.repo/issues/1",
        "github:some-owner/some.repo",
        "github:some-owner/some.repo#semver:^1",
        "github:/some-owner/some.repo/",
        "some-owner/some.repo",
        "  some-owner/some.repo.git\n",
        "scm:hg:https://github.com/some-owner/some.repo",
        "scm:hg:git://github.com/some-owner/some.repo.git",
        "scm:svn:https://github.com/some-owner/some.repo/tags/some-1.0",
        "scm:https:https://github.com/some-owner/some.repo.git",
        "scm:git|ssh://git@github.com/some-owner/some.repo.git",
        "scm:git:scm:git:git://github.com/some-owner/some.repo.git",
        "svn+https://github.com/some-owner/some.repo",
        "git::https://github.com/some-owner/some.repo",
        "git:///github.com/some-owner/some.repo.git",
        "git:/git://github.com/some-owner/some.repo.git",
        "git:/github.com/some-owner/some.repo.git",
        "git//github.com/some-owner/some.repo.git",
        "https://https://github.com/some-owner/some.repo",
        "git@git@github.com:some-owner/some.repo.git",
        "ssh://git@ssh.github.com:443/some-owner/some.repo.git",
        "Source: https://github.com/some-owner/some.repo",
        "<https://github.com/some-owner/some.repo>",
        "[scm:git:https://user@github.com/some-owner/some.repo.git]",
        "(https://github.com/some-owner/some.repo/)",
        '"https://github.com/some-owner/some.repo",',
        "=https://github.com/some-owner/some.repo.git",
        "https://github.com/some-owner/some.repo.git.git",
        "git+https://github.com/some-owner/some.repo.git@v1.0#egg=some",
        "https://github.com/some-owner/some.repo@v1",
        "https://github.com/some-owner/some.repo:main",
    ],
)
def test_any_form_of_an_address_is_written_in_one(written: str) -> None:
    assert normalise_repository([written]) == "https://github.com/some-owner/some.repo"


@pytest.mark.parametrize(
    ("written", "repository"),
    [
        ("gitlab:a/b", "https://gitlab.com/a/b"),
        ("gitlab:group/sub.group/project#main", "https://gitlab.com/group/sub.group/project"),
        ("gitlab:my_group.x/b.git", "https://gitlab.com/my_group.x/b"),
        ("https://gitlab.com/a/b.git", "https://gitlab.com/a/b"),
        ("https://gitlab.com/a/b/-/issues/7", "https://gitlab.com/a/b"),
        ("https://gitlab.com/a/b/tree/main", "https://gitlab.com/a/b"),
        ("https://gitlab.com/group/subgroup/project", "https://gitlab.com/group/subgroup/project"),
        ("git@gitlab.com:group/subgroup/project.git", "https://gitlab.com/group/subgroup/project"),
        ("https://gitlab.com/group/subgroup/project/-/tree/main/a", "https://gitlab.com/group/subgroup/project"),
        ("ssh://git@altssh.gitlab.com:443/a/b.git", "https://gitlab.com/a/b"),
        ("scm:hg:ssh://hg@bitbucket.org/a/b", "https://bitbucket.org/a/b"),
        ("bitbucket:a/b", "https://bitbucket.org/a/b"),
        ("bitbucket:my_team/b", "https://bitbucket.org/my_team/b"),
        ("github:someone_company/b", "https://github.com/someone_company/b"),
        ("someone_company/b", "https://github.com/someone_company/b"),
        ("github:a/b/tree/main", "https://github.com/a/b"),
        ("https://bitbucket.org/A/B/src/master/", "https://bitbucket.org/A/B"),
        ("https://github.com/Some-Owner/Repo", "https://github.com/Some-Owner/Repo"),
        ("https://github.com/some-owner/.github", "https://github.com/some-owner/.github"),
    ],
)
def test_other_hosts_and_the_case_of_names_are_kept(written: str, repository: str) -> None:
    assert normalise_repository([written]) == repository


@pytest.mark.parametrize(
    "written",
    [
        "https://github.com/sponsors/some-owner",
        "https://github.com/orgs/some-owner/repositories",
        "https://gist.github.com/some-owner/0123456789abcdef",
        "gist:0123456789abcdef",
        "https://github.com/some-owner",
        "https://github.com/some-owner?tab=repositories",
        "https://github.com/",
        "https://github.com/some-owner/..",
        "https://github.com/some-owner/.git",
        "https://github.com/{owner}/{repo}",
        "https://gitlab.com/group/-/packages",
        "https://@github.com/@some-owner/some-repo",
        "See https://example.org/ and https://github.com/some-owner/some-repo",
        "https://example.org:https://github.com/some-owner/some-repo",
        "example.org//github.com/some-owner/some-repo",
        "https://notgithub.com/some-owner/some-repo",
        "https://github.com.example.org/some-owner/some-repo",
        "https://example.org/?to=https://github.com/some-owner/some-repo",
        "https://example.org/some-owner/some-repo",
        "example.org/some-repo",
        "some-owner",
        "",
        None,
        7,
        [],
        {},
        {"url": None},
        [[["https://github.com/some-owner/some-repo"]]],
    ],
)
def test_what_leads_to_no_repository_is_refused(written: object) -> None:
    assert normalise_repository([written]) == "n/a"


def test_the_first_candidate_that_leads_to_a_repository_is_taken() -> None:
    candidates = [None, "https://example.org", [{"type": "git", "url": "git://github.com/a/b.git"}], "c/d"]

    assert normalise_repository(candidates) == "https://github.com/a/b"


def test_the_vendor_is_the_owner_of_the_repository() -> None:
    assert vendor_of("https://github.com/some-owner/some-repo") == "some-owner"
    assert vendor_of("https://gitlab.com/group/subgroup/project") == "group"
    assert vendor_of("n/a") is None


@given(
    st.lists(
        st.from_regex(r"(git\+)?(https|ssh|git)://(git@)?(www\.)?git(hub|lab)\.com[:/][!-~]{0,20}", fullmatch=True)
        | st.text(max_size=30)
    )
)
def test_every_answer_has_the_one_form(candidates: list[str]) -> None:
    found = normalise_repository(candidates)

    assert re.fullmatch(r"n/a|https://(github\.com|gitlab\.com|bitbucket\.org)(/[A-Za-z0-9_.-]+){2,}", found)
    assert normalise_repository([found]) == found
