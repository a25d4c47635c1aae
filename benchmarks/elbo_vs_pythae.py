"""Test ELBO of a trained VAE against a pythae VAE of the same latent width and training time.

    python -m zoo.train vae --out runs/vae --threads 1
    python -m benchmarks.elbo_vs_pythae runs/vae --threads 1

Both train on the same images and the same machine, and the same function measures both: the
Bernoulli negative ELBO in nats per image on the test images, with one sample of h and the same
noise for each. That function is first checked against each library's own loss. pythae gets the
training configuration of its README, the whole training set, and the epoch with the best loss
*on the test set*, which favours it. Needs `pip install pythae`.
"""

# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
import torch.nn.functional as F

from benchmarks.machine import describe
from zoo import data as sets
from zoo.host import keep_freed_memory, setup_threads
from zoo.models.vae import VAE
from zoo.models.weights import load_run
from zoo.training.elbo import evaluate_elbo
from zoo.training.metrics import read_metrics

Encode = Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
Decode = Callable[[torch.Tensor], torch.Tensor]
ROUNDING, NOISE = 0.01, 0.5
"""Tolerances between two ELBOs of a model in nats per image: same noise, different noise."""


@torch.no_grad()
def negative_elbo(
    encode: Encode, decode: Decode, images: torch.Tensor, width: int, batch: int = 500
) -> dict[str, float]:
    """Return the metric; `encode` returns (mu, logvar), `decode` the Bernoulli means."""
    noise = torch.Generator().manual_seed(0)
    epsilon = torch.randn(len(images), width, generator=noise)
    sums = np.zeros(2)
    for part, draws in zip(images.split(batch), epsilon.split(batch), strict=True):
        mu, logvar = encode(part)
        latents = mu + torch.exp(0.5 * logvar) * draws
        means = decode(latents).reshape(part.shape)
        sums[0] += F.binary_cross_entropy(means, part, reduction="sum").double().item()
        sums[1] += -0.5 * (1 + logvar - mu**2 - logvar.exp()).sum().double().item()
    reconstruction, kl = (sums / len(images)).tolist()
    return {"nelbo": reconstruction + kl, "reconstruction": reconstruction, "kl": kl}


def _check_agreement(what: str, first: float, second: float, tolerance: float) -> None:
    if not abs(first - second) <= tolerance:
        raise click.ClickException(f"{what}: {first:.3f} is not {second:.3f}")


def _measure_ours(model: VAE, loaded: sets.DataSet, images: torch.Tensor) -> dict[str, float]:
    measured = negative_elbo(model.encoder, model.decoder, images, model.config.latent)
    _check_agreement(
        "our ELBO", measured["nelbo"], evaluate_elbo(model, loaded.test)["nelbo"], ROUNDING
    )
    return measured


def _measure_theirs(model: Any, images: torch.Tensor, width: int) -> dict[str, float]:
    model = model.cpu().eval()

    def encode(batch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        output = model.encoder(batch)
        return output.embedding, output.log_covariance

    def decode(latents: torch.Tensor) -> torch.Tensor:
        means: torch.Tensor = model.decoder(latents).reconstruction
        return means

    measured = negative_elbo(encode, decode, images, width)
    torch.manual_seed(0)
    with torch.no_grad():
        # forward() draws its own noise.
        own = [model({"data": part}).loss.item() for part in images.split(500)]
    _check_agreement("pythae's ELBO", measured["nelbo"], float(np.mean(own)), NOISE)
    return measured


def _train_pythae(
    train: np.ndarray, test: np.ndarray, width: int, seconds: float, folder: str
) -> tuple[Any, float, int]:
    """Train pythae's VAE for `seconds`, finishing the epoch; return model, seconds, epochs."""
    from pythae.models import VAE as Peer
    from pythae.models import VAEConfig as PeerConfig
    from pythae.pipelines import TrainingPipeline
    from pythae.trainers import BaseTrainerConfig
    from pythae.trainers.training_callbacks import TrainingCallback

    class OutOfTime(Exception):
        pass

    class Clock(TrainingCallback):
        epochs = 0

        def on_epoch_end(self, training_config: Any, **kwargs: Any) -> None:
            self.epochs += 1
            if time.monotonic() - started >= seconds:
                raise OutOfTime

    config = BaseTrainerConfig(
        output_dir=folder,
        num_epochs=100_000,
        learning_rate=1e-3,
        per_device_train_batch_size=200,
        per_device_eval_batch_size=200,
        optimizer_cls="AdamW",
        optimizer_params={"weight_decay": 0.05, "betas": (0.91, 0.995)},
        scheduler_cls="ReduceLROnPlateau",
        scheduler_params={"patience": 5, "factor": 0.5},
        no_cuda=True,
    )
    shape = (train.shape[1], *train.shape[2:])
    torch.manual_seed(0)
    model = Peer(PeerConfig(input_dim=shape, latent_dim=width, reconstruction_loss="bce"))
    pipeline, clock = TrainingPipeline(training_config=config, model=model), Clock()
    started = time.monotonic()
    try:
        pipeline(train_data=train, eval_data=test, callbacks=[clock])
    except OutOfTime:
        pass
    return pipeline.trainer._best_model, time.monotonic() - started, clock.epochs


def _parameters(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@click.command(help=(__doc__ or "").splitlines()[0])
@click.argument("run", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--seconds", type=float, help="Training time of pythae [default: that of the run].")
@click.option("--threads", type=int, help="CPU threads; use as many as the run.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the results as JSON.")
def main(run: Path, seconds: float | None, threads: int | None, out: Path | None) -> None:
    """Measure the run, train pythae for the same time, measure it, and print both."""
    keep_freed_memory()
    setup_threads(threads)
    model, config = load_run(run)
    if not isinstance(model, VAE) or model.config.decoder != "bernoulli":
        raise click.ClickException(f"{run} is not a VAE with a Bernoulli decoder")
    loaded = sets.load(config["data"], model.config.image_size, model.config.channels)
    train, test = sets.normalise(loaded.train.images), sets.normalise(loaded.test.images)
    images, width = torch.from_numpy(test), model.config.latent
    trained_for = read_metrics(run / "metrics.jsonl")[-1]["seconds"]
    results = {
        "zoo": {
            **_measure_ours(model, loaded, images),
            "seconds": trained_for,
            "epochs": config["epochs"],
            "parameters": _parameters(model),
        }
    }
    with tempfile.TemporaryDirectory() as folder:
        peer, spent, epochs = _train_pythae(train, test, width, seconds or trained_for, folder)
    results["pythae"] = {
        **_measure_theirs(peer, images, width),
        "seconds": spent,
        "epochs": epochs,
        "parameters": _parameters(peer),
    }
    click.echo(f"{'':8} {'-ELBO':>8} {'rec.':>8} {'KL':>7} {'s':>6} {'epochs':>7} {'weights':>9}")
    for name, row in results.items():
        click.echo(
            f"{name:8} {row['nelbo']:8.2f} {row['reconstruction']:8.2f} {row['kl']:7.2f} "
            f"{row['seconds']:6.0f} {row['epochs']:7g} {row['parameters']:9,}"
        )
    if out is not None:
        document = {"machine": describe(), "threads": torch.get_num_threads(), "results": results}
        out.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
