"""What the figures of images choose and compute."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from repository import ROOT
from runtime import Classifier, Generator, noise
from scripts.course import (
    arithmetic,
    charts,
    clusters,
    collapse,
    graph,
    overfitting,
    planes,
    slices,
)
from scripts.course.figures import FIGURES
from zoo import data, engine_path
from zoo.applications.clustering import Clusters
from zoo.models import registry
from zoo.training.collapse import measure_distances

PAGE = (ROOT / "docs" / "course.md").read_text("utf-8")


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_small_and_on_the_page(name: str) -> None:
    file = ROOT / "docs" / "gallery" / name
    assert f"](gallery/{name})" in PAGE
    assert file.stat().st_size <= (150_000 if name.endswith(".gif") else 80_000)


def test_a_plane_is_laid_out_by_its_distances() -> None:
    points = np.random.default_rng(0).normal(size=(20, 2))

    def distances(places: np.ndarray) -> np.ndarray:
        return np.linalg.norm(places[:, None] - places, axis=2)

    np.testing.assert_allclose(distances(graph.lay_out(distances(points))), distances(points))


def test_a_lattice_is_in_the_order_of_pixels() -> None:
    latents = np.random.default_rng(0).uniform((-1, 10), (1, 20), (20_000, 2))
    places = planes.lattice(latents, 2)
    expected = [[-0.5, 17.5], [0.5, 17.5], [-0.5, 12.5], [0.5, 12.5]]
    np.testing.assert_allclose(places, expected, atol=0.2)


def test_more_of_the_latent_space_is_unclear_without_a_prior() -> None:
    """Latents from N(0, I), by the shipped models of 32 latent values."""
    with Classifier(engine_path("fashion-classifier.onnx")) as classifier:
        shares = []
        for name in planes.MODELS:
            with Generator(engine_path(f"{name}.onnx")) as generator:
                drawn = noise.normals(0, 0, 1000, generator.latent_width)
                shares.append(planes.is_unclear(classifier, generator.decode(drawn)).mean())
        real = planes.is_unclear(classifier, data.load("fashion-mnist").test.images[:1000]).mean()
    autoencoder, vae = shares
    assert autoencoder > 2 * vae > 2 * real


def test_clusters_are_matched_with_classes() -> None:
    labels = np.array([0, 0, 0, 0, 1, 1, 2, 2])
    assignment = np.array([2, 2, 2, 0, 0, 0, 1, 1])
    nothing = np.zeros(0)
    shares, order = clusters.match(labels, Clusters(assignment, nothing, nothing, 0.0))
    assert order.tolist() == [2, 0, 1]
    np.testing.assert_array_equal(shares, [[0.75, 0.25, 0], [0, 1, 0], [0, 0, 1]])


def test_collapse_is_drawn_without_and_with_the_penalty() -> None:
    runs = collapse.read_runs()
    assert list(runs) == [0, 1]
    for rows in runs.values():
        assert [row["epoch"] for row in rows] == list(range(1, 11))
    assert all(row["modes"] < 1 for row in runs[0]) and runs[1][-1]["modes"] == 1


def test_collapsed_samples_are_more_alike() -> None:
    """The ten samples of each epoch, from the picture of the study."""
    strips = collapse.read_samples()
    runs, epochs, height, width, _ = strips.shape
    assert (runs, height, width) == (2, 28, 10 * 28 + 9 * 2) and epochs >= max(collapse.SHOWN)
    tiles = np.stack([strips[..., left : left + 28, :] for left in range(0, width, 30)], axis=2)
    nearest = np.array([[measure_distances(each)[1] for each in run] for run in tiles])
    assert (nearest[0] < 0.7 * nearest[1]).all()


def test_tables_keep_the_pixels(tmp_path: Path) -> None:
    tiles = np.random.default_rng(0).integers(0, 4, (2, 3, 5, 7, 1), np.uint8) * 60
    table = charts.draw_table(tiles, ["a", "b"], ["c", "d\ne", "f"], zoom=2)
    charts.save(table, tmp_path / "table.png")
    with Image.open(tmp_path / "table.png") as written:
        drawn = np.asarray(written.convert("L"))
    for row, column in np.ndindex(2, 3):
        tile = tiles[row, column, ..., 0].repeat(2, 0).repeat(2, 1)
        top = drawn.shape[0] - (2 - row) * (10 + charts.GAP)
        left = drawn.shape[1] - (3 - column) * (14 + charts.GAP)
        np.testing.assert_array_equal(drawn[top : top + 10, left : left + 14], tile)


def test_few_images_are_memorised_and_a_penalty_helps() -> None:
    """By r_v, equation 1 of Karras et al. 2020, of the scores that the study recorded."""
    ends = {}
    for key, rows in overfitting.read_runs().items():
        assert [row["seen"] for row in rows] == list(range(15_000, 150_001, 15_000))
        for row in rows:
            known, unknown, fake = (row[score] for score in overfitting.SCORES)
            assert row["overfitting"] == pytest.approx((known - unknown) / (known - fake))
        ends[key] = rows[-1]["overfitting"]
    few, some, many, penalised = ends
    assert few[0] < some[0] < many[0] and penalised[0] == few[0] and penalised[1] > 0
    assert ends[few] > 0.5 > ends[penalised] > ends[some] > ends[many]
    assert abs(ends[many]) < 0.05


def test_arithmetic_of_latents() -> None:
    has = np.array([[1, 1], [0, 1], [0, 0]] * 5, bool)
    latents = np.arange(30, dtype=np.float32).reshape(15, 2) ** 2
    random = np.random.default_rng(0)
    rows = [arithmetic.choose(has, kind, random) for kind in arithmetic.KINDS.values()]
    for row, remainder in zip(rows, range(3), strict=True):
        assert len(set(row)) == 3 and (row % 3 == remainder).all()
    means = [latents[row].mean(0) for row in rows]
    expected = means[0] - means[1] + means[2]
    np.testing.assert_allclose(arithmetic.combine(latents, rows), expected)


def test_pictures_keep_few_colours(tmp_path: Path) -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    charts.reduce_colours(Image.fromarray(levels), tmp_path / "grey.png")
    with Image.open(tmp_path / "grey.png") as written:
        assert written.mode == "P"
        np.testing.assert_array_equal(np.asarray(written.convert("L")), levels)


@pytest.mark.parametrize("name", planes.MODELS)
def test_planes_are_embedded_and_decoded_by_their_models(name: str) -> None:
    torch.manual_seed(0)
    model = registry.get(name).make({"latent": 2}).eval()
    images = np.random.default_rng(0).integers(0, 256, (501, 28, 28, 1), np.uint8)
    with torch.no_grad():
        encoded = model.encoder(torch.tensor(images).permute(0, 3, 1, 2) / 255)
        latents = encoded[0] if name == "vae" else encoded
        decoded = model.decoder(latents[:3])[:, 0].numpy()
    plane = planes.Plane(model, planes.embed(model, images))
    np.testing.assert_allclose(plane.latents, latents.numpy(), atol=1e-5)
    assert np.abs(plane.decode(plane.latents[:3])[..., 0] - 255 * decoded).max() <= 0.51


def test_a_slice_goes_through_three_latents() -> None:
    a, b, c = latents = np.random.default_rng(0).normal(size=(3, 5))
    plane = slices.cut(latents, np.array([-1.0, 0.0, 0.5, 1.0]))
    assert plane.shape == (4, 4, 5)
    for (row, column), expected in {
        (2, 1): a,
        (2, 3): b,
        (0, 1): c,
        (1, 2): (b + c) / 2,
        (3, 0): 3 * a - b - c,
    }.items():
        np.testing.assert_allclose(plane[row, column], expected, atol=1e-6)
