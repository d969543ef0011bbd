"""`python -m tests.soak FOLDER…` prints how far a soak has come, while it runs or afterwards, from its samples.csv."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from tests.soak.flat import allowances, complaints, table
from tests.soak.watch import SAMPLES, Holding, read_holdings


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table for each folder, and what is not flat by the rule for a run of that length."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="of a run, as `make soak` prints it")
    for folder in parser.parse_args(arguments).folders:
        if not (folder / SAMPLES).is_file():
            parser.error(f"{folder} has no {SAMPLES}; name the folder that the soak has printed")
        by_role: dict[str, list[Holding]] = {}
        for held in read_holdings(folder / SAMPLES):
            by_role.setdefault(held.role, []).append(held)
        hours = max(held.at_s for some in by_role.values() for held in some) / 3600
        print(f"{folder}: {hours:.2f} h", table(by_role), sep="\n")
        for role, some in by_role.items():
            for complaint in complaints(some, allowances(hours)[role]):
                print(f"{role}: {complaint}")


if __name__ == "__main__":
    main()
