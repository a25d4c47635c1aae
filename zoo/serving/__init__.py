"""The service of `python -m zoo.serve`: images of generators over HTTP."""
