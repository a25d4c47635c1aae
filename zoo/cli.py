"""What all commands share: errors as one line and exit code 2, and the options of an engine."""

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
"""Packages that whole commands stand on, and the optional dependencies that have them."""

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 128 + signal.SIGINT


class Integer(click.ParamType):
    """An integer from `low` to `high`, which the error message calls `expected`."""

    name = "integer"

    def __init__(self, low: int, high: int, expected: str) -> None:
        self.low = low
        self.high = high
        self.expected = expected

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """`value` as an int; click.BadParameter names the option, `expected`, and the value."""
        try:
            number = int(value)
        except ValueError:
            number = self.low - 1
        if not self.low <= number <= self.high:
            self.fail(f"expected {self.expected}, got {value}", param, ctx)
        return number


UINT64 = Integer(0, 2**64 - 1, "an integer of 64 bits, 0 to 2**64 - 1")
"""Seeds and sample indices."""

COUNT = Integer(1, 2**62, "an integer of at least 1")
"""A number of images, or of anything else there is at least one of."""


SPLITS = ("train", "validation", "test")
"""The parts of a data set."""

_SELECTION = ("images", "data", "split", "count", "resize", "strict")


class Command(click.Command):
    """A click command whose `main` ends the process with one of these exit codes.

    0 done; 2 bad input or a machine that cannot do it, after one line `error: …`
    on stderr; 130 Ctrl-C, 143 SIGTERM, 129 SIGHUP, 131 SIGQUIT and 152 SIGXCPU, after removing what
    was half written. Anything else is a defect of the program, and shows its traceback.
    """

    def __init__(self, *args: Any, **extra: Any) -> None:
        super().__init__(*args, **extra)
        self.context_settings.setdefault("show_default", True)
        self.context_settings.setdefault("max_content_width", 100)

    def main(self, *args: Any, standalone_mode: bool = True, **extra: Any) -> Any:
        """Run the command; with `standalone_mode=False` it raises and returns as click does."""
        run: Callable[..., Any] = super().main
        if not standalone_mode:
            return run(*args, standalone_mode=False, **extra)
        sys.exit(_exit_code(lambda: run(*args, standalone_mode=False, **extra)))

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does, but refuse an empty --out or path, which would be the working folder."""
        for before, argument in zip(["", *args], args, strict=False):
            # The values of other options have errors of their own.
            if argument == "--out=" or (not argument and (before == "--out" or before[:1] != "-")):
                raise click.UsageError(f"an argument is empty, after {argument or before!r}")
        return super().parse_args(ctx, args)


class Group(Command, click.Group):
    """Several commands in one program, `python -m zoo.NAME COMMAND`; ends as Command does."""

    command_class = Command

    def __init__(self, *args: Any, **extra: Any) -> None:
        # Else click's error for a missing command is the whole help text.
        super().__init__(*args, no_args_is_help=False, **extra)


def _exit_code(run: Callable[[], Any]) -> int:
    console.prepare()
    try:
        with signals.handled(_Ending(), *signals.ENDING):
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


class _Ending:
    """What a signal to end does: an exception, so that the context managers on the stack clean up.

    One that comes while they do would keep them from it, and is obeyed only if that lasts long.
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
    """The message of an error that is the user's or the machine's; None for a defect of ours."""
    from zoo.errors import ZooError, is_out_of_memory

    # An error of the runtime can only exist once its module is there.
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
    elif is_out_of_memory(error):
        text = f"out of memory: {error}" if str(error) else "out of memory"
    else:
        return None
    return " ".join(text.split())


def _package(error: ModuleNotFoundError) -> str:
    return (error.name or "").partition(".")[0]


def engine_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds `--engine` and the options of runtime.Generator, under the names of its arguments."""
    options = (
        click.option(
            "--engine",
            required=True,
            metavar="FILE",
            help="Engine file, or a shipped name; .onnx may be left out.",
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
            "--precision", default="fp32", metavar="NAME", help="fp32, bf16, or tf32 on a GPU."
        ),
        click.option("--instances", type=COUNT, metavar="K", help="Engine instances side by side."),
    )
    for option in reversed(options):
        function = option(function)
    return function


def source_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds `IMAGES…`, `--data`, `--split`, `--resize`, `--strict` and `-n/--count`.

    The command gets them as one argument, the zoo.inference.inputs.Selection `selection`.
    """

    @functools.wraps(function)
    def command(**arguments: Any) -> Any:
        # Here, because --help does without NumPy.
        from zoo.inference.inputs import Selection

        selection = Selection(**{name: arguments.pop(name) for name in _SELECTION})
        return function(selection=selection, **arguments)

    options = (
        click.argument("images", nargs=-1),
        click.option("--data", metavar="SET", help="A data set in place of IMAGES."),
        click.option(
            "--split", type=click.Choice(SPLITS), default="test", help="Which part of --data."
        ),
        click.option("-n", "--count", type=COUNT, metavar="N", help="Only the first n images."),
        click.option("--resize", is_flag=True, help="Fit pictures to the engine's size and mode."),
        click.option("--strict", is_flag=True, help="Refuse a folder with unusable pictures."),
    )
    for option in reversed(options):
        command = option(command)
    return command


__all__ = [
    "COUNT",
    "EXIT_BAD_INPUT",
    "EXIT_INTERRUPTED",
    "SPLITS",
    "UINT64",
    "Command",
    "Group",
    "Integer",
    "engine_options",
    "source_options",
]
