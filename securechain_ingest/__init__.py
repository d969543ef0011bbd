"""securechain-ingest is a daemon that keeps a graph of the open-source software supply chain up to date."""

__version__ = "0.1.0"
