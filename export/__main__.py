"""`python -m export runs/vae --out vae.onnx`: checked engine files; `--out vae.plan`: plans."""

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

OF_PLANS = (
    *("target", "precision", "batch", "timing_cache", "compatible"),
    *("calibrate", "calibration_samples", "check_images", "max_quality_loss"),
)
OF_CHECKPOINTS = ("weights", "image", "interpolator", "data")


class Buckets(click.ParamType):
    """Batch sizes with commas between."""

    name = "buckets"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """`1,64` as (1, 64); click.BadParameter for what is no number."""
        if isinstance(value, tuple):
            return value
        try:
            return tuple(int(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"expected numbers with commas between, got {value}", param, ctx)


@click.command(cls=Command)
@click.argument("source", type=click.Path(path_type=Path))
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The main file, FILE.onnx or FILE.plan; an encoder's is FILE.encoder.onnx.",
)
@click.option(
    "--weights",
    type=click.Choice(["fp16", "fp32"]),
    default="fp16",
    help="How weights are stored in an .onnx file; they are used in fp32.",
)
@click.option(
    "--image",
    type=click.Choice(["uint8", "float"]),
    default="uint8",
    help="Images as uint8 N,H,W,C or as float32 N,C,H,W in [0, 1].",
)
@click.option(
    "--interpolator",
    type=click.Choice(["linear", "spherical"]),
    help="Write FILE.interpolator.onnx too.",
)
@click.option(
    "--data",
    metavar="SET",
    help="Images whose latents are measured [those it was trained on, if they are here].",
)
@click.option(
    "--no-runtime-check",
    is_flag=True,
    help="Check engines against PyTorch and stock ONNX Runtime only, and plans not at all.",
)
@click.option(
    "--target",
    metavar="NAME",
    help="Of a plan: tensorrt or tensorrt-rtx [tensorrt, if it is installed].",
)
@click.option(
    "--precision",
    default="fp32",
    metavar="NAME",
    help="Of a plan: fp32, tf32, fp16, bf16, int8 or fp8.",
)
@click.option(
    "--calibrate",
    metavar="SET",
    help="Of an int8 or fp8 plan: a data set, or an .npy file of latents or images "
    "[the prior's latents, else the images that it was trained on].",
)
@click.option(
    "--calibration-samples",
    type=int,
    default=256,
    show_default=True,
    metavar="N",
    help="Of an int8 or fp8 plan: how many latents or images to calibrate with.",
)
@click.option(
    "--batch",
    type=Buckets(),
    default="1,64,512",
    metavar="N,N,…",
    help="Of a plan: the batch sizes that it runs.",
)
@click.option(
    "--timing-cache",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Of a plan: what TensorRT measured before [in the user's cache folder].",
)
@click.option(
    "--compatible",
    is_flag=True,
    help="A plan for later versions of TensorRT and for other GPUs too.",
)
@click.option(
    "--check-images",
    type=int,
    default=2000,
    metavar="N",
    help="Of a plan: the images that the FID of its check is of.",
)
@click.option(
    "--max-quality-loss",
    type=float,
    metavar="PERCENT",
    help="Of a plan: instead of --precision, the fastest whose FID is at most so much above that "
    "of fp32; without a FID, whose RMS difference is at most so much of the standard deviation.",
)
@click.pass_context
def main(context: click.Context, source: Path, out: Path, **options: Any) -> None:
    """Export SOURCE, the folder of a training run, a .safetensors file of one, or an engine.

    To .onnx: every file is compared with PyTorch, stock ONNX Runtime and the runtime of this
    package, row by row at several batch sizes. If one fails, none is kept.

    To .plan: an engine file, by path or shipped name, becomes the one TensorRT plan; of a
    checkpoint the whole family is exported, and each file becomes a plan. Where there is a GPU that
    runs it, each is compared with its engine in fp32: images, batch sizes, FID, images/s. If one
    cannot be built or fails, none is kept.
    """
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
    if not plan:
        _refuse_given(context, OF_PLANS, "is for a plan; --out is an .onnx file")
    elif options["max_quality_loss"] is not None:
        _refuse_given(context, ("precision",), "is what --max-quality-loss chooses: give one")
    if plan and options["no_runtime_check"]:
        _refuse_given(context, ("check_images",), "is of the checks that --no-runtime-check omits")
    if plan and engine:
        _refuse_given(
            context, OF_CHECKPOINTS, "is for a checkpoint; the engine file is made already"
        )
    try:
        (_export_plans if plan else _export)(source, out, options)
    except ImportError as error:
        raise click.ClickException(
            f"the export needs {error.name}: pip install 'generator-zoo[export]'"
        ) from error


def _refuse_given(context: click.Context, names: tuple[str, ...], why: str) -> None:
    for name in names:
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT:
            raise click.UsageError(f"--{name.replace('_', '-')} {why}", context)


def _options(options: dict[str, Any]) -> pipeline.Options:
    from export import pipeline

    return pipeline.Options(
        options["weights"],
        options["image"],
        options["interpolator"],
        not options["no_runtime_check"],
        options["data"],
    )


def _export(source: Path, out: Path, options: dict[str, Any]) -> None:
    from export import pipeline
    from export.checks import table

    files = _telling_failures(lambda: pipeline.export(source, out, _options(options), _say))
    click.echo(table([check for file in files for check in file.checks]))
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


def _export_plans(source: Path, out: Path, options: dict[str, Any]) -> None:
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
    )
    checking = plans.Checking(
        not options["no_runtime_check"], options["check_images"], options["max_quality_loss"]
    )
    if plan_options.precision not in EIGHT_BITS and options["max_quality_loss"] is None:
        what = f"is for int8 and fp8, got precision {plan_options.precision}"
        _refuse_given(click.get_current_context(), ("calibrate", "calibration_samples"), what)
    of_onnx = None if source.suffix == ".onnx" else _options(options)
    files = _telling_failures(
        lambda: plans.export(source, out, plan_options, of_onnx, _say, checking)
    )
    for file in files:
        for table in filter(None, (file.checked and file.checked.table(), file.candidates)):
            click.echo(f"{table}\n")
        click.echo(file.summary())


def _telling_failures(export: Callable[[], list[Any]]) -> list[Any]:
    """What `export` returns; the table of checks on stderr before its ParityError goes on."""
    from export.errors import ParityError

    try:
        return export()
    except ParityError as error:
        click.echo(error.report, err=True)
        raise


def _say(line: str) -> None:
    click.echo(line, err=True)


if __name__ == "__main__":
    main()
