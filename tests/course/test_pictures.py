"""What the figures of images choose and compute."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from repository import ROOT
from scripts.course import (
    arithmetic,
    charts,
    clusters,
    collapse,
    graph,
    planes,
    slices,
)
from scripts.course.figures import FIGURES
from zoo.applications.clustering import Clusters
from zoo.models import registry

PAGE = (ROOT / "docs" / "course.md").read_text("utf-8")


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_small_and_on_the_page(name: str) -> None:
    file = ROOT / "docs" / "gallery" / name
    assert f"](gallery/{name})" in PAGE
    assert file.stat().st_size <= (150_000 if name.endswith(".gif") else 60_000)


def test_a_plane_is_laid_out_by_its_distances() -> None:
    points = np.random.default_rng(0).normal(size=(20, 2))

    def distances(places: np.ndarray) -> np.ndarray:
        return np.linalg.norm(places[:, None] - places, axis=2)

    np.testing.assert_allclose(distances(graph.lay_out(distances(points))), distances(points))


def test_gaps_are_far_from_all_latents() -> None:
    latents = np.random.default_rng(0).uniform(size=(20_000, 2))
    latents = latents[np.linalg.norm(latents - [0.3, 0.7], axis=1) > 0.2]
    first, second = planes.find_gaps(latents, 2)
    np.testing.assert_allclose(first, [0.3, 0.7], atol=0.05)
    assert np.linalg.norm(first - second) > 0.05


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


def test_planes_are_embedded_and_decoded_by_their_models() -> None:
    torch.manual_seed(0)
    model = registry.get("undercomplete-ae").make({"latent": 2}).eval()
    images = np.random.default_rng(0).integers(0, 256, (501, 28, 28, 1), np.uint8)
    with torch.no_grad():
        encoded = model.encoder(torch.tensor(images).permute(0, 3, 1, 2) / 255)
        decoded = model.decoder(encoded[:3])[:, 0].numpy()
    plane = planes.Plane(model, planes.embed(model, images))
    np.testing.assert_allclose(plane.latents, encoded.numpy(), atol=1e-5)
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
