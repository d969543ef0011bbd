"""This module makes texts that strangers have written harmless for a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """Return the text on one line, without characters that a terminal obeys or that change the direction of writing.

    A line break becomes a space, and each of the others the replacement character (U+FFFD).
    """
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else " " if character == "\n" else "\N{REPLACEMENT CHARACTER}"
        for character in text
    )
