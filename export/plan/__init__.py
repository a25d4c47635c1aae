"""Conversion of engine files to TensorRT plans, with or without a GPU."""

SUFFIXES = (".plan", ".engine")
"""File name extensions of plans."""
