"""Errors of data, recipes, output and training; the commands show each as one line."""


class ZooError(Exception):
    """Base of every error that the zoo raises on purpose; `str(error)` is one readable line."""


class DataError(ZooError):
    """A data set is missing, unreadable, of the wrong format, or fails its checksum."""


class ConfigError(ZooError):
    """A model, recipe or option has a value that cannot work."""


class OutputError(ZooError):
    """A result cannot be written where it should go; nothing of it is left there."""


class TrainingError(ZooError):
    """Training cannot go on: a loss that is not finite, or a checkpoint that does not fit."""


_EXHAUSTED = (
    *("out of memory", "allocate memory", "enough memory", "bad_alloc", "alloc_failed"),
    "size calculation overflowed",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error, PyTorch's RuntimeError among them, says that there is too little memory."""
    if isinstance(error, MemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(part in text for part in _EXHAUSTED)


__all__ = [
    "ConfigError",
    "DataError",
    "OutputError",
    "TrainingError",
    "ZooError",
    "is_out_of_memory",
]
