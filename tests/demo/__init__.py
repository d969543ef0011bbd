"""This is the demonstration: a made registry with advisories, a daemon with local stores and the page, by one command.

`make demo`, or `python -m tests.demo`, starts it. Nothing of it asks a public host.
"""
