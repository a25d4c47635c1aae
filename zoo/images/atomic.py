"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import NoReturn

from zoo.errors import OutputError
from zoo.signals import put_off

_STREAMS = ("/dev/stdin", "/dev/stdout", "/dev/stderr")


def check_name(path: str | os.PathLike[str]) -> None:
    """Raise OutputError for `-`, which means the standard output elsewhere, and for its files.

    An empty name, which means the working folder where it is made absolute, is refused too.
    """
    if not os.fspath(path):
        raise OutputError("cannot write '': the name is empty")
    if "\0" in os.fspath(path):
        raise OutputError(f"cannot write {os.fspath(path)!r}: no name has a NUL in it")
    place = os.path.abspath(path)
    if os.fspath(path) == "-" or place in _STREAMS or place.startswith(("/dev/fd/", "/proc/")):
        raise OutputError(f"cannot write {path}: results go to files, not to the standard output")


def check_file(path: str | os.PathLike[str]) -> None:
    """Raise OutputError unless a file could be put at `path`; nothing is created.

    For asking before a long computation; `replacing` asks again.
    """
    check_name(path)
    target = _target(path)
    if target.exists() and not target.is_file():
        raise OutputError(f"cannot write {path}: it exists and is not a regular file")
    if not target.parent.is_dir():
        raise OutputError(f"cannot write {path}: there is no folder {target.parent}")
    if not os.access(target if target.exists() else target.parent, os.W_OK):
        raise OutputError(f"cannot write {path}: permission denied")


def check_kind(path: str | os.PathLike[str] | None, suffix: str, what: str) -> None:
    """As `check_file`, and raise OutputError, which says `what`, for another suffix.

    None is no file, and fine.
    """
    if path is None:
        return
    if Path(path).suffix.lower() != suffix:
        raise OutputError(f"cannot write {path}: {what}")
    check_file(path)


@contextmanager
def replacing(path: str | os.PathLike[str], locked: bool = False) -> Iterator[Path]:
    """Gives a temporary name beside `path` to write to, and renames it to `path` at the end.

    When the body raises anything, Ctrl-C included, the temporary file is removed
    and a file that was at `path` before stays as it was. An OSError of the body
    becomes an OutputError that names `path`. No other run may write it meanwhile;
    `locked` says that the caller is `alone` with it already.
    """
    check_file(path)
    target = _target(path)
    temporary = target.parent / temporary_name(target)
    with nullcontext() if locked else alone(path):
        try:
            yield temporary
            os.replace(temporary, target)
        except BaseException as error:
            with put_off():
                temporary.unlink(missing_ok=True)
            _raise_again(path, error)


def check_folder(path: str | os.PathLike[str], overwrite: bool) -> None:
    """Raise OutputError unless images may be put into the folder `path`; nothing is created.

    A folder that is not empty is refused, unless `overwrite`.
    """
    check_name(path)
    target = _target(path)
    if target.exists() and not target.is_dir():
        raise OutputError(f"cannot write {path}: it exists and is not a folder")
    parent = target if target.exists() else target.parent
    if not parent.is_dir():
        raise OutputError(f"cannot write {path}: there is no folder {parent}")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise OutputError(f"cannot write {path}: permission denied")
    # What a killed run has left there goes when this one begins; one at work has it locked.
    own = f".zoo-{_mark(target)}"
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
def replacing_folder(path: str | os.PathLike[str], overwrite: bool = False) -> Iterator[Path]:
    """Gives a temporary folder to fill, which becomes `path` at the end.

    Where `path` exists, the files are moved into it one by one, whole each;
    other files in it are left alone. When the body raises anything, Ctrl-C
    included, nothing is left behind. An OSError of the body becomes an
    OutputError that names `path`.
    """
    check_folder(path, overwrite)
    target = _target(path)
    exists = target.exists()
    # Inside an existing folder, which may be a mount point, to stay on its file system.
    temporary = (target if exists else target.parent) / temporary_name(target)
    with alone(path):
        try:
            temporary.mkdir()
            yield temporary
            with put_off():
                if exists:
                    for entry in os.scandir(temporary):
                        os.replace(entry.path, target / entry.name)
                    temporary.rmdir()
                else:
                    temporary.rename(target)
        except BaseException as error:
            import shutil

            with put_off():
                shutil.rmtree(temporary, ignore_errors=True)
            _raise_again(path, error)


@contextmanager
def alone(path: str | os.PathLike[str], wait: bool = False) -> Iterator[None]:
    """Keeps other runs from writing `path`, a file or a folder, while the body runs.

    Raises OutputError when another one is writing it, or waits for its end. The lock
    is a file of its own, in the folder or beside the file, which goes at the end.
    What a run that was killed has left locks nothing, and who has the lock removes it.
    """
    target = _target(path)
    folder = target if target.is_dir() else target.parent
    descriptor, held = _locked(folder / f".zoo-{_mark(target)}.lock", path, wait)
    try:
        if held:
            _clear(folder, target)
        yield
    finally:
        with put_off():
            (folder / f".zoo-{_mark(target)}.lock").unlink(missing_ok=True)
            os.close(descriptor)


def _locked(lock: Path, path: str | os.PathLike[str], wait: bool) -> tuple[int, bool]:
    """A descriptor of the file `lock`, and whether nobody else holds it for sure."""
    while True:
        try:
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            _raise_again(path, error)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise OutputError(f"cannot write {path}: another run is writing it") from error
        except OSError:
            # A file system without locks.
            return descriptor, False
        # Who held it before may have removed it since it was opened here.
        if lock.exists() and os.path.samestat(os.fstat(descriptor), os.stat(lock)):
            return descriptor, True
        os.close(descriptor)


def _clear(folder: Path, target: Path) -> None:
    """Remove what runs that were killed have left of `target`, which the caller has locked."""
    begin = f".zoo-{_mark(target)}-"
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
    """A file name that nobody else uses, for what of `target` is not finished yet."""
    return f".zoo-{_mark(target)}-{os.getpid()}-{os.urandom(4).hex()}.part"


def _mark(target: Path) -> str:
    """Part of the names of our files next to `target`, whose own name may be of maximum length."""
    return hashlib.sha256(os.fsencode(target.name)).hexdigest()[:16]


def check_room(path: str | os.PathLike[str], size: int) -> None:
    """Raise OutputError where a file of `size` bytes has no room beside `path`.

    For asking before a long computation. What is at `path` stays until the new file is whole.
    """
    folder = _target(path).parent
    try:
        status = os.statvfs(folder)
    except OSError as error:
        _raise_again(path, error)
    free = status.f_bavail * status.f_frsize
    # Some file systems know no sizes.
    if status.f_blocks and size > free:
        raise OutputError(f"cannot write {path}: it takes {size:,} bytes, and {free:,} are free")


def _raise_again(path: str | os.PathLike[str], error: BaseException) -> NoReturn:
    """Raise `error` again, an OSError as an OutputError that names `path`."""
    # What the runtime raises may be an OSError too (a missing engine), and says enough itself.
    if isinstance(error, OSError) and not isinstance(error, RuntimeError):
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    raise error


def _target(path: str | os.PathLike[str]) -> Path:
    # Through links, so that a rename replaces what the link points to and not the link.
    return Path(os.path.realpath(path))


__all__ = [
    "alone",
    "check_file",
    "check_folder",
    "check_kind",
    "check_name",
    "check_room",
    "replacing",
    "replacing_folder",
    "temporary_name",
]
