"""Errors of the export; the command line turns each into one line and exit code 2."""


class ExportError(Exception):
    """A checkpoint cannot be exported, or the file made from it fails a check."""


class CheckpointError(ExportError):
    """The checkpoint folder is missing, incomplete or damaged."""


class ParityError(ExportError):
    """The exported file does not do what the model does; it was not kept."""


__all__ = ["CheckpointError", "ExportError", "ParityError"]
