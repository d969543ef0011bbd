"""The command `show` shows what the graph knows about a package, or about one of its versions."""

from __future__ import annotations

from typing import Annotated

import typer

from securechain_ingest.cli.options import ConfigOption, JsonOption, StateDirOption, load_settings, run_async
from securechain_ingest.cli.output import print_json
from securechain_ingest.configuration import Settings
from securechain_ingest.model import PackageRef


def command(
    package: Annotated[
        str, typer.Argument(metavar="PACKAGE[@VERSION]", help="Such as pypi:jinja2, npm:@babel/core@7.0.0, or a purl.")
    ],
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a package's vulnerabilities (the worst first, and where each is fixed), requirements and import names.

    They are read from the graph, never from a registry. The exit code is 1 if the graph lacks the package or version.
    """
    from securechain_ingest.registries.naming import named_version

    settings = load_settings(config, state_dir)
    ref, version = named_version(package)
    run_async(_show(settings, ref, version, as_json=as_json))


async def _show(settings: Settings, ref: PackageRef, version: str | None, *, as_json: bool) -> None:
    from rich.console import Console

    from securechain_ingest.cli.report_text import report_lines
    from securechain_ingest.jobs.cursors import Cursors
    from securechain_ingest.jobs.first_advisories import NOT_READ
    from securechain_ingest.oneshot import find_stores
    from securechain_ingest.reports.package import report_on
    from securechain_ingest.runs import utc_now

    async with find_stores(settings, may_begin=False) as stores:
        cursors = Cursors(stores.redis, settings.queue.stream)
        report = await report_on(stores.graph.reader, stores.advisories, stores.changes, cursors, ref, version)
    if as_json:
        print_json(report.as_dict())
        return
    output = Console(highlight=False, soft_wrap=True)
    for line in report_lines(report, width=output.width, now=utc_now(), unknown=NOT_READ):
        output.print(line)
