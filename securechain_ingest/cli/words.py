"""These are the words that stand in help texts, and those that a shell completes. They come from the code that they are
about: ecosystems, lanes, kinds of dead letters."""

from __future__ import annotations

from typing import Final

from securechain_ingest.registries import DECLARATIONS

_NAMES: Final = [declared.name for declared in DECLARATIONS]
_PACKAGES: Final = [f"{declared.name}:{declared.example}" for declared in DECLARATIONS]
_KINDS: Final = [kind for declared in DECLARATIONS for kind in declared.archive_kinds]


def ecosystems() -> list[str]:
    """Return what a shell may complete in place of an ecosystem."""
    return _NAMES


def lanes() -> list[str]:
    """Return what a shell may complete in place of a lane."""
    from securechain_ingest.queue.lanes import LANES

    return list(LANES)


def kinds() -> list[str]:
    """Return what a shell may complete in place of a dead letter's kind."""
    from securechain_ingest.queue.dead_letters import KINDS

    return list(KINDS)


ONE_ECOSYSTEM: Final = f"{', '.join(_NAMES[:-1])} or {_NAMES[-1]}."
SOME_ECOSYSTEMS: Final = f"Such as {_NAMES[0]}; all without it."
PACKAGES: Final = f"Packages such as {' or '.join(_PACKAGES[:2])}, or purls. A version is left out."
ARCHIVES: Final = f"Archives: {', '.join(_KINDS)}."
