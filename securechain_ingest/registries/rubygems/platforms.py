"""A gem's version and its platform stand in one token, `1.0.0-beta.1-x86_64-linux`; this module says where one ends.

RubyGems builds gems on platforms of `cpu-os-version` or the operating system alone (Gem::Platform), and allows versions
with a dash, which means `.pre.` (Gem::Version). Neither its index nor its file names tell the two apart. So a part
counts as the beginning of a platform if it is the name of a processor or of an operating system; what stands before it
belongs to the version. Whatever else can be a version is one: a pre-release too many does less harm than a release that
nobody published.
"""

from __future__ import annotations

import re
from typing import Final

from securechain_ingest.registries.rubygems.versions import is_version

RUBY: Final = "ruby"
"""Gems with this platform run everywhere."""

_PROCESSOR: Final = re.compile(
    r"i[3-9]86|x86|x64|x86_64|amd64|arm(?:64\w?|v\d\w*|hf|el|eb)?|aarch64|powerpc\w*|ppc\w*|sparc\w*|mips\w*|riscv\d*"
    r"|s390x?|ia64|hppa\w*|loongarch\d*|m68k|wasm\d+|universal"
)
# With those of other implementations of Ruby, which some gems gave for one.
_SYSTEM: Final = re.compile(
    r"(?:aix|android|bitrig|cygwin|dalvik|darwin|dotnet|freebsd|haiku|hpux|java|jruby|linux|macruby|maglev|mingw|mswin"
    r"|netbsd|netbsdelf|openbsd|rbx|rubinius|ruby|solaris|truffleruby|unknown|wasi|win32)[0-9._]*"
)
_MAX_DASHES: Final = 16
"""So many dashes may stand before a platform."""

_PLATFORM: Final = re.compile(r"[A-Za-z0-9._-]+")


def split_platform(token: str) -> tuple[str, str]:
    """Return the version and the platform, which is RUBY if none is named. It raises ValueError for a token without a
    version."""
    number, *parts = token.split("-")
    if not is_version(number):
        raise ValueError(f"{token[:100]!r} is no gem version")
    for index, part in enumerate(parts):
        version = "-".join((number, *parts[:index]))
        if (_PROCESSOR.fullmatch(part) or _SYSTEM.fullmatch(part)) and is_version(version):
            return version, "-".join(parts[index:])
        if index >= _MAX_DASHES:
            break
    if is_version(token):
        return token, RUBY
    platform = "-".join(parts)
    if not _PLATFORM.fullmatch(platform):
        raise ValueError(f"{token[:100]!r} has no platform")
    return number, platform
