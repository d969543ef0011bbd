"""This is a made OSV bucket: advisories spelled out by hand, as single files, archives and lists of changes."""

from tests.registry_server.osv.bucket import ENDPOINTS, Advisory, sites

__all__ = ["ENDPOINTS", "Advisory", "sites"]
