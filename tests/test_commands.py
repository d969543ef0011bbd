"""This tests every command: its examples, what it completes, its version and its help."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from securechain_ingest.cli import app
from securechain_ingest.cli.manual import MANUAL, PROGRAM, commands
from securechain_ingest.cli.output import print_lines, print_table
from securechain_ingest.cli.progress import progress_bar
from securechain_ingest.queue.message_keys import MAX_DEPTH
from tests.forked_product import run as run_product

EXAMPLES = [example for entry in MANUAL.values() for example in entry.examples]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run_product(*arguments, environment=os.environ)


def parsed(arguments: list[str]) -> tuple[str, dict[str, Any]]:
    """Return the command and the parameters that a command line means. A mistake in it raises an error."""
    command: Any = typer.main.get_command(app)
    path: list[str] = []
    context = command.make_context(PROGRAM, list(arguments))
    while hasattr(command, "commands"):
        name, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        path.append(name)
        context = command.make_context(name, rest, parent=context)
    return " ".join(path), context.params


def test_the_manual_has_each_command() -> None:
    assert {path for path, _ in commands(app)} == set(MANUAL)


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_a_command_line_of_its_command(example: str) -> None:
    path, _ = parsed(shlex.split(example.partition(" | ")[0]))
    assert example in MANUAL[path].examples


@pytest.mark.parametrize("path", MANUAL)
def test_the_help_of_a_command_shows_its_examples(path: str) -> None:
    shown = " ".join(CliRunner().invoke(app, [*path.split(), "--help"], env={"COLUMNS": "200"}).stdout.split())
    for example in MANUAL[path].examples:
        assert f"{PROGRAM} {example}" in shown


@pytest.mark.parametrize("group", ["", *sorted({path.partition(" ")[0] for path in MANUAL if " " in path})])
def test_the_help_of_a_group_shows_examples_of_its_commands(group: str) -> None:
    shown = CliRunner().invoke(app, [*group.split(), "--help"], env={"COLUMNS": "200"}).stdout
    listed = shown.partition("Example")[2].partition("Exit codes")[0]
    lines = [line.strip() for line in listed.splitlines() if line.strip().startswith(PROGRAM)]
    examples = [line.removeprefix(f"{PROGRAM} ") for line in lines]
    assert set(examples) <= set(EXAMPLES)
    assert {parsed(shlex.split(example.partition(" | ")[0]))[0] for example in examples} == (
        {path for path in MANUAL if path.startswith(f"{group} ")} if group else {"run", "submit", "show", "status"}
    )


def test_every_command_that_can_answer_takes_json() -> None:
    takes = {path for path in MANUAL if _has_option(path, "--json")}
    assert takes == {path for path, entry in MANUAL.items() if entry.answer and not entry.only_json}


def _has_option(path: str, option: str) -> bool:
    command: Any = typer.main.get_command(app)
    for name in path.split():
        command = command.commands[name]
    return any(option in parameter.opts for parameter in command.params)


def test_the_version_is_that_of_the_package() -> None:
    assert run("--version").stdout == f"{PROGRAM} {version(PROGRAM)}\n"


@pytest.mark.parametrize("arguments", [("--help",), ("schema", "message")])
def test_an_output_that_is_full_is_told_in_one_line(arguments: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "securechain_ingest", *arguments]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == (
        "securechain-ingest: standard output or a file cannot be written: No space left on device: make room there\n"
    )


def test_a_reader_that_has_gone_ends_a_command_without_a_word() -> None:
    theirs, ours = os.pipe()
    os.close(theirs)
    command = [sys.executable, "-m", "securechain_ingest", "schema", "message"]
    with os.fdopen(ours, "w") as pipe:
        done = subprocess.run(command, stdout=pipe, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script_that_asks_the_program(shell: str) -> None:
    script = run("completion", shell).stdout
    assert f"_SECURECHAIN_INGEST_COMPLETE=complete_{shell}" in script


def completed(line: str, folder: Path) -> set[str]:
    """Return what bash completes by the script, with the program on its PATH."""
    program = folder / PROGRAM
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m securechain_ingest "$@"\n')
    program.chmod(0o755)
    words = shlex.split(line) + ([""] if line.endswith(" ") else [])
    asking = (
        f"source <({PROGRAM} completion bash)\n"
        f"COMP_WORDS=({' '.join(map(shlex.quote, words))}); COMP_CWORD={len(words) - 1}\n"
        f"_securechain_ingest_completion {PROGRAM}; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    )
    variables = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"}
    told = subprocess.run(["bash", "-c", asking], capture_output=True, text=True, env=variables, check=True)
    return set(told.stdout.split())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (f"{PROGRAM} sched", {"schedules"}),
        (f"{PROGRAM} queue ", {"list", "cancel", "purge"}),
        (f"{PROGRAM} pause n", {"npm", "nuget"}),
        (f"{PROGRAM} schedules run npm_packages_u", {"npm_packages_updates"}),
        (f"{PROGRAM} submit --dr", {"--dry-run"}),
        (f"{PROGRAM} queue purge --lane c", {"changed", "completed"}),
        (f"{PROGRAM} dead-letters replay --kind not_", {"not_found"}),
        (f"{PROGRAM} completion ", {"bash", "zsh", "fish"}),
    ],
)
def test_bash_completes_commands_options_and_values(line: str, expected: set[str], tmp_path: Path) -> None:
    assert completed(line, tmp_path) == expected


ROWS = (("one-row", "yes", "0 3 * * *", "a long sentence " * 5), ("another", "", "5 4 * * 1", "short"))
HEADS = ("job", "enabled", "cron", "found")


def captured(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def test_a_table_fits_60_columns_and_loses_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    print_table(HEADS, ROWS)
    lines = captured(capsys)
    assert max(map(len, lines)) <= 60
    assert lines[:3] == ["one-row", "  enabled: yes", "  cron: 0 3 * * *"]
    assert " ".join(" ".join(lines).split()).count("a long sentence") == 5
    print_table(HEADS[:3], [row[:3] for row in ROWS])
    assert captured(capsys) == ["job      enabled  cron", "one-row  yes      0 3 * * *", "another           5 4 * * 1"]


def test_lines_fit_60_columns_and_go_on_below(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    print_lines(["npm:left  asked  waiting  " + "reason " * 20, "x" * 150])
    lines = captured(capsys)
    assert max(map(len, lines)) <= 60
    assert all(line.startswith("  ") for line in lines[1:3])


def test_where_the_output_is_no_terminal_a_row_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    print_table(HEADS, ROWS)
    print_lines(["word " * 100])
    assert len(captured(capsys)) == 4


@pytest.mark.parametrize(("is_terminal", "no_color", "is_shown"), [(1, "", 1), (1, "1", 0), (0, "", 0)])
def test_progress_is_shown_on_a_terminal_alone_and_not_without_colours(
    monkeypatch: pytest.MonkeyPatch, is_terminal: int, no_color: str, is_shown: int
) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setattr("rich.console.Console.is_terminal", bool(is_terminal))
    with progress_bar() as (progress, errors):
        assert errors.stderr
        assert progress.disable is not bool(is_shown)


@pytest.mark.parametrize("command", ["submit --dry-run", "ingest"])
def test_a_depth_that_no_message_may_have_is_refused_at_once(command: str) -> None:
    refused = CliRunner().invoke(app, [*command.split(), "pypi:six", "--depth", str(MAX_DEPTH + 1)])
    assert refused.exit_code == 2
    assert "--depth" in refused.stderr
