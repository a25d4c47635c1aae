"""Data sets of generated images in shards: the work of `python -m zoo.generate`."""
