"""This module bounds what the modules and macros of one crate may cost, so that none multiply without end."""

from __future__ import annotations

from dataclasses import dataclass


class TooMuch(Exception):
    """The crate has used up what it may, or something is too deeply nested to be read."""


@dataclass(slots=True)
class Allowance:
    """This is what is left. It begins with ample for the largest crates (libc, winapi, windows-sys), which is used
    up within seconds."""

    items: int = 500_000
    """So many items of all modules together may be read; a file that several modules share counts each time.
    windows-sys has 190,000."""
    calls: int = 100_000
    """So many macros may be called; winapi calls 20,000."""
    characters: int = 12_000_000
    """Macros may expand to so many characters, in all calls together; winapi's take ten million."""
    steps: int = 8_000_000
    """Comparing calls with the rules of macros may take so many steps; winapi takes two and a half million."""

    def pay_characters(self, count: int) -> None:
        self.characters -= count + 1
        if self.characters < 0:
            raise TooMuch

    def pay_steps(self, count: int) -> None:
        self.steps -= count
        if self.steps < 0:
            raise TooMuch
