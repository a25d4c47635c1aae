"""The page's search for a latent, without a browser: known answers, classes, ends and errors."""

from __future__ import annotations

import numpy as np
import pytest

from javascript import evaluate
from runtime import noise

MAKE = """
  const { weights, width, classes } = input;
  const decoded = (latent, label) => Uint8Array.from(weights, (row) => {
    const sum = row.reduce((total, weight, i) => total + weight * latent[i], 0);
    return Math.max(0, Math.min(255, Math.round(input.middle + sum + 40 * label)));
  });
  let most = 0, made = 0;
  const decode = async (latents, labels) => {
    most = Math.max(most, labels.length);
    made += labels.length;
    const rows = labels.map((label, row) =>
      decoded(latents.subarray(row * width, (row + 1) * width), label));
    return { data: Uint8Array.from(rows.flatMap((row) => [...row])) };
  };
  const start = (i) => ({ latent: noise.normals(5n, BigInt(i), width), label: i % classes });
  const search = (more) => invert.invert({
    target: Uint8Array.from(input.target), width, scale: new Array(width).fill(1), decode, start,
    seen: () => false, ...more });
"""


def problem(width: int = 12, pixels: int = 300, **more: object) -> dict[str, object]:
    weights = np.random.default_rng(3).normal(0, 12, (pixels, width))
    return {"weights": weights.tolist(), "width": width, "classes": 1, "middle": 128, **more}


def image(known: dict[str, object], latent: np.ndarray, label: int = 0) -> np.ndarray:
    levels = np.array(known["weights"]) @ latent + known["middle"] + 40 * label
    return np.clip(np.round(levels), 0, 255).astype(np.uint8)


def test_the_latent_of_an_image_is_found() -> None:
    known = problem()
    latent = noise.normals(11, 3, 1, 12)[0]
    target = image(known, latent)
    body = (
        MAKE
        + """
      const found = await search({});
      return { ...found, made, most };
    """
    )
    got = evaluate(["invert", "noise"], body, target=target.tolist(), **known)
    np.testing.assert_allclose(got["latent"], latent, atol=0.05)
    mine = image(known, np.array(got["latent"])).astype(float)
    assert got["error"] == pytest.approx(np.mean((mine - target) ** 2)) and got["error"] < 1
    assert got["images"] == got["made"] and got["most"] <= 64
    samples = noise.normals(5, 0, 1024, 12)
    best = min(np.mean((image(known, each).astype(float) - target) ** 2) for each in samples)
    assert best > 50


def test_an_image_out_of_reach_is_approached_as_by_least_squares() -> None:
    known = problem()
    random = np.random.default_rng(1)
    latent = random.normal(size=12)
    target = np.clip(image(known, latent).astype(int) + random.integers(-25, 26, 300), 0, 255)
    body = MAKE + "return search({ given: { latent: new Float32Array(width), label: 0 } });"
    got = evaluate(["invert", "noise"], body, target=target.tolist(), **known)
    # With weights that seldom leave the range, an ordinary least squares problem.
    inside = (target > 0) & (target < 255)
    weights = np.array(known["weights"])[inside]
    solution = np.linalg.lstsq(weights, target[inside] - 128.0, rcond=None)[0]
    optimum = np.mean((image(known, solution).astype(float) - target) ** 2)
    assert got["error"] < 1.02 * optimum and optimum > 100


def test_the_class_is_found_too() -> None:
    known = problem(classes=3, middle=88)
    target = image(known, noise.normals(11, 3, 1, 12)[0], label=2)
    got = evaluate(
        ["invert", "noise"], MAKE + "return search({});", target=target.tolist(), **known
    )
    assert got["label"] == 2 and got["error"] < 1


def test_a_search_is_reported_and_ends_when_told_to() -> None:
    known = problem()
    target = image(known, noise.normals(11, 3, 1, 12)[0])
    body = (
        MAKE
        + """
      const all = [], few = [];
      await search({ seen: (now) => { all.push([now.phase, now.share, now.error]); } });
      const told = await search({ seen: (now) => few.push(now.error) === 5 });
      return { all, few, told };
    """
    )
    got = evaluate(["invert", "noise"], body, target=target.tolist(), **known)
    shares = [share for _, share, _ in got["all"]]
    errors = [error for _, _, error in got["all"]]
    assert shares == sorted(shares) and shares[-1] <= 1
    assert errors == sorted(errors, reverse=True)
    assert got["all"][0][0] == "Trying samples" and got["all"][-1][0] == "Nearing the picture"
    assert len(got["few"]) == 5 and got["told"]["error"] == got["few"][-1]
    assert got["told"]["images"] == 5 * 64


def test_searches_that_cannot_succeed() -> None:
    """A decoder that always makes the same image; one that fails; one that is right at once."""
    known = problem()
    flat = {**known, "weights": np.zeros((300, 12)).tolist()}
    target = np.full(300, 100).tolist()
    got = evaluate(["invert", "noise"], MAKE + "return search({});", target=target, **flat)
    assert got["error"] == 28**2 and np.isfinite(got["latent"]).all()
    body = (
        MAKE
        + """
      const failing = async () => { throw new Error("gone"); };
      return search({ decode: failing }).then(() => "", (error) => error.message);
    """
    )
    assert evaluate(["invert", "noise"], body, target=target, **known) == "gone"
    first = image(known, noise.normals(5, 3, 1, 12)[0])
    got = evaluate(["invert", "noise"], MAKE + "return search({});", target=first.tolist(), **known)
    assert got["error"] == 0 and got["images"] == 64
