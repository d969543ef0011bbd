"""Whoever imports this module has imported all of the product, so that what is forked then starts at once."""

from __future__ import annotations

import gc
import importlib
import pkgutil

import securechain_ingest
from securechain_ingest.__main__ import leave_out_what_is_not_needed

_OTHER_PROGRAM = "securechain_ingest.embedded.advisory_database"
"""This is run as a file, with libraries of its own."""

leave_out_what_is_not_needed()
for module in pkgutil.walk_packages(securechain_ingest.__path__, f"{securechain_ingest.__name__}."):
    if module.name != _OTHER_PROGRAM:
        importlib.import_module(module.name)
# A fork shares the memory of what it does not touch, and counting references for the collector would touch all.
gc.freeze()
