"""The backends for CPUs: a test of all of them takes its parameters from here."""

from runtime._library import native

BACKENDS: list[str] = native.backend_names()

ANY_GRAPH = [name for name in BACKENDS if name != "native"]
"""Backends for every valid graph; `native` refuses operators that it does not know."""
