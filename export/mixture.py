"""Learned priors: Gaussian mixtures fitted to the aggregate posterior of a VAE.

The latents of encoded images, h = mu + sigma * eps, are distributed as the aggregate posterior,
which differs from N(0, I), so samples from N(0, I) include latents that the decoder was never
trained on (Tomczak & Welling 2018, "VAE with a VampPrior"; Ghosh et al. 2020, "From variational to
deterministic autoencoders", which fits a mixture after training, as here).
"""

from __future__ import annotations

import base64
import warnings
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.errors import ExportError

Array = NDArray[np.float64]

STREAM = 68
"""Noise stream of the component of each image: one value from N(0, 1)."""

CANDIDATES = ((10, "full"), (25, "full"), (50, "full"), (50, "diag"))
"""Numbers of components to choose from, and the kind of their covariances."""

LATENTS = 20_000
"""Greatest number of latents of a fit."""

SEED = 0
ROUNDS = 60
LEAST_VARIANCE = 1e-3
"""Added to all variances, so that no component collapses."""

LARGEST_HALF = float(np.finfo(np.float16).max)


@dataclass(frozen=True)
class GaussianMixture:
    """A mixture of K Gaussians in D dimensions.

    Attributes:
        weights: [K], positive, of sum 1.
        means: [K, D].
        scales: lower triangular factors L of the covariances L·Lᵀ, [K, D, D]; or standard
            deviations [K, D].
    """

    weights: Array
    means: Array
    scales: Array

    @property
    def is_full(self) -> bool:
        """True if the covariances are full, False if they are diagonal."""
        return self.scales.ndim == 3

    @property
    def thresholds(self) -> NDArray[np.float32]:
        """Ascending thresholds [K - 1]: a value z from N(0, 1) selects the number of them below it.

        They are the quantiles of N(0, 1) at the sums of the weights.
        """
        sums = np.cumsum(self.weights)[:-1]
        return np.array([NormalDist().inv_cdf(min(value, 1 - 1e-9)) for value in sums], np.float32)

    def transform(self, standard: NDArray[Any], choice: NDArray[Any]) -> NDArray[np.float32]:
        """Return latents [n, D] from values of N(0, I), [n, D], and of N(0, 1), [n].

        The second selects the component k: h = mean_k + L_k · eps.
        """
        k = (choice[:, None] > self.thresholds).sum(1)
        eps = standard.astype(np.float64)
        moved = (
            np.einsum("nij,nj->ni", self.scales[k], eps) if self.is_full else self.scales[k] * eps
        )
        return (self.means[k] + moved).astype(np.float32)

    def fields(self) -> dict[str, Any]:
        """Return the field `latent.mixture` of the manifest.

        `parameters` are the means and then the scales in half precision, little-endian, in base64;
        of full scales the lower triangles, row by row.
        """
        scales = self.scales
        if self.is_full:
            rows, columns = np.tril_indices(self.means.shape[1])
            scales = scales[:, rows, columns]
        values = np.concatenate([self.means.ravel(), scales.ravel()]).astype("<f2")
        return {
            "stream": STREAM,
            "covariance": "full" if self.is_full else "diagonal",
            "thresholds": [float(value) for value in self.thresholds],
            "parameters": base64.b64encode(values.tobytes()).decode(),
        }


def choose(latents: Array, held_out: Array) -> GaussianMixture | None:
    """Fit the mixtures of `CANDIDATES` by expectation maximisation, and return the best.

    The best has the highest likelihood of the held-out latents. Its means and scales are rounded to
    half precision. Returns None if there are fewer than ten latents for each component.

    Args:
        latents: [n, D], of which the first `LATENTS` are used.
        held_out: [m, D], of other images.

    Raises:
        ExportError: the latents do not fit half precision.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture as Fit

    best: Any = None
    score = -np.inf
    for components, kind in CANDIDATES:
        if len(latents) < 10 * components or not len(held_out):
            continue
        model = Fit(components, covariance_type=kind, reg_covar=LEAST_VARIANCE, max_iter=ROUNDS)
        with warnings.catch_warnings():
            # More rounds change the images little.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.set_params(random_state=SEED).fit(latents[:LATENTS])
        if (likelihood := model.score(held_out)) > score:
            best, score = model, likelihood
    if best is None:
        return None
    full = best.covariance_type == "full"
    scales = np.linalg.cholesky(best.covariances_) if full else np.sqrt(best.covariances_)
    if max(float(np.abs(values).max()) for values in (best.means_, scales)) > LARGEST_HALF:
        raise ExportError("the latents of the training images do not fit half precision")
    means, scales = (
        values.astype(np.float16).astype(np.float64) for values in (best.means_, scales)
    )
    return GaussianMixture(best.weights_, means, scales)
