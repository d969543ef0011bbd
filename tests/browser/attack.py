"""This module puts what a stranger writes who wants the page to obey wherever a stranger can write."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from securechain_ingest.configuration import load
from securechain_ingest.embedded.addresses import running_stores
from securechain_ingest.model import ImportNames, Package, PackageRef, PackageWrite, Rating, Requirement, Version
from securechain_ingest.queue.keys import Keys
from securechain_ingest.registries.npm.names import NPM
from securechain_ingest.stores import connect
from tests.demo.running import Demo
from tests.waiting import until

ATTACK: Final = (
    "<img src=x onerror=alert(1)>\"><script>alert(2)</script>' onfocus=alert(3) autofocus tabindex=1 x='"
    "</title></textarea></svg><a href=javascript:alert(4)>x</a>{{7*191}}${7*191}"
)
LINK: Final = "javascript:alert(5)"
ADVISORY: Final = f"GHSA-{ATTACK}"

ATTACKED: Final = PackageRef(
    NPM, f"wicked{ATTACK}", f"wicked{ATTACK.lower()}", f"pkg:npm/wicked{quote(ATTACK, safe='')}"
)
HARMLESS: Final = PackageRef(NPM, "attacked", "attacked", "pkg:npm/attacked")


async def attack(shown: Demo) -> None:
    """Put the attack wherever a stranger can write, and wait until the daemon has put its message aside."""
    addresses = running_stores(shown.config.parent)
    assert addresses is not None
    settings = load(shown.config, environment={})
    async with connect(addresses, settings) as stores:
        for ref in (ATTACKED, HARMLESS):
            await stores.graph.write([_written(ref)])
        await stores.advisories.upsert([_advisory()], _nothing_to_rate)
        letter: dict[str, Any] = dict.fromkeys(("error", "kind", "lane", "origin_id", "first_failed_at"), ATTACK)
        message = json.dumps({"node_type": "NPMPackage", "package": ATTACK, "vendor": ATTACK, "run": ATTACK})
        keys = Keys(settings.queue.stream)
        for data in (message, ATTACK):
            fields: Any = {"data": data, "attempts": "1", **letter}
            await stores.redis.xadd(keys.dead_letters, fields)
        before = await stores.redis.xlen(keys.dead_letters)
        await stores.redis.xadd(settings.queue.stream, {"data": message})

        async def is_put_aside() -> bool:
            return bool(await stores.redis.xlen(keys.dead_letters) > before)

        await until(is_put_aside, "the dead letter of the attack")


def _written(ref: PackageRef) -> PackageWrite:
    version = Version(
        f"1.0.0{ATTACK}", f"{ref.purl}@1.0.0{quote(ATTACK, safe='')}", None, (Requirement(ATTACKED, ATTACK),)
    )
    package = Package(ref, ATTACK, LINK, (version,), (), None, license=ATTACK)
    rating = {version.name: Rating(9.8, 9.8, (ADVISORY,))}
    return PackageWrite(package, rating, ImportNames((ATTACK, LINK)), datetime.now(UTC), (), follow=False)


def _advisory() -> dict[str, Any]:
    affected = {
        "package": {"ecosystem": "npm", "name": HARMLESS.name},
        "versions": [f"1.0.0{ATTACK}"],
        "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "2.0.0"}]}],
    }
    texts: dict[str, Any] = {"summary": f"summary {ATTACK}", "details": ATTACK, "aliases": [f"CVE-{ATTACK}"]}
    texts["references"] = [{"type": "WEB", "url": LINK}, {"type": ATTACK, "url": f"https://x.invalid/{ATTACK}"}]
    return {"id": ADVISORY, "modified": "2026-11-01T00:00:00Z", "affected": [affected], **texts}


async def _nothing_to_rate(_: object) -> None:
    return
