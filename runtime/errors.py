"""Errors that the runtime raises, each naming the argument, what it got and what it expected."""


class Error(RuntimeError):
    """Base of every error that the runtime raises on purpose."""


class ArgumentError(Error, ValueError):
    """An argument has a wrong value, shape or dtype."""


class EngineFileError(Error):
    """An engine file cannot be read: empty, truncated, or of another format."""


class EngineNotFoundError(EngineFileError, FileNotFoundError):
    """There is no file of that name."""


class NotAnEngineError(EngineFileError):
    """A valid ONNX file, or a plan, that carries no manifest."""


class ManifestError(EngineFileError):
    """The manifest is not valid JSON or misses a required field."""


class SchemaVersionError(ManifestError):
    """The manifest's schema is newer than this runtime."""


class BackendUnavailableError(Error):
    """The backend's library is missing, unusable, or cannot run this file."""


class DeviceUnavailableError(BackendUnavailableError):
    """The device (a GPU, or its driver) is not there."""


class ExecutionError(Error):
    """The backend failed while compiling or running a graph."""


class OutOfMemoryError(ExecutionError, MemoryError):
    """The device, or the host, has not enough memory."""


class ClosedError(Error):
    """The engine, the stream or the batcher was closed before."""


class CancelledError(Error):
    """The request of a batcher was cancelled."""


class BusyError(Error):
    """A batcher has too many requests."""


class DeadlineError(Error, TimeoutError):
    """The deadline of a request has passed."""
