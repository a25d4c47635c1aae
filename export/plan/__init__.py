"""From engine files to TensorRT plans, built with or without a GPU."""

SUFFIXES = (".plan", ".engine")
"""Of the names of plans."""
