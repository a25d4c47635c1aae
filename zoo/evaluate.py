"""Measure a model's images: `python -m zoo.evaluate --engine vae.onnx --data fashion-mnist`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from zoo.cli import COUNT, UINT64, Command, engine_options


@click.command(cls=Command)
@engine_options
@click.option(
    "--data", metavar="SET", help="Data set name, folder of pictures, or .npz [as trained on]."
)
@click.option(
    "-n", "--count", type=COUNT, metavar="N", help="Images [10,000, or all to be translated]."
)
@click.option("--seed", type=UINT64, default=0, help="Seed of the samples, or of the damage.")
@click.option("--seeds", type=COUNT, metavar="N", help="Seeds of the samples, for intervals.  [3]")
@click.option(
    "--features",
    metavar="NETWORK",
    help="fashion-classifier, efficientnet-lite0, inception, or a classifier engine with features "
    "[by the images' channels].",
)
@click.option(
    "--weights", type=click.Path(path_type=Path), help="pt_inception-2015-12-05.pth, for inception."
)
@click.option(
    "--metrics", metavar="LIST", help="Only these, of fid,kid,is,manifolds,modes,attributes."
)
@click.option(
    "--run",
    "run_dir",
    metavar="PATH",
    type=click.Path(path_type=Path),
    help="Folder of the training run, to measure its PyTorch model [the engine's own weights].",
)
@click.option("--no-model", is_flag=True, help="Do not measure the PyTorch model as well.")
@click.option("--json", "out", metavar="FILE", help="Write everything as JSON too.")
@click.option("-v", "--verbose", is_flag=True, help="Say more on stderr.")
def main(engine: str, **options: Any) -> None:
    """Measure how good the images of an engine are, and how much its export changed them.

    A generator's samples are compared with real images, as many of them, test
    images first: FID (Heusel et al. 2017), KID (Bińkowski et al. 2018), Inception
    score (Salimans et al. 2016), precision and recall (Kynkäänniemi et al. 2019),
    density and coverage (Naeem et al. 2020), and where the network knows the
    classes of the data the share of classes that samples fall into, and
    KL(samples ‖ real) of the classes in nats; where the data has attributes, how
    far the share of images with an attribute is from that of real images.

    A translator's outputs are compared with what they should be: PSNR, SSIM and
    mean absolute difference, beside those of its input, and as sets by FID and KID;
    where the data has attributes, also whether they are still those of the images.
    One that gives images other attributes (StarGAN) is measured by how often that
    takes, and what else it changes.

    A conditional generator makes images of all classes in turn; the share that the
    network puts into the class asked for is the label accuracy.

    Samples are drawn with --seeds seeds, --seed and those after it; numbers are
    means over them, with 95 % confidence intervals. Two numbers that differ by less
    than other seeds might change are not called different.

    Beside every number stands its floor: the same number for as many other real
    images, by the same network. A distance means nothing without its network,
    nor at another number of images. FIDs in papers are Inception's; for them give
    --features inception --weights pt_inception-2015-12-05.pth (any colour or grey
    images; the file is published with pytorch-fid, and never downloaded here).

    The PyTorch model is measured on the same noise: the difference is what the
    export changed. Needs the extra `evaluate`.
    """
    from zoo.evaluation.engine import evaluate_engine

    click.echo("\n".join(evaluate_engine(engine, **options)))


if __name__ == "__main__":
    main()
