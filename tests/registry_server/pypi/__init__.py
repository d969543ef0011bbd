"""A made PyPI: projects spelled out by hand or generated, served as the JSON, simple and file interfaces."""

from tests.registry_server.pypi.archives import Sdist, Wheel
from tests.registry_server.pypi.projects import Project, Release, need, normal_name
from tests.registry_server.pypi.site import ENDPOINTS, sites

__all__ = ["ENDPOINTS", "Project", "Release", "Sdist", "Wheel", "need", "normal_name", "sites"]
