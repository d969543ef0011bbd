"""This is a pytest plugin that writes down which lines each test runs and how long it takes; TESTS_OF_LINES names
the file.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import coverage
import pytest

_PACKAGE = "securechain_ingest"
_COVERAGE = coverage.Coverage(data_file=None, source_pkgs=[_PACKAGE], config_file=False)
_seconds: dict[str, float] = defaultdict(float)

# Before the first conftest imports the package.
_COVERAGE.start()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    _COVERAGE.switch_context(item.nodeid)
    return (yield)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _seconds[report.nodeid] += report.duration


def pytest_sessionfinish() -> None:
    _COVERAGE.stop()
    data = _COVERAGE.get_data()
    here = Path.cwd()
    by_line = {
        Path(path).relative_to(here).as_posix(): {
            line: sorted(filter(None, contexts)) for line, contexts in data.contexts_by_lineno(path).items()
        }
        for path in data.measured_files()
    }
    Path(os.environ["TESTS_OF_LINES"]).write_text(json.dumps({"seconds": _seconds, "by_line": by_line}))
