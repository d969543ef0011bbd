"""This measures how much more work is done for twice the input; it is counted and not timed.

A step is one bytecode instruction of Python, in whatever function: the same number on every machine and under any load.
What runs inside of C is one step however long it takes (a regular expression, `in` on a list, a copy): where that is
the danger, count what a line hands to it, or write it so that the loop is Python's.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from _typeshed import TraceFunction

LINEAR: Final = 2.4
"""These are the steps for 2n, divided by the steps for n, that count as linear: sorting adds a little, a loop in a
loop gives 4.
"""


def steps_of(work: Callable[[], object]) -> int:
    """Return the steps that `work` takes. An exception ends the count and goes on to the caller."""
    count = 0

    def trace(frame: FrameType, event: str, _argument: object) -> TraceFunction:
        nonlocal count
        if event == "call":
            frame.f_trace_lines = False
            frame.f_trace_opcodes = True
        elif event == "opcode":
            count += 1
        return trace

    # A debugger or a coverage tool may be watching.
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def growth(prepare: Callable[[int], Callable[[], object]], size: int) -> float:
    """Return the steps for twice the size, divided by the steps for `size`.

    `prepare` makes the input of a size and returns the work on it; only the work is counted. A cache must not know the
    inputs: clear it in `prepare`, or let the inputs differ.
    """
    small, large = (steps_of(prepare(each)) for each in (size, 2 * size))
    assert small > size, f"{small} steps for an input of {size}: the work does not depend on it"
    return large / small


def assert_linear(prepare: Callable[[int], Callable[[], object]], size: int = 200) -> None:
    """Fail if twice the input takes clearly more than twice the steps; see `growth`."""
    times = growth(prepare, size)
    assert times < LINEAR, f"twice the input takes {times:.2f} times the steps"
