"""This module brings any spelling of a GitHub, GitLab or Bitbucket address into the form `https://host/owner/repo`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final
from urllib.parse import urlsplit

from securechain_ingest.model import NOT_AVAILABLE

_MAX_ADDRESS_LENGTH: Final = 2048

# https://…, git+ssh://git@…, git@host:owner/repo, host/owner/repo; Maven's scm:PROVIDER:… with : or |; and what people
# make of them: a scheme twice, too few or many slashes, a word before (`Source: https://…`), brackets or quotes.
# What stands before the host has no dot outside of the user's part, and so is no other host. Only the hosts themselves:
# not gist., not pages.
_ADDRESS: Final = re.compile(
    r"""[\s<(\["'=]*+(?:[a-z][a-z0-9+]*(?:[:|]+\s*/*|//)){0,6}/{0,3}(?:[^/\s]+@)?(?:(?:www|git|ssh|altssh)\.)?"""
    r"""(?P<host>github\.com|gitlab\.com|bitbucket\.org)(?::\d+(?=/))?[/:]+(?P<path>[^?#\s<>()\[\]"',;]+)""",
    re.IGNORECASE,
)
# What npm's package.json allows: gitlab:group/subgroup/repo, owner/repo, either with a #branch. Where nothing says that
# this is GitHub, owners have no dots, so this is no host.
_SHORTHAND: Final = re.compile(
    r"(?:(?P<host>github|gitlab|bitbucket):(?P<named>[^?#\s]+)|(?P<path>[A-Za-z0-9_-]+/[A-Za-z0-9_.-]+))(?:#.*)?"
)
_SHORTHAND_HOSTS: Final = {
    None: "github.com",
    "github": "github.com",
    "gitlab": "gitlab.com",
    "bitbucket": "bitbucket.org",
}

_SEGMENT: Final = re.compile(r"[A-Za-z0-9_.-]*[A-Za-z0-9_-][A-Za-z0-9_.-]*")
# What may follow a repository's name, which has neither sign: a revision.
_REVISION: Final = re.compile(r"[@:].*")
_GIT: Final = re.compile(r"(?:\.git)+$", re.IGNORECASE)
# First segments that are pages of the host itself.
_NO_OWNERS: Final = frozenset(
    {
        "about",
        "apps",
        "collections",
        "dashboard",
        "enterprise",
        "explore",
        "features",
        "groups",
        "help",
        "join",
        "login",
    }
    | {"marketplace", "orgs", "pricing", "product", "search", "security", "settings", "site", "sponsors", "stars"}
    | {"support", "topics", "trending", "user-attachments", "users"}
)
# GitLab's groups nest: what follows one of these (in old links) is a page of the repository, `-` stands for any.
_PAGES: Final = frozenset(
    {"-", "activity", "blob", "branches", "commit", "commits", "compare", "issues", "merge_requests", "milestones"}
    | {"pipelines", "raw", "releases", "snippets", "tags", "tree", "wikis"}
)


def normalise_repository(candidates: Iterable[object]) -> str:
    """Return the repository of the first candidate that names one, and otherwise NOT_AVAILABLE.

    A candidate is whatever a registry's document holds there: text, an object with a `url`, a list of them, anything.
    Pages below a repository (issues, a branch) name it too; the host's own pages and an owner alone do not.
    """
    for candidate in candidates:
        for text in _texts(candidate):
            if repository := _repository(text.strip()[:_MAX_ADDRESS_LENGTH]):
                return repository
    return NOT_AVAILABLE


def vendor_of(repository_url: str) -> str | None:
    """Return the owner in a normalised address. The result is None for NOT_AVAILABLE."""
    return urlsplit(repository_url).path.split("/")[1] if repository_url != NOT_AVAILABLE else None


def _texts(candidate: object) -> Iterator[str]:
    entries: list[Any] = candidate if isinstance(candidate, list) else [candidate]
    for entry in entries:
        text = entry.get("url") if isinstance(entry, dict) else entry
        if isinstance(text, str) and text != NOT_AVAILABLE:
            yield text


def _repository(text: str) -> str | None:
    if match := _ADDRESS.match(text):
        host, path = match["host"].lower(), match["path"]
    elif match := _SHORTHAND.fullmatch(text):
        host, path = _SHORTHAND_HOSTS[match["host"]], match["named"] or match["path"]
    else:
        return None
    segments = [segment for segment in path.split("/") if segment]
    segments = _nested(segments) if host == "gitlab.com" else segments[:2]
    if len(segments) < 2 or segments[0].lower() in _NO_OWNERS:
        return None
    segments[-1] = _GIT.sub("", _REVISION.sub("", segments[-1]))
    return f"https://{host}/{'/'.join(segments)}" if all(map(_SEGMENT.fullmatch, segments)) else None


def _nested(segments: list[str]) -> list[str]:
    """Return the groups and the repository, without the repository's pages."""
    for position, segment in enumerate(segments):
        if segment.lower().endswith(".git"):
            return segments[: position + 1]
        if segment in _PAGES and position > (segment != "-"):
            return segments[:position]
    return segments
