"""This tests what counts as a mutant, and that a seed draws the same ones again."""

from __future__ import annotations

import pytest

pytest.importorskip("cosmic_ray", reason="make setup installs the newest development tools")

from tests.mutants import lua
from tests.mutants.covering import Reach, Uses
from tests.mutants.drawing import draw, mutants_of

SOURCE = '''
LIMIT: Final = 3
SCRIPT = Script("""
-- 1 and 2
local left = tonumber(ARGV[1]) - 1
if left == 0 then redis.call('SET', KEYS[1], 'none') end
redis.call('DEL', KEYS[1])
return -1
""")


@dataclass(frozen=True)
class Room:
    async def take(self, count: int | None = 2) -> bool:
        logger.info("taken", count=1)
        self.left -= count
        return await SCRIPT(count)


def full(room: Room) -> bool:
    return room.left < LIMIT
'''


def changed_lines(name: str) -> set[str]:
    """Return the lines that an operator's mutants have and the source has not."""
    found = [each.source(SOURCE) or "" for each in mutants_of("room.py", SOURCE) if each.what == name]
    return {line.strip() for text in found for line in set(text.splitlines()) - set(SOURCE.splitlines())}


def test_lua_in_a_string_is_changed_in_its_operators_constants_and_calls_but_not_in_names_of_commands() -> None:
    assert changed_lines("lua") == {
        "local left = tonumber(ARGV[(1 + 1)]) - 1",
        "local left = tonumber(ARGV[(1 - 1)]) - 1",
        "local left = tonumber(ARGV[1]) + 1",
        "local left = tonumber(ARGV[1]) - (1 + 1)",
        "local left = tonumber(ARGV[1]) - (1 - 1)",
        "if left ~= 0 then redis.call('SET', KEYS[1], 'none') end",
        "if left == (0 + 1) then redis.call('SET', KEYS[1], 'none') end",
        "if left == (0 - 1) then redis.call('SET', KEYS[1], 'none') end",
        "if left == 0 then redis.call('SET', KEYS[(1 + 1)], 'none') end",
        "if left == 0 then redis.call('SET', KEYS[(1 - 1)], 'none') end",
        "if left == 0 then redis.call('SET', KEYS[1], 'mutant') end",
        "redis.call('DEL', KEYS[(1 + 1)])",
        "redis.call('DEL', KEYS[(1 - 1)])",
        "return -(1 + 1)",
        "return -(1 - 1)",
    }
    removed = [change for change in lua.changes("x = 1\nredis.call('DEL', x)\n") if not change.new]
    assert [(change.start, change.end) for change in removed] == [(0, 5), (6, 26)]


def test_annotations_decorators_and_log_lines_are_left_alone() -> None:
    lines = {each.start[0] for each in mutants_of("room.py", SOURCE)}
    assert not any(SOURCE.splitlines()[line - 1].lstrip().startswith(("logger", "def full")) for line in lines)
    assert changed_lines("ReplaceTrueWithFalse") == set()
    assert changed_lines("without") == {"pass"}
    assert changed_lines("ReplaceComparisonOperator_Lt_LtE") == {"return room.left <= LIMIT"}


def test_a_seed_draws_the_same_mutants_again_and_none_twice() -> None:
    sources = {"room.py": SOURCE, "other.py": "def f(x: int) -> int:\n    return x + 1\n"}
    drawn = draw(sources, 7, 12)
    assert drawn == draw(sources, 7, 12)
    assert drawn != draw(sources, 8, 12)
    assert len({(each.path, each.start) for each in drawn}) == 12


def test_a_mutant_is_shown_to_the_tests_that_run_its_line_or_one_that_uses_its_name() -> None:
    lines = SOURCE.splitlines()
    taking, comparing = lines.index("        return await SCRIPT(count)") + 1, len(lines)
    tests = Reach(
        {"slow": 2.0, "quick": 1.0, "other": 1.0},
        {"room.py": {taking: frozenset({"slow", "quick"}), comparing: frozenset({"other"})}},
    )
    uses = Uses({"room.py": SOURCE})

    def shown(text: str) -> list[str]:
        line = next(number for number, line in enumerate(lines, start=1) if text in line)
        return uses.tests("room.py", line, tests)

    assert shown("return await") == ["quick", "slow"]
    assert shown("redis.call('DEL'") == ["quick", "slow"]
    assert shown("LIMIT: Final") == ["other"]
    assert shown("count: int") == ["quick", "slow"], "a default is used by its function"
