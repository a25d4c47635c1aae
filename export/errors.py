"""Errors of the export, which the command reports in one line with exit code 2."""

from zoo.errors import ZooError


class ExportError(ZooError):
    """A checkpoint cannot be exported."""


class CheckpointError(ExportError):
    """The weights are not finite, or the model cannot be exported."""


class ParityError(ExportError):
    """An exported file disagrees with its model, and no file was kept.

    `report` is the table of all checks, in plain text.
    """

    def __init__(self, message: str, report: str = "") -> None:
        super().__init__(message)
        self.report = report


def one_line(message: object) -> str:
    """Return the text of an error without line breaks."""
    return " ".join(str(message).split())
