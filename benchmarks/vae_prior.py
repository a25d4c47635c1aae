"""Study of what makes a VAE's samples worse than images: its prior or its decoder.

    python -m benchmarks.vae_prior [vae-faces]

Fréchet distances of 10,000 images of a shipped VAE to the test images, by the default network:
decoded from N(0, I); from the learned prior of its engine; from the aggregate posterior (one draw
per training image); and reconstructions of the training images. The first minus the third is the
cost of the mismatch of prior and posterior, the third minus the floor that of the decoder.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import click
import numpy as np

import runtime
from benchmarks import studies
from zoo import data, engine_path
from zoo.cli import COUNT, Command
from zoo.evaluation.quick import QuickFid


def prior(model: str, count: int) -> dict[str, Any]:
    """Return the distances and the floor."""
    with runtime.Encoder(engine_path(f"{model}.encoder.onnx")) as encoder:
        size, _, channels = encoder.image_shape
        loaded = data.load(encoder.manifest["training"]["data"], size, channels)
        judge = QuickFid(loaded, count)
        images = loaded.train.images[:count]
        mu, logvar = encoder.encode(images)
    noise = runtime.noise.normals(0, 0, len(mu), mu.shape[1])
    posterior = mu + np.exp(logvar / 2) * noise
    with runtime.Generator(engine_path(f"{model}.onnx")) as generator:
        images_by_latents = {
            "N(0, I)": generator.sample(count, seed=0),
            "aggregate posterior": generator.decode(posterior),
            "learned prior": generator.sample(count, seed=0, prior="mixture"),
            "reconstructions": generator.decode(mu),
        }
    fid = {name: judge.measure(some)["fid"] for name, some in images_by_latents.items()}
    return {"network": judge.network.name, "fid": fid, "floor": judge.floor}


@click.command(cls=Command)
@click.argument("model", type=click.Choice(["vae", "vae-faces"]), default="vae")
@click.option("-n", "--count", type=COUNT, default=10_000, show_default=True, help="Images.")
def main(model: str, count: int) -> None:
    """Measure the distances and write benchmarks/results/MODEL-prior.json."""
    studies.run(model, {"prior": partial(prior, model)}, ["prior"], count, images=count)


if __name__ == "__main__":
    main()
