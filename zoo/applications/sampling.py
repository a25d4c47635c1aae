"""Sampling of a generator, or of variations of an image, to any output format."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Generator as Iterating
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime import Generator, Stream
from zoo.applications import conditions
from zoo.applications.conditions import Conditions
from zoo.engines import check_prior, open_encoder, open_generator
from zoo.errors import ConfigError
from zoo.images import sinks
from zoo.progress import Progress, rate

_POSTERIOR_ROWS = 256
# In units of the training latents' deviation; a larger spread leaves the learned codes.
_AUTOENCODER_SPREAD = 0.5


def sample_images(
    engine: str,
    *,
    count: int = 64,
    seed: int = 0,
    first: int = 0,
    batch: int | None = None,
    bucket: int | None = None,
    out: str = "samples.png",
    label: str | None = None,
    labels: str | None = None,
    prior: str = "normal",
    truncation: float | None = None,
    noise: float | None = None,
    mix: int | None = None,
    source: str | None = None,
    spread: float | None = None,
    resize: bool = False,
    overwrite: bool = False,
    verbose: bool = False,
    **options: Any,
) -> str:
    """Write images `first` … `first + count - 1` of the run with `seed` to `out`.

    The arguments are the options of `zoo.sample`, `options` those of runtime.Generator. Returns a
    summary line. Raises ConfigError, DataError, OutputError, and the errors of
    zoo.engines.open_generator.
    """
    if spread is not None and source is None:
        raise ConfigError("--spread requires --from IMAGE")
    if spread is not None and not (math.isfinite(spread) and spread >= 0):
        raise ConfigError(f"--spread: expected a finite number of at least 0, got {spread}")
    sinks.check(out, count, overwrite)
    started = time.perf_counter()
    with open_generator(engine, bucket=bucket, **options) as generator:
        # Encoders and halves use only the first device.
        options["device"] = options.get("device", "auto").split(",")[0]
        if verbose:
            loaded = time.perf_counter() - started
            print(
                f"{generator.path}: {generator.backend}, {generator.instances} instances, "
                f"loaded in {loaded * 1000:.0f} ms",
                file=sys.stderr,
            )
        name = Path(generator.path).name
        if source is None and generator.prior == "none":
            raise ConfigError(
                f"{name} is an autoencoder without a prior, so it cannot draw samples; "
                "use --from IMAGE --spread S to vary an image"
            )
        check_prior(generator, prior)
        if prior != "normal" and source is not None:
            raise ConfigError("--prior cannot be combined with --from, which replaces the prior")
        conditioning = conditions.parse(generator, label, labels, truncation, mix)
        if mix is not None and source is not None:
            raise ConfigError("--mix cannot be combined with --from")
        asked = conditioning.sampling_options()
        if noise is not None:
            asked["noise"] = _check_noise(generator, noise, mix)
        last = first + count - 1
        title = f"seed {seed}  ·  sample{f's {first} to {last}' if count > 1 else f' {first}'}"
        title += "  ·  learned prior" if prior == "mixture" else ""
        title += conditioning.title()
        title += "" if noise is None else f"  ·  noise {noise:g}"
        blocks: Stream | Iterating[NDArray[Any]]
        if source is None:
            run = sinks.Run(count, generator.image_shape, first, f"{name}  ·  {title}")
            if mix is None:
                blocks = generator.stream(count, seed, first, batch, prior=prior, **asked)
            else:
                blocks = conditions.mix_samples(
                    generator, conditioning, count, seed, first, **options
                )
        else:
            image, mu, logvar = _encode(generator, source, spread, resize, **options)
            again = generator.decode(
                mu[None], labels=conditioning.labels and conditioning.labels[0]
            )[0]
            lead = [("input", image), ("reconstruction", again)]
            title = f"{name}  ·  variations of {Path(source).name}  ·  {title}"
            run = sinks.Run(count, generator.image_shape, first, title, lead)
            blocks = _variations(generator, mu, logvar, conditioning, count, seed, first, batch)
        with (
            closing(blocks),
            sinks.open_sink(out, run, overwrite) as write,
            Progress(count, verbose) as progress,
        ):
            for block in blocks:
                write(block)
                progress.advance(len(block))
            seconds = progress.seconds
        if verbose and generator.peak_device_bytes:
            held = generator.peak_device_bytes / 2**20
            others = "ONNX Runtime's" if generator.backend == "onnxruntime" else "the weights"
            print(f"{held:,.1f} MiB of the GPU's memory, beside {others}", file=sys.stderr)
        images = "image" if count == 1 else "images"
        return (
            f"{count:,} {images} in {seconds:.3g} s, {rate(count, seconds)} "
            f"({generator.backend}): {out}"
        )


def _check_noise(generator: Generator, noise: float, mix: int | None) -> float:
    """Return the scale of the layers' noise. Raises ConfigError."""
    if not generator.style_layers:
        raise ConfigError(f"--noise: {Path(generator.path).name} is not style-based")
    if not (math.isfinite(noise) and noise >= 0):
        raise ConfigError(f"--noise: expected a finite number of at least 0, got {noise:g}")
    if mix is not None:
        raise ConfigError("--noise cannot be combined with --mix")
    return noise


def _encode(
    generator: Generator, source: str, spread: float | None, resize: bool, **options: Any
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32]]:
    """Return the image [H, W, C] of a file, and μ and log (S·σ)² [D] of its latent."""
    # Imported here because most runs read no picture.
    from zoo.images.read import read_image

    image = read_image(source, generator.image_shape, resize)
    with open_encoder(generator, **{**options, "instances": 1}) as encoder:
        mu, logvar = (part[0] for part in encoder.encode(image[None]))
        if encoder.deterministic:
            std = generator.manifest["latent"].get("std") or np.ones_like(mu)
            logvar = 2 * _log(np.asarray(std, np.float32))
            spread = _AUTOENCODER_SPREAD if spread is None else spread
    if spread is not None:
        logvar = logvar + 2 * _log(np.float32(spread))
    return image, mu, logvar


def _log(values: Any) -> Any:
    """Return the natural logarithm, or -inf for 0, which disables the noise."""
    with np.errstate(divide="ignore"):
        return np.log(values)


def _variations(
    generator: Generator,
    mu: NDArray[np.float32],
    logvar: NDArray[np.float32],
    conditioning: Conditions,
    count: int,
    seed: int,
    first: int,
    batch: int | None,
) -> Iterating[NDArray[Any]]:
    rows = max(batch or 0, _POSTERIOR_ROWS)
    for start in range(0, count, rows):
        yield generator.sample(
            min(rows, count - start),
            seed,
            first + start,
            batch=batch,
            mu=mu,
            logvar=logvar,
            **conditioning.sampling_options(),
        )
