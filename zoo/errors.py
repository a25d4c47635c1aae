"""Errors of data, recipes, output and training. Commands print them as one line."""


class ZooError(Exception):
    """Base class of all errors that the zoo raises on purpose; `str(error)` is one line."""


class DataError(ZooError):
    """A data set is missing, unreadable, of the wrong format, or fails its checksum."""


class ConfigError(ZooError):
    """A model, recipe or option has a value that cannot work."""


class OutputError(ZooError):
    """A result cannot be written to its destination; nothing partial is left there."""


class TrainingError(ZooError):
    """Training cannot continue, for example because of a non-finite loss or a bad checkpoint."""


_EXHAUSTED = (
    *("out of memory", "allocate memory", "enough memory", "bad_alloc", "alloc_failed"),
    "size calculation overflowed",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Return True if an error, such as PyTorch's RuntimeError, means that memory is exhausted."""
    if isinstance(error, MemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(part in text for part in _EXHAUSTED)
