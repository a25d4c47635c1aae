"""StyleGAN: layers against NumPy, styles, truncation, mixing, noise, folding, training."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from growing import SIZES, make, rows
from runtime.noise import normals
from zoo.errors import ConfigError
from zoo.models import registry
from zoo.models.folding import fold
from zoo.models.generators import FIRST_LAYER_STREAM, no_noise, torch_noise
from zoo.models.style_layers import EPSILON, AdaptiveNorm, StyleLayer
from zoo.training.progressive import StyleTask
from zoo.training.recipe import Recipe
from zoo.training.task import Batch

GROWN = 430
LAYERS = 6
WIDTHS = (16, 16, 64, 64, 256, 256)
"""Number of noise samples of each layer, in the order in which the stream has them."""


@pytest.fixture
def model() -> Any:
    return make("stylegan", GROWN)


@pytest.fixture
def generator(model: Any) -> Any:
    return model.generator


class Recorded:
    """A seeded noise source that records its requests."""

    def __init__(self, count: int, seed: int = 0) -> None:
        self.count, self.seed = count, seed
        self.asked: list[tuple[int, int]] = []

    def __call__(self, stream: int, width: int) -> Tensor:
        self.asked.append((stream, width))
        return rows(self.count, width, seed=1000 * self.seed + stream)


# Layers


def normalise_adaptively(x: np.ndarray, deviation: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Equation 1 of the paper."""
    mu = x.mean((2, 3), keepdims=True)
    sigma = np.sqrt(((x - mu) ** 2).mean((2, 3), keepdims=True) + EPSILON)
    return deviation[:, :, None, None] * (x - mu) / sigma + mean[:, :, None, None]


def test_adaptive_norm() -> None:
    layer = AdaptiveNorm(style=5, channels=3).double()
    x, w = 3 + 2 * rows(4, 3, 6, 6), rows(4, 5, seed=1)
    plain = layer.affine.fold()  # type: ignore[operator]
    assert torch.equal(plain.bias, torch.tensor([1.0] * 3 + [0.0] * 3, dtype=torch.float64))
    styles = w.numpy() @ plain.weight.detach().numpy().T + plain.bias.detach().numpy()
    made = layer(x, w).detach().numpy()
    np.testing.assert_allclose(
        made, normalise_adaptively(x.numpy(), styles[:, :3], styles[:, 3:]), rtol=1e-9
    )
    np.testing.assert_allclose(made.mean((2, 3)), styles[:, 3:], atol=1e-9)
    np.testing.assert_allclose(made.std((2, 3)), np.abs(styles[:, :3]), rtol=1e-5)


def test_adaptive_norm_as_it_is_exported() -> None:
    """The training and the exported form agree, and so do their gradients."""
    layer = AdaptiveNorm(style=5, channels=3).double()
    plain = layer.fold()
    x, w = (3 + 2 * rows(4, 3, 6, 6)).requires_grad_(), rows(4, 5, seed=1).requires_grad_()
    weights = rows(4, 3, 6, 6, seed=2)
    made = [network(x, w) for network in (layer, plain)]
    torch.testing.assert_close(*made, rtol=1e-12, atol=1e-12)
    gradients = [torch.autograd.grad((one * weights).sum(), (x, w)) for one in made]
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-11)


def test_style_layer() -> None:
    """Noise with a strength per channel, then the rectifier, then the style."""
    layer = StyleLayer(nn.Identity(), channels=3, style=5).double()
    nn.init.normal_(layer.strength)
    x, w, noise = rows(2, 3, 4, 4), rows(2, 5, seed=1), rows(2, 16, seed=2)
    strength = layer.strength.detach().numpy()
    noisy = x.numpy() + strength[None] * noise.numpy().reshape(2, 1, 4, 4)
    rectified = np.where(noisy > 0, noisy, 0.2 * noisy)
    styles = layer.norm.affine(w).detach().numpy()
    expected = normalise_adaptively(rectified, styles[:, :3], styles[:, 3:])
    np.testing.assert_allclose(layer(x, w, noise).detach().numpy(), expected, rtol=1e-9, atol=1e-9)


def test_mapping(generator: Any) -> None:
    z = rows(4, 8)
    x = z.numpy() / np.sqrt((z.numpy() ** 2).mean(1, keepdims=True) + EPSILON)
    for layer in (m for m in generator.mapping if hasattr(m, "weight")):
        weight = layer.weight.detach().numpy() * 0.01 * np.sqrt(2 / x.shape[1])
        x = x @ weight.T + 0.01 * layer.bias.detach().numpy()
        x = np.where(x > 0, x, 0.2 * x)
    np.testing.assert_allclose(generator.mapping(z).detach().numpy(), x, rtol=1e-9)


# Styles and truncation


def test_protocol(generator: Any) -> None:
    assert generator.layers == LAYERS and generator.noise_widths == (sum(WIDTHS),)
    assert generator.bounded is False and generator.style_mean.shape == (10,)
    z, noise = rows(3, 8), Recorded(3)
    whole = generator(z, noise=noise)
    assert whole.shape == (3, 3, 16, 16)
    styles = generator.mix(generator.mapping(z))
    torch.testing.assert_close(generator.synthesis(styles, Recorded(3)), whole)
    assert noise.asked == [(FIRST_LAYER_STREAM, sum(WIDTHS))]


def test_truncation(generator: Any) -> None:
    z = rows(5, 8)
    w = generator.mapping(z)
    mean = generator.style_mean
    torch.testing.assert_close(generator.truncate(w, 0.7), mean + 0.7 * (w - mean))
    assert torch.equal(generator.truncate(w, 1.0), w)
    plain = generator(z, noise=no_noise(z))
    assert torch.equal(generator(z, 1, noise=no_noise(z)), plain)
    middle = generator(z, 0.0, noise=no_noise(z))
    torch.testing.assert_close(middle, middle[:1].expand_as(middle))
    styles = generator.mix(mean.expand(1, -1))
    of_the_mean = generator.synthesis(styles, no_noise(styles))
    torch.testing.assert_close(middle[:1], of_the_mean)
    assert not torch.allclose(plain[0], plain[1])


@pytest.mark.parametrize("truncation", [float("nan"), float("inf"), "0.5", True, None])
def test_bad_truncation(generator: Any, truncation: Any) -> None:
    with pytest.raises(ConfigError, match="truncation must be a finite number, got"):
        generator(rows(2, 8), truncation)


@pytest.mark.parametrize("layer", range(LAYERS + 1))
def test_mixing(generator: Any, layer: int) -> None:
    first, second = generator.mapping(rows(2, 8)), generator.mapping(rows(2, 8, seed=1))
    mixed = generator.mix(first, second, layer)
    assert mixed.shape == (2, LAYERS, 10)
    for index in range(LAYERS):
        assert torch.equal(mixed[:, index], first if index < layer else second)
    images = [
        generator.synthesis(styles, Recorded(2))
        for styles in (mixed, generator.mix(first), generator.mix(second))
    ]
    assert torch.equal(images[0], images[1]) == (layer == LAYERS)
    assert torch.equal(images[0], images[2]) == (layer == 0)


@pytest.mark.parametrize("layer", [-1, LAYERS + 1, 2.5, True, "2"])
def test_bad_mixing_layer(generator: Any, layer: Any) -> None:
    w = generator.mapping(rows(2, 8))
    with pytest.raises(ConfigError, match=f"layer must be from 0 to {LAYERS}, got"):
        generator.mix(w, w, layer)


def test_each_layer_follows_its_own_style(generator: Any) -> None:
    """A change of one layer's style affects the layers from there on."""
    styles = generator.mix(generator.mapping(rows(1, 8))).clone()
    layers = list(generator.synthesis.layers)
    seen: list[Tensor] = []
    for layer in layers:
        layer.register_forward_hook(lambda module, inputs, output: seen.append(output))
    generator.synthesis(styles, Recorded(1))
    plain = list(seen)
    for changed in range(LAYERS):
        seen.clear()
        other = styles.clone()
        other[:, changed] += 1
        generator.synthesis(other, Recorded(1))
        same = [torch.equal(a, b) for a, b in zip(plain, seen, strict=True)]
        assert same == [index < changed for index in range(LAYERS)]


# Noise


def test_image_is_a_function_of_latent_and_noise(generator: Any) -> None:
    z = rows(3, 8)
    images = generator(z, noise=Recorded(3))
    assert torch.equal(generator(z, noise=Recorded(3)), images)
    assert not torch.allclose(generator(z, noise=Recorded(3, seed=1)), images)
    single = generator(z[1:2], noise=lambda s, w: Recorded(3)(s, w)[1:2])
    torch.testing.assert_close(single, images[1:2])
    torch.manual_seed(3)
    free = generator(z)
    torch.manual_seed(3)
    assert torch.equal(generator(z), free) and not torch.equal(generator(z), free)


def test_noise_of_the_contract(generator: Any) -> None:
    """Image i of a seed takes its noise from stream 1 of (seed, i), in any batch."""
    z = rows(4, 8)

    def source(first: int, count: int) -> Any:
        return lambda stream, width: torch.from_numpy(
            normals(7, first, count, width, stream)
        ).double()

    whole = generator(z, noise=source(0, 4))
    parts = [generator(z[i : i + 2], noise=source(i, 2)) for i in (0, 2)]
    torch.testing.assert_close(torch.cat(parts), whole)


def test_layers_share_the_noise_in_order(generator: Any) -> None:
    """Each layer gets its part of the stream, whatever resolution the network has grown to."""
    shared = rows(3, sum(WIDTHS), seed=5)
    expected = shared.split(WIDTHS, 1)
    for seen, layers in ((0, 2), (GROWN, LAYERS)):
        model, got = make("stylegan", seen).generator, []
        keep = got.append
        for layer in model.synthesis.layers:
            layer.register_forward_pre_hook(lambda _, given, keep=keep: keep(given[2]))
        model(rows(3, 8), noise=lambda stream, width: shared[:, :width])
        assert len(got) == layers
        assert all(torch.equal(a, b) for a, b in zip(got, expected, strict=False))


def test_layers_with_streams_of_their_own(generator: Any) -> None:
    """As in earlier engine files: the layers get the samples of streams 1, 2, …."""
    plain: Any = fold(generator)
    plain.synthesis.noise_widths = WIDTHS
    z, noise = rows(3, 8), Recorded(3)
    images = plain(z, noise=noise)
    streams = list(enumerate(WIDTHS, FIRST_LAYER_STREAM))
    assert noise.asked == streams and plain.noise_widths == WIDTHS
    joined = torch.cat([Recorded(3)(stream, width) for stream, width in streams], 1)
    torch.testing.assert_close(images, generator(z, noise=lambda stream, width: joined))


def test_noise_strengths_are_learned_from_zero() -> None:
    fresh: Any = registry.get("stylegan").make(SIZES | {"stable_images": 0, "fade_images": 0})
    z = torch.randn(2, 8)
    images = fresh.generator(z, noise=no_noise(z))
    assert torch.equal(fresh.generator(z), images)
    images = fresh.generator(z)
    images.square().sum().backward()
    assert all(layer.strength.grad.abs().sum() > 0 for layer in fresh.generator.synthesis.layers)


# Folding


def test_folded_generator_is_the_same_function(generator: Any) -> None:
    plain: Any = fold(generator)
    z, noise = rows(8, 8), Recorded(8)
    for truncation in (1.0, 0.5):
        expected = generator(z, truncation, noise)
        torch.testing.assert_close(plain(z, truncation, noise), expected, rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(plain.mapping(z), generator.mapping(z), rtol=1e-9, atol=1e-12)
    assert plain.layers == LAYERS and plain.noise_widths == (sum(WIDTHS),)
    assert torch.equal(plain.style_mean, generator.style_mean)
    names = {type(module).__name__ for module in plain.modules()}
    assert not {name for name in names if "Equalised" in name or "sampled" in name}
    assert set(plain.state_dict()) == {name for name, _ in plain.named_parameters()} | {
        "style_mean"
    }


def test_folding_leaves_the_generator_alone(generator: Any) -> None:
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    plain = fold(generator)
    with torch.no_grad():
        for value in plain.state_dict().values():
            value.fill_(7)
    assert all(torch.equal(value, before[name]) for name, value in generator.state_dict().items())


# Training


def spy(task: StyleTask, model: Any) -> list[Tensor]:
    """Record the styles that the synthesis network gets while the task generates."""
    styles: list[Tensor] = []
    grown = model.generator.synthesis.forward_stage

    def watch(given: Tensor, noise: Any) -> Tensor:
        styles.append(given)
        made: Tensor = grown(given, noise)
        return made

    model.generator.synthesis.forward_stage = watch
    return styles


@pytest.mark.parametrize(("seen", "layers"), [(0, 2), (200, 4), (GROWN, 6)])
def test_training_mixes_styles(seen: int, layers: int) -> None:
    model = make("stylegan", seen, mixing=0.75).float()
    task = StyleTask(Recipe())
    styles = spy(task, model)
    torch.manual_seed(0)
    with torch.no_grad():
        task.fake(model, Batch(torch.zeros(2000, 16, 16, 3, dtype=torch.uint8)))
    used = styles[0][:, :layers]
    changes = (used[:, 1:] != used[:, :-1]).any(2)
    assert int(changes.sum(1).max()) == 1, "two styles at most"
    assert float(changes.any(1).float().mean()) == pytest.approx(0.75, abs=0.04)
    share = changes.float().mean(0) / 0.75
    np.testing.assert_allclose(share.numpy(), 1 / (layers - 1), atol=0.06)


@pytest.mark.parametrize(
    ("options", "mixing"),
    [
        ({"mixing": 0.0}, 0),
        ({"mixing": 1.0}, 1),
        ({"mixing": 1.0, "mixing_from": GROWN}, 1),
        ({"mixing": 1.0, "mixing_from": GROWN + 1}, 0),
    ],
)
def test_mixing_never_or_always(options: dict[str, Any], mixing: int) -> None:
    model = make("stylegan", GROWN, **options).float()
    task = StyleTask(Recipe())
    styles = spy(task, model)
    with torch.no_grad():
        task.fake(model, Batch(torch.zeros(64, 16, 16, 3, dtype=torch.uint8)))
    changes = (styles[0][:, 1:] != styles[0][:, :-1]).any(2).sum(1)
    assert set(changes.tolist()) == {mixing}


def test_mean_of_w_is_followed_in_training_only() -> None:
    model = make("stylegan").float()
    task = StyleTask(Recipe())
    batch = Batch(torch.zeros(64, 16, 16, 3, dtype=torch.uint8))
    errors = []
    with torch.no_grad():
        before = model.generator.style_mean.clone()
        task.fake(model, batch)
        assert torch.equal(model.generator.style_mean, before)
        w = model.generator.mapping(torch.randn(20_000, 8))
        for training_steps in (0, 1000):
            model.train()
            for _ in range(training_steps):
                task.fake(model, batch)
            errors.append(float(((model.generator.style_mean - w.mean(0)) / w.std(0)).abs().max()))
    assert errors[1] < 0.1 < 1 < errors[0]


def test_samples_follow_from_the_seed(model: Any) -> None:
    model = model.float()
    task = StyleTask(Recipe())
    with torch.no_grad():
        first, second, other = (torch.cat(list(task.samples(model, 5, seed))) for seed in (1, 1, 2))
        torch.manual_seed(0)
        state = torch.get_rng_state()
        list(task.samples(model, 5, 1))
    assert torch.equal(first, second) and not torch.allclose(first, other)
    assert torch.equal(torch.get_rng_state(), state), "the run's own noise is not touched"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"style": 0}, "style must be a positive integer, got 0"),
        ({"mapping_layers": -1}, "mapping_layers must be 1 or more, up to 1000, got -1"),
        ({"mapping_rate": 0}, "mapping_rate must be positive, got 0"),
        ({"mixing": 1.5}, "mixing must be a probability of at most 1, got 1.5"),
        ({"mixing": float("nan")}, "mixing must be 0 or more, got nan"),
    ],
)
def test_bad_configs(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        registry.get("stylegan").make(SIZES | options)


def test_torch_noise_is_drawn_for_every_row() -> None:
    noise = torch_noise(torch.zeros(3, 2), torch.Generator().manual_seed(1))
    assert noise(1, 5).shape == (3, 5) and not torch.equal(noise(1, 5), noise(1, 5))
