"""Peers of the benchmarks make the images of the engine, or their speed means nothing."""

import numpy as np
import pytest
import torch

import runtime
from benchmarks.contenders import TorchEager
from zoo import engine_path
from zoo.engines import WEIGHTS
from zoo.models.weights import load_generator


@pytest.mark.parametrize(("name", "scale"), [("linear-ae", 20.0), ("progan", 1.0), ("vae", 1.0)])
def test_pytorch_makes_the_images_of_the_engine(name: str, scale: float) -> None:
    """Also for generators whose values leave [0, 1]: levels that do not fit a byte are clipped."""
    path = engine_path(f"{name}.onnx")
    peer = TorchEager(str(path), 1)
    peer.prepare(8)
    latents = np.random.default_rng(0).standard_normal((8, peer.latent_width)).astype(np.float32)
    latents *= scale
    with runtime.Generator(path) as generator:
        expected = generator.decode(latents).astype(int)
    assert np.abs(peer.decode(latents) - expected).max() <= 1
    network = load_generator(WEIGHTS / path.name)[0]
    with torch.no_grad():
        values = network(torch.from_numpy(latents))
    assert bool((values < 0).any() or (values > 1).any()) == (name != "vae"), "a case that matters"
