"""From engine files to TensorRT plans, built with or without a GPU."""

SUFFIXES = (".plan", ".engine")
"""File name extensions of plans."""
