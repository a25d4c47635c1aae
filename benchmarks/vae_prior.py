"""What makes a VAE's samples worse than images: its prior, or its decoder.

    python -m benchmarks.vae_prior

Fréchet distances of 10,000 images of the shipped VAE, by the shipped classifier, against the test
images: decoded from N(0, I); from the aggregate posterior (of training images, one draw each); from
a mixture of 50 Gaussians that is fitted to that; and reconstructions of the training images. The
first minus the second is what the mismatch of prior and posterior costs, the second minus the floor
what the decoder does.
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
    """The distances, and the floor."""
    loaded = data.load("fashion-mnist")
    judge = QuickFid(loaded, count)
    images = loaded.train.images[:count]
    with runtime.Encoder(engine_path("vae.encoder.onnx")) as encoder:
        mu, logvar = encoder.encode(images)
    noise = runtime.noise.normals(0, 0, count, mu.shape[1])
    posterior = mu + np.exp(logvar / 2) * noise
    mixture = GaussianMixture(COMPONENTS, random_state=0).fit(posterior.astype(np.float64))
    with runtime.Generator(engine_path("vae.onnx")) as generator:
        made = {
            "N(0, I)": generator.sample(count, seed=0),
            "aggregate posterior": generator.decode(posterior),
            "mixture of Gaussians": generator.decode(mixture.sample(count)[0].astype(np.float32)),
            "reconstructions": generator.decode(mu),
        }
    found = {name: judge.measure(some)["fid"] for name, some in made.items()}
    return {"network": judge.network.name, "fid": found, "floor": judge.floor}


@click.command(cls=Command)
@click.option("-n", "--count", type=COUNT, default=10_000, show_default=True, help="Images.")
def main(count: int) -> None:
    """Measure the distances and write benchmarks/results/vae-prior.json."""
    studies.run("vae", {"prior": prior}, ["prior"], count, images=count)


if __name__ == "__main__":
    main()
