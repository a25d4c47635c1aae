"""Study of what makes a VAE's samples worse than images: its prior or its decoder.

    python -m benchmarks.vae_prior

Fréchet distances of 10,000 images of the shipped VAE to the test images, by the shipped classifier:
decoded from N(0, I); from the aggregate posterior (one draw per training image); from a mixture of
50 Gaussians fitted to the aggregate posterior; and reconstructions of the training images. The
first minus the second is the cost of the mismatch of prior and posterior, the second minus the
floor that of the decoder.
"""

from __future__ import annotations

from typing import Any

import click
import numpy as np
from sklearn.mixture import GaussianMixture

import runtime
from benchmarks import studies
from zoo import data, engine_path
from zoo.cli import COUNT, Command
from zoo.evaluation.quick import QuickFid

COMPONENTS = 50


def prior(count: int) -> dict[str, Any]:
    """Return the distances and the floor."""
    loaded = data.load("fashion-mnist")
    judge = QuickFid(loaded, count)
    images = loaded.train.images[:count]
    with runtime.Encoder(engine_path("vae.encoder.onnx")) as encoder:
        mu, logvar = encoder.encode(images)
    noise = runtime.noise.normals(0, 0, count, mu.shape[1])
    posterior = mu + np.exp(logvar / 2) * noise
    mixture = GaussianMixture(COMPONENTS, random_state=0).fit(posterior.astype(np.float64))
    with runtime.Generator(engine_path("vae.onnx")) as generator:
        images_by_latents = {
            "N(0, I)": generator.sample(count, seed=0),
            "aggregate posterior": generator.decode(posterior),
            "mixture of Gaussians": generator.decode(mixture.sample(count)[0].astype(np.float32)),
            "reconstructions": generator.decode(mu),
        }
    fid = {name: judge.measure(some)["fid"] for name, some in images_by_latents.items()}
    return {"network": judge.network.name, "fid": fid, "floor": judge.floor}


@click.command(cls=Command)
@click.option("-n", "--count", type=COUNT, default=10_000, show_default=True, help="Images.")
def main(count: int) -> None:
    """Measure the distances and write benchmarks/results/vae-prior.json."""
    studies.run("vae", {"prior": prior}, ["prior"], count, images=count)


if __name__ == "__main__":
    main()
