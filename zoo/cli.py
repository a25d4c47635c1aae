"""Shared parts of all commands: error handling, exit codes, and options of engines and images."""

from __future__ import annotations

import functools
import math
import signal
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import click

from zoo import console, signals

_EXTRAS = {
    "accelerate": "train",
    "onnx": "export",
    "onnxscript": "export",
    "safetensors": "train",
    "tensorboard": "train",
    "torch": "train",
    "tqdm": "train",
}
"""Optional packages that whole commands need, and the extras that install them."""

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 128 + signal.SIGINT


class Integer(click.ParamType):
    """Integer from `low` to `high`, described as `expected` in error messages."""

    name = "integer"

    def __init__(self, low: int, high: int, expected: str) -> None:
        self.low = low
        self.high = high
        self.expected = expected

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Convert `value` to an int. Raises click.BadParameter."""
        try:
            number = int(value)
        except ValueError:
            number = self.low - 1
        if not self.low <= number <= self.high:
            self.fail(f"expected {self.expected}, got {value}", param, ctx)
        return number


class Real(click.FloatRange):
    """Floating-point range that refuses NaN, which is in every range of click."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Convert `value` to a float. Raises click.BadParameter."""
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"expected a number, got {value}", param, ctx)
        return number


UINT64 = Integer(0, 2**64 - 1, "an integer of 64 bits, 0 to 2**64 - 1")
"""Seeds and sample indices."""

COUNT = Integer(1, 2**62, "an integer of at least 1")
"""Number of images, or of other things of which there must be at least one."""

SPLITS = ("train", "validation", "test")
"""The parts of a data set."""

_SELECTION = ("images", "data", "split", "count", "resize", "strict")


class Command(click.Command):
    """Click command whose `main` ends the process with a defined exit code.

    0: success. 2: bad input, or a machine that lacks something, after one line `error: …` on
    stderr. 130 (SIGINT), 143 (SIGTERM), 129 (SIGHUP), 131 (SIGQUIT), 152 (SIGXCPU): ended by a
    signal, after removing partial output. Any other exception is a bug and shows its traceback.
    """

    def __init__(self, *args: Any, **extra: Any) -> None:
        super().__init__(*args, **extra)
        self.context_settings.setdefault("show_default", True)
        self.context_settings.setdefault("max_content_width", 100)

    def main(self, *args: Any, standalone_mode: bool = True, **extra: Any) -> Any:
        """Run the command; with `standalone_mode=False`, return and raise as click does."""
        run: Callable[..., Any] = super().main
        if not standalone_mode:
            return run(*args, standalone_mode=False, **extra)
        sys.exit(_exit_code(lambda: run(*args, standalone_mode=False, **extra)))

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse as click, but refuse an empty --out or path, which would be the working folder."""
        for before, argument in zip(["", *args], args, strict=False):
            # Other options report empty values themselves.
            if argument == "--out=" or (not argument and (before == "--out" or before[:1] != "-")):
                raise click.UsageError(f"an argument is empty, after {argument or before!r}")
        return super().parse_args(ctx, args)


class Group(Command, click.Group):
    """Group of commands, `python -m zoo.NAME COMMAND`, with the exit codes of Command."""

    command_class = Command

    def __init__(self, *args: Any, **extra: Any) -> None:
        # Otherwise click's error for a missing command is the whole help text.
        super().__init__(*args, no_args_is_help=False, **extra)


def _exit_code(run: Callable[[], Any]) -> int:
    console.prepare_streams()
    try:
        with signals.install_handler(_EndingHandler(), *signals.ENDING):
            result = run()
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        return EXIT_INTERRUPTED
    except Exception as error:
        message = _one_line(error)
        if message is None:
            raise
        click.echo(f"error: {message}", err=True)
        return EXIT_BAD_INPUT
    return result if isinstance(result, int) else 0


class _EndingHandler:
    """Signal handler that raises an exception, so that context managers clean up.

    A further signal during the clean-up is ignored unless PATIENCE_S have passed.
    """

    PATIENCE_S = 5.0

    def __init__(self) -> None:
        self._since = -math.inf

    def __call__(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if now - self._since < self.PATIENCE_S:
            return
        self._since = now
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + number)


def _one_line(error: Exception) -> str | None:
    """Return the message of an error caused by the user or the machine; None for a bug."""
    from zoo.errors import ZooError, is_out_of_memory

    # An error of the runtime can only exist if its module has been imported.
    runtime_errors = sys.modules.get("runtime.errors")
    if isinstance(error, click.ClickException):
        text = error.format_message()
    elif isinstance(error, ZooError) or (
        runtime_errors and isinstance(error, runtime_errors.Error)
    ):
        text = str(error)
    elif isinstance(error, OSError):
        text = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    elif isinstance(error, ModuleNotFoundError) and _package(error) in _EXTRAS:
        extra = _EXTRAS[_package(error)]
        text = f"this needs {_package(error)}: pip install 'generator-zoo[{extra}]'"
    elif isinstance(error, ImportError) and "failed to map segment" in str(error):
        library = str(error).strip().splitlines()[-1]
        text = f"{library}: out of memory, or its file system is mounted noexec"
    elif is_out_of_memory(error):
        text = f"out of memory: {error}" if str(error) else "out of memory"
    else:
        return None
    return " ".join(text.split())


def _package(error: ModuleNotFoundError) -> str:
    return (error.name or "").partition(".")[0]


def engine_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--engine` and the options of runtime.Generator, named like its arguments."""
    options = (
        click.option(
            "--engine",
            required=True,
            metavar="FILE",
            help="Engine file, or the name of a shipped one; .onnx may be omitted.",
        ),
        click.option(
            "--device",
            default="auto",
            metavar="NAME",
            help="cpu, cuda:N, or auto: a GPU for a plan, the CPU for an .onnx engine.",
        ),
        click.option(
            "--backend",
            default="auto",
            metavar="NAME",
            help="auto, native, onnxruntime or openvino.",
        ),
        click.option(
            "--precision",
            default="fp32",
            metavar="NAME",
            help="fp32, bf16, int8, or tf32 on a GPU.",
        ),
        click.option("--instances", type=COUNT, metavar="K", help="Parallel engine instances."),
    )
    for option in reversed(options):
        function = option(function)
    return function


def source_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `IMAGES…`, `--data`, `--split`, `--resize`, `--strict` and `-n/--count`.

    The command receives them as one argument, the zoo.inference.inputs.Selection `selection`.
    """

    @functools.wraps(function)
    def command(**arguments: Any) -> Any:
        # Imported here, so that --help does not import NumPy.
        from zoo.inference.inputs import Selection

        selection = Selection(**{name: arguments.pop(name) for name in _SELECTION})
        return function(selection=selection, **arguments)

    options = (
        click.argument("images", nargs=-1),
        click.option("--data", metavar="SET", help="A data set instead of IMAGES."),
        click.option("--split", type=click.Choice(SPLITS), default="test", help="Split of --data."),
        click.option("-n", "--count", type=COUNT, metavar="N", help="Only the first n images."),
        click.option("--resize", is_flag=True, help="Fit pictures to the engine's size and mode."),
        click.option("--strict", is_flag=True, help="Fail if a picture of a folder is unusable."),
    )
    for option in reversed(options):
        command = option(command)
    return command
