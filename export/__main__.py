"""`python -m export runs/vae --out vae.onnx` (or vae.plan): write engine files or plans."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from export.plan import SUFFIXES
from zoo.cli import Command

if TYPE_CHECKING:
    from export import pipeline

PLAN_OPTIONS = ("target", "batch", "any_batch", "plugins", "timing_cache", "compatible")
CALIBRATION_OPTIONS = ("calibrate", "calibration_samples")
QUALITY_OPTIONS = ("check_images", "max_quality_loss")
CHECKPOINT_OPTIONS = ("weights", "image", "interpolator", "data")


class BatchSizes(click.ParamType):
    """Batch sizes separated by commas: `1,64` is (1, 64)."""

    name = "batch sizes"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Parse the value; raise click.BadParameter if a part is not an integer."""
        if isinstance(value, tuple):
            return value
        try:
            return tuple(int(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"expected integers like 1,64,512, got {value!r}", param, ctx)


@click.command(cls=Command)
@click.argument("sources", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Main file to write, FILE.onnx or FILE.plan; an encoder goes to FILE.encoder.onnx.",
)
@click.option(
    "--triton",
    type=click.Path(),
    metavar="REPO",
    help="Instead of --out: a model repository for Triton, with a model for each engine.",
)
@click.option(
    "--weights",
    type=click.Choice(["fp16", "fp32"]),
    default="fp16",
    help="Storage type of the weights in an .onnx file; computation is in fp32.",
)
@click.option(
    "--image",
    type=click.Choice(["uint8", "float"]),
    default="uint8",
    help="Output images: uint8 N,H,W,C or float32 N,C,H,W in [0, 1].",
)
@click.option(
    "--interpolator",
    type=click.Choice(["linear", "spherical"]),
    help="Also write FILE.interpolator.onnx.",
)
@click.option(
    "--data",
    metavar="SET",
    help="Data set for the latent statistics [the training data, if available].",
)
@click.option(
    "--no-runtime-check",
    is_flag=True,
    help="Compare engines with PyTorch and stock ONNX Runtime only; do not check plans.",
)
@click.option(
    "--target",
    metavar="NAME",
    help="Plans: tensorrt or tensorrt-rtx [tensorrt, if installed].",
)
@click.option(
    "--precision",
    default="fp32",
    metavar="NAME",
    help="Plans: fp32, tf32, fp16, bf16, int8 or fp8; .onnx files: fp32, or int8 to add the ranges "
    "that int8 on CPUs needs; --triton: fp32, bf16 or int8, in which .onnx engines run.",
)
@click.option(
    "--calibrate",
    metavar="SET",
    help="int8 and fp8: a data set, or an .npy file of latents or images to calibrate with "
    "[latents from the prior, or else the training images].",
)
@click.option(
    "--calibration-samples",
    type=int,
    default=256,
    show_default=True,
    metavar="N",
    help="int8 and fp8: number of latents or images to calibrate with.",
)
@click.option(
    "--batch",
    type=BatchSizes(),
    default="1,64,512",
    metavar="N,N,…",
    help="Plans: batch sizes to build for.",
)
@click.option(
    "--any-batch",
    is_flag=True,
    help="Plans: run every batch size up to the largest of --batch, not only these, as Triton's "
    "TensorRT backend needs.",
)
@click.option(
    "--plugins",
    is_flag=True,
    help="Plans: draw the noise inside, from the inputs seed and first, with libzoo_plugins.so, "
    "for programs that run TensorRT themselves. Implies --any-batch.",
)
@click.option(
    "--timing-cache",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Plans: timing cache of TensorRT [a file in the user's cache folder].",
)
@click.option(
    "--compatible",
    is_flag=True,
    help="Plans: also run on later versions of TensorRT and on other GPUs.",
)
@click.option(
    "--check-images",
    type=int,
    default=2000,
    metavar="N",
    help="Plans and int8: number of images for the FID.",
)
@click.option(
    "--max-quality-loss",
    type=float,
    metavar="PERCENT",
    help="Plans: choose the fastest precision whose FID is at most PERCENT above that of fp32 (or, "
    "without a FID, whose RMS difference is at most PERCENT of the standard deviation). int8 in "
    ".onnx files: refuse int8 if it loses more [5].",
)
@click.pass_context
def main(
    context: click.Context,
    sources: tuple[Path, ...],
    out: Path | None,
    triton: str | None,
    **options: Any,
) -> None:
    """Export SOURCES: the folder of a training run, its .safetensors file, or an engine.

    To .onnx: every file is compared with PyTorch, stock ONNX Runtime and the runtime of this
    package, row by row at several batch sizes. If one check fails, no file is kept.

    To .plan: an engine file (a path or a shipped name) becomes one TensorRT plan; a checkpoint
    becomes one plan per engine file of its family. On a machine whose GPU can run them, plans are
    compared with the fp32 engine: images, batch sizes, FID, images/s. If a plan cannot be built or
    fails a check, no file is kept.

    To .onnx with --precision int8: the engine, or every file of the checkpoint's family, also gets
    the ranges of its activations, and the measured cost of int8. If it is too high, the file says
    so, and cannot be opened with that precision.

    To --triton REPO: engine files and plans, any number of them, become models of a repository for
    NVIDIA's Triton Inference Server.
    """
    if (out is None) == (triton is None):
        raise click.UsageError("expected --out FILE or --triton REPO", context)
    if triton is not None:
        _refuse_options(
            context,
            tuple(name for name in options if name != "precision"),
            "does not apply to --triton",
        )
        _write_repository(triton, sources, options["precision"])
        return
    if len(sources) > 1:
        raise click.UsageError(f"expected one SOURCE for --out, got {len(sources)}", context)
    assert out is not None
    _export_source(context, sources[0], out, options)


def _write_repository(repository: str, engines: tuple[Path, ...], precision: str) -> None:
    from export.triton.repository import write

    for folder in write(repository, [str(engine) for engine in engines], precision):
        click.echo(folder)


def _export_source(
    context: click.Context, source: Path, out: Path, options: dict[str, Any]
) -> None:
    """Write the engine files or plans of a source."""
    from zoo.engines import find, resolve
    from zoo.images.atomic import check_file

    plan = out.suffix in SUFFIXES
    if not plan and out.suffix != ".onnx":
        raise click.BadParameter(
            f"{out}: an engine file ends in .onnx, a plan in .plan", param_hint="--out"
        )
    check_file(out)
    engine = source.suffix == ".onnx" or not source.exists() and find(source) is not None
    if engine:
        source = resolve(source)
    elif not source.exists():
        raise click.BadParameter(f"{source}: no such file or folder", param_hint="SOURCE")
    calibrates = not plan and options["precision"] == "int8"
    if not plan:
        only = "applies to plans only; --out is an .onnx file"
        _refuse_options(context, PLAN_OPTIONS, only)
        if not calibrates:
            _refuse_options(
                context, (*CALIBRATION_OPTIONS, *QUALITY_OPTIONS), f"{only}, not in int8"
            )
        if options["precision"] not in ("fp32", "int8"):
            raise click.BadParameter(
                f"{options['precision']} is a precision of plans; expected fp32 or int8 for an "
                ".onnx file, which the runtime can run in fp32 and bf16 anyway",
                param_hint="--precision",
            )
    elif options["max_quality_loss"] is not None:
        _refuse_options(context, ("precision",), "is chosen by --max-quality-loss: pass only one")
    if calibrates and options["no_runtime_check"]:
        raise click.UsageError("--precision int8 conflicts with --no-runtime-check", context)
    if plan and options["no_runtime_check"]:
        _refuse_options(context, ("check_images",), "conflicts with --no-runtime-check")
    if (plan or calibrates) and engine:
        _refuse_options(
            context, CHECKPOINT_OPTIONS, "applies to checkpoints only; SOURCE is an engine file"
        )
    try:
        if calibrates:
            _export_int8(source, out, engine, options)
        else:
            (_export_plans if plan else _export)(source, out, options)
    except ImportError as error:
        raise click.ClickException(
            f"the export needs {error.name}: pip install 'generator-zoo[export]'"
        ) from error


def _refuse_options(context: click.Context, names: tuple[str, ...], why: str) -> None:
    """Raise click.UsageError if one of the options was given."""
    for name in names:
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT:
            raise click.UsageError(f"--{name.replace('_', '-')} {why}", context)


def _onnx_options(options: dict[str, Any]) -> pipeline.Options:
    from export import pipeline

    return pipeline.Options(
        options["weights"],
        options["image"],
        options["interpolator"],
        not options["no_runtime_check"],
        options["data"],
    )


def _export_int8(source: Path, out: Path, engine: bool, options: dict[str, Any]) -> None:
    from export import int8

    loss = options["max_quality_loss"]
    calibration = int8.Options(
        options["calibrate"],
        options["calibration_samples"],
        options["check_images"],
        int8.MAX_LOSS if loss is None else loss,
    )
    files = {out: source} if engine else {path: path for path in _export(source, out, options)}
    for path, file in files.items():
        click.echo(int8.calibrate(file, path, calibration, _print_progress).summary())


def _export(source: Path, out: Path, options: dict[str, Any]) -> list[Path]:
    """Export a checkpoint; return the paths of the files that the runtime runs."""
    from export import pipeline
    from export.checks import format_table

    files = _report_failures(
        lambda: pipeline.export(source, out, _onnx_options(options), _print_progress)
    )
    click.echo(format_table([check for file in files for check in file.checks]))
    click.echo("")
    for file in files:
        rates = "; ".join(
            f"{backend} " + ", ".join(f"{rate:,.0f}" for rate in by_batch.values())
            for backend, by_batch in file.throughput.items()
        )
        sizes = ", ".join(next(iter(file.throughput.values()), {}))
        text = f"; images/s at batch {sizes}: {rates}" if rates else ""
        if file.unfolded is not None:
            text = f"; {file.unfolded} nodes before folding, {file.nodes} after{text}"
        click.echo(f"{file.path}: {file.size:,} bytes{text}")
    return [file.path for file in files if file.throughput]


def _export_plans(source: Path, out: Path, options: dict[str, Any]) -> None:
    from export.checks import format_table
    from export.plan import pipeline as plans
    from export.plan.precision import EIGHT_BITS

    plan_options = plans.Options(
        options["target"],
        options["precision"],
        options["batch"],
        options["timing_cache"],
        options["compatible"],
        options["calibrate"],
        options["calibration_samples"],
        options["any_batch"],
        options["plugins"],
    )
    checking = plans.Checking(
        not options["no_runtime_check"], options["check_images"], options["max_quality_loss"]
    )
    if plan_options.precision not in EIGHT_BITS and options["max_quality_loss"] is None:
        reason = f"applies to int8 and fp8 only, got precision {plan_options.precision}"
        _refuse_options(click.get_current_context(), ("calibrate", "calibration_samples"), reason)
    onnx_options = None if source.suffix == ".onnx" else _onnx_options(options)
    files = _report_failures(
        lambda: plans.export(source, out, plan_options, onnx_options, _print_progress, checking)
    )
    for file in files:
        if file.checked:
            click.echo(f"{format_table(file.checked.checks)}\n")
        if file.candidates:
            click.echo(f"{file.candidates}\n")
        click.echo(file.summary())


def _report_failures(export: Callable[[], list[Any]]) -> list[Any]:
    """Return what `export` returns; print the table of checks if it raises a ParityError."""
    from export.errors import ParityError

    try:
        return export()
    except ParityError as error:
        click.echo(error.report, err=True)
        raise


def _print_progress(line: str) -> None:
    click.echo(line, err=True)


if __name__ == "__main__":
    main()
