"""What the modules and macros of one crate may cost, so that none multiply without end."""

from __future__ import annotations

from dataclasses import dataclass


class TooMuch(Exception):
    """The crate has used up what it may, or something is too deeply nested to be read."""


@dataclass(slots=True)
class Allowance:
    """What is left; by default ample for the largest crates (libc, winapi, windows-sys), and used up within seconds."""

    items: int = 500_000
    """Of all modules together; a file that several modules share counts each time. windows-sys has 190,000."""
    calls: int = 100_000
    """Of macros; winapi has 20,000."""
    characters: int = 12_000_000
    """That macros expand to, all calls together; winapi's take ten million."""
    steps: int = 8_000_000
    """Of comparing calls with the rules of macros; winapi takes two and a half million."""

    def pay_characters(self, count: int) -> None:
        self.characters -= count + 1
        if self.characters < 0:
            raise TooMuch

    def pay_steps(self, count: int) -> None:
        self.steps -= count
        if self.steps < 0:
            raise TooMuch
