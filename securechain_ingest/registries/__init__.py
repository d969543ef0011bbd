"""The ecosystems, one folder each, and their registration."""
