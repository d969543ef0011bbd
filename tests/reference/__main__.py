"""`python -m tests.reference` writes the pages of docs/ that are made from the code (`make docs`)."""

from __future__ import annotations

from tests.reference import PAGES

for path, page in PAGES.items():
    path.write_text(page(), encoding="utf-8")
    print(path)
