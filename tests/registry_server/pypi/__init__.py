"""This is a made PyPI: projects spelled out by hand or generated, served as the JSON, simple and file interfaces."""

from tests.registry_server.pypi.archives import Sdist, Wheel
from tests.registry_server.pypi.generate import projects as generated
from tests.registry_server.pypi.projects import Project, ProjectRelease, need, normal_name
from tests.registry_server.pypi.site import ENDPOINTS, sites
from tests.registry_server.pypi.traits import TRAITS

__all__ = [
    "ENDPOINTS",
    "MADE",
    "TRAITS",
    "Project",
    "ProjectRelease",
    "Sdist",
    "Wheel",
    "generated",
    "need",
    "normal_name",
    "sites",
]

MADE = Project
"""This is the class of what is spelled out by hand or generated; see `REGISTRIES`."""
