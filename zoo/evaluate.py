"""Measure a model's images: `python -m zoo.evaluate --engine vae.onnx --data fashion-mnist`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from zoo.cli import COUNT, UINT64, Command, engine_options


@click.command(cls=Command)
@engine_options
@click.option(
    "--data", metavar="SET", help="Data set name, folder or .npz [the engine's training data]."
)
@click.option(
    "-n", "--count", type=COUNT, metavar="N", help="Images [10,000; of a translator all]."
)
@click.option(
    "--split",
    type=click.Choice(["test", "validation"]),
    default="test",
    help="Held-out images to compare with or to translate.",
)
@click.option("--seed", type=UINT64, default=0, help="Seed of the samples or corruptions.")
@click.option("--seeds", type=COUNT, metavar="N", help="Number of seeds, for intervals.  [3]")
@click.option(
    "--network",
    "--features",
    "features",
    metavar="NETWORK",
    help="in-domain (by the data: fashion-classifier or face-features), efficientnet-lite0, "
    "inception, or a classifier engine with features [by the number of channels].",
)
@click.option(
    "--weights", type=click.Path(path_type=Path), help="pt_inception-2015-12-05.pth, for inception."
)
@click.option(
    "--metrics", metavar="LIST", help="Only these, of fid,kid,is,manifolds,modes,attributes."
)
@click.option(
    "--prior",
    type=click.Choice(["normal", "mixture"]),
    default="normal",
    help="Measure samples of N(0, I), or of the learned prior of a VAE.",
)
@click.option(
    "--run",
    "run_dir",
    metavar="PATH",
    type=click.Path(path_type=Path),
    help="Training run whose PyTorch model is measured as well [the engine's own weights].",
)
@click.option("--no-model", is_flag=True, help="Do not measure the PyTorch model.")
@click.option("--json", "out", metavar="FILE", help="Also write the results as JSON.")
@click.option("-v", "--verbose", is_flag=True, help="Say more on stderr.")
def main(engine: str, **options: Any) -> None:
    """Measure the quality of an engine's images, and how much the export changed it.

    The samples of a generator are compared with the same number of real images, test
    images first: FID (Heusel et al. 2017), KID (Bińkowski et al. 2018), Inception
    score (Salimans et al. 2016), precision and recall (Kynkäänniemi et al. 2019), and
    density and coverage (Naeem et al. 2020). If the network knows the classes of the
    data, also the share of classes that samples cover, and KL(samples ‖ real) of the
    classes in nats; if the data has attributes, the difference between samples and real
    images in the share of images with each attribute.

    The outputs of a translator are compared with the ground truth: by PSNR, SSIM and
    mean absolute difference, next to those of its input, and as sets by FID and KID;
    if the data has attributes, also by whether these are preserved. A translator
    between attributes (StarGAN) is measured by how often its edits succeed and what
    else they change; for drawn faces (--data faces) also against the truth, which is
    the face drawn with only that attribute changed.

    A conditional generator makes images of all classes in turn; label accuracy is the
    share that the network assigns to the requested class.

    Samples are drawn with --seeds seeds, beginning with --seed. Numbers are means over
    these, with 95 % confidence intervals. Numbers that differ by less than the variation
    between seeds are not reported as different.

    The floor next to every number is the same number for as many other real images.
    With --network in-domain, drawn faces are compared with 50,000 faces of another seed,
    of which no model has seen any.
    Distances can be compared only for the same network and the same number of images.
    Published FIDs use Inception: --features inception --weights
    pt_inception-2015-12-05.pth (for colour or grey images; the file is published with
    pytorch-fid and never downloaded by this command).

    The PyTorch model is measured on the same noise, so that the difference is the effect
    of the export. Needs the extra `evaluate`.
    """
    from zoo.evaluation.engine import evaluate_engine

    click.echo("\n".join(evaluate_engine(engine, **options)))


if __name__ == "__main__":
    main()
