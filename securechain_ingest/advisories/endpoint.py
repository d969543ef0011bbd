"""OSV's bucket of advisories is an endpoint beside those of the registries."""

from __future__ import annotations

from typing import Final

from securechain_ingest.http.endpoints import Endpoint

OSV: Final = Endpoint(key="osv", url="https://osv-vulnerabilities.storage.googleapis.com", rate=20.0, connections=8)
