"""These are gzip-packed tars, the same bytes for the same members."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Mapping

MOMENT_S = 1_577_836_800


def tar_gz(members: Mapping[str, bytes]) -> bytes:
    """Return an archive of plain files, in the order given."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path, body in members.items():
            member = tarfile.TarInfo(path)
            member.size = len(body)
            member.mtime = MOMENT_S
            tar.addfile(member, io.BytesIO(body))
    return gzip.compress(raw.getvalue(), 1, mtime=MOMENT_S)
