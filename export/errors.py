"""Errors of the export; the command line turns each into one line and exit code 2."""

from zoo.errors import ZooError


class ExportError(ZooError):
    """A checkpoint cannot be exported."""


class CheckpointError(ExportError):
    """The weights are not finite, or the model is not of a kind that can be exported."""


class ParityError(ExportError):
    """An exported file does not do what the model does; nothing was kept.

    `report` is the table of all checks, as text.
    """

    def __init__(self, message: str, report: str = "") -> None:
        super().__init__(message)
        self.report = report
