"""Atomic output: files and folders appear complete or not at all."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import NoReturn

from zoo.errors import OutputError
from zoo.signals import defer_signals

_STREAMS = ("/dev/stdin", "/dev/stdout", "/dev/stderr")


def check_name(path: str | os.PathLike[str]) -> None:
    """Raise OutputError for an empty name, `-`, and files that stand for standard streams."""
    if not os.fspath(path):
        raise OutputError("cannot write '': the name is empty")
    if "\0" in os.fspath(path):
        raise OutputError(f"cannot write {os.fspath(path)!r}: the name contains NUL")
    place = os.path.abspath(path)
    if os.fspath(path) == "-" or place in _STREAMS or place.startswith(("/dev/fd/", "/proc/")):
        raise OutputError(f"cannot write {path}: results go to files, not to the standard output")


def check_file(path: str | os.PathLike[str]) -> None:
    """Raise OutputError unless a file could be written to `path`, without creating it.

    Meant for use before a long computation; `replace_file` checks again.
    """
    check_name(path)
    target = _resolve(path)
    if target.exists() and not target.is_file():
        raise OutputError(f"cannot write {path}: it exists and is not a regular file")
    if not target.parent.is_dir():
        raise OutputError(f"cannot write {path}: there is no folder {target.parent}")
    if not os.access(target if target.exists() else target.parent, os.W_OK):
        raise OutputError(f"cannot write {path}: permission denied")


def check_suffix(path: str | os.PathLike[str] | None, suffix: str, what: str) -> None:
    """Check as `check_file`, and raise OutputError(`what`) for another suffix; accept None."""
    if path is None:
        return
    if Path(path).suffix.lower() != suffix:
        raise OutputError(f"cannot write {path}: {what}")
    check_file(path)


@contextmanager
def replace_file(path: str | os.PathLike[str], locked: bool = False) -> Iterator[Path]:
    """Yield a temporary file name next to `path`, renamed to `path` if the body succeeds.

    If the body raises anything, including KeyboardInterrupt, the temporary file is removed and
    an existing file at `path` stays unchanged. An OSError of the body becomes an OutputError
    that names `path`. The path is locked with `lock_output` unless the caller has `locked` it.
    """
    check_file(path)
    target = _resolve(path)
    temporary = target.parent / temporary_name(target)
    with nullcontext() if locked else lock_output(path):
        try:
            yield temporary
            os.replace(temporary, target)
        except BaseException as error:
            with defer_signals():
                temporary.unlink(missing_ok=True)
            _reraise(path, error)


def check_folder(path: str | os.PathLike[str], overwrite: bool) -> None:
    """Raise OutputError unless files could be written to the folder `path`, without creating it.

    A non-empty folder is refused unless `overwrite`.
    """
    check_name(path)
    target = _resolve(path)
    if target.exists() and not target.is_dir():
        raise OutputError(f"cannot write {path}: it exists and is not a folder")
    parent = target if target.exists() else target.parent
    if not parent.is_dir():
        raise OutputError(f"cannot write {path}: there is no folder {parent}")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise OutputError(f"cannot write {path}: permission denied")
    # Leftovers of killed runs do not count, as they are removed once the folder is locked.
    own = f".zoo-{_name_hash(target)}"
    if (
        not overwrite
        and target.exists()
        and any(not entry.name.startswith(own) for entry in os.scandir(target))
    ):
        raise OutputError(
            f"cannot write {path}: the folder is not empty "
            "(--overwrite replaces files of the same name in it)"
        )


@contextmanager
def replace_folder(path: str | os.PathLike[str], overwrite: bool = False) -> Iterator[Path]:
    """Yield a temporary folder, renamed to `path` if the body succeeds.

    If `path` exists, the files are moved into it one by one, and its other files stay. If the
    body raises anything, including KeyboardInterrupt, nothing is left behind. An OSError of the
    body becomes an OutputError that names `path`.
    """
    check_folder(path, overwrite)
    target = _resolve(path)
    exists = target.exists()
    # An existing folder may be a mount point, so stay inside it to be on its file system.
    temporary = (target if exists else target.parent) / temporary_name(target)
    with lock_output(path):
        try:
            temporary.mkdir()
            yield temporary
            with defer_signals():
                if exists:
                    for entry in os.scandir(temporary):
                        os.replace(entry.path, target / entry.name)
                    temporary.rmdir()
                else:
                    temporary.rename(target)
        except BaseException as error:
            import shutil

            with defer_signals():
                shutil.rmtree(temporary, ignore_errors=True)
            _reraise(path, error)


@contextmanager
def lock_output(path: str | os.PathLike[str], wait: bool = False) -> Iterator[None]:
    """Hold an exclusive lock on the output `path`, a file or a folder, during the body.

    If another run holds it, waits with `wait`, else raises OutputError. The lock is a file in
    the folder or next to the file, removed at the end. A lock file left by a killed run locks
    nothing; the next holder removes such leftovers.
    """
    target = _resolve(path)
    folder = target if target.is_dir() else target.parent
    descriptor, held = _open_lock(folder / f".zoo-{_name_hash(target)}.lock", path, wait)
    try:
        if held:
            _remove_leftovers(folder, target)
        yield
    finally:
        with defer_signals():
            (folder / f".zoo-{_name_hash(target)}.lock").unlink(missing_ok=True)
            os.close(descriptor)


def _open_lock(lock: Path, path: str | os.PathLike[str], wait: bool) -> tuple[int, bool]:
    """Open and lock the file `lock`; return its descriptor, and False if locks are unsupported."""
    while True:
        try:
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            _reraise(path, error)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise OutputError(f"cannot write {path}: another run is writing it") from error
        except OSError:
            # The file system does not support locks.
            return descriptor, False
        # The previous holder may have removed the file after it was opened here.
        if lock.exists() and os.path.samestat(os.fstat(descriptor), os.stat(lock)):
            return descriptor, True
        os.close(descriptor)


def _remove_leftovers(folder: Path, target: Path) -> None:
    """Remove the temporary files of killed runs; the caller holds the lock of `target`."""
    begin = f".zoo-{_name_hash(target)}-"
    try:
        left = [entry for entry in os.scandir(folder) if entry.name.startswith(begin)]
    except OSError:
        return
    for entry in left:
        if entry.is_dir(follow_symlinks=False):
            import shutil

            shutil.rmtree(entry.path, ignore_errors=True)
        else:
            with suppress(OSError):
                os.unlink(entry.path)


def temporary_name(target: Path) -> str:
    """Return a unique file name for an unfinished version of `target`."""
    return f".zoo-{_name_hash(target)}-{os.getpid()}-{os.urandom(4).hex()}.part"


def _name_hash(target: Path) -> str:
    """Return a hash of the target's name, which itself may already have the maximum length."""
    return hashlib.sha256(os.fsencode(target.name)).hexdigest()[:16]


def check_free_space(path: str | os.PathLike[str], size: int) -> None:
    """Raise OutputError unless `size` bytes are free next to `path`, before a long computation.

    An existing file at `path` does not count as free space: it stays until the new one is complete.
    """
    folder = _resolve(path).parent
    try:
        status = os.statvfs(folder)
    except OSError as error:
        _reraise(path, error)
    free = status.f_bavail * status.f_frsize
    # Some file systems report no sizes.
    if status.f_blocks and size > free:
        raise OutputError(f"cannot write {path}: needs {size:,} bytes, but only {free:,} are free")


def _reraise(path: str | os.PathLike[str], error: BaseException) -> NoReturn:
    """Reraise `error`, turning an OSError into an OutputError that names `path`."""
    # Some of the runtime's errors are OSErrors too (a missing engine) and need no path.
    if isinstance(error, OSError) and not isinstance(error, RuntimeError):
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    raise error


def _resolve(path: str | os.PathLike[str]) -> Path:
    # Follow links, so that a rename replaces the target of a link and not the link.
    return Path(os.path.realpath(path))
