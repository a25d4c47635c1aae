"""Features from a classifier's engine file, computed by plain ONNX Runtime without PyTorch."""

from __future__ import annotations

import numpy as np

from runtime import manifest
from runtime.errors import EngineFileError
from zoo.engines import resolve
from zoo.errors import ConfigError
from zoo.evaluation.fitting import FRAME, fit
from zoo.evaluation.networks import (
    BATCH,
    FeatureNetwork,
    Features,
    Images,
    Probabilities,
    file_identity,
)

OUTPUTS = ["features", "scores"]


class EngineFeatures(FeatureNetwork):
    """Feature network in a classifier engine with the output `features`.

    The scores of a classifier of classes are its probabilities; those of attributes are not used.

    engine: its file, or a shipped name; threads: per run (None: one per core). Raises the errors of
    `zoo.engines.resolve` and `runtime.manifest.verify`, and `ConfigError` for another engine.
    """

    def __init__(self, engine: str, threads: int | None = None) -> None:
        import onnxruntime

        path = resolve(engine)
        document = manifest.verify(path)
        if document["role"] != "classifier":
            raise ConfigError(
                f"features {engine}: expected a classifier, got the {document['role']} "
                f"of {document['model']}"
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0
        options.log_severity_level = 4
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise EngineFileError(f"ONNX Runtime cannot load {path}: {error}") from error
        outputs = {output.name: output for output in self._session.get_outputs()}
        if "features" not in outputs:
            raise ConfigError(f"features {engine}: expected a graph with the output features")
        image = document["image"]
        self.name = str(document["model"])
        self.identity = file_identity(path)
        self.width = int(outputs["features"].shape[1])
        scores = document["scores"]
        self.classes = tuple(scores["names"]) if scores["kind"] == "classes" else ()
        self._size, self._channels = int(image["height"]), int(image["channels"])
        self.input = f"{self._size}×{self._size}×{self._channels}, a frame cut off, else resized"

    def _measure(self, images: Images) -> tuple[Features, Probabilities | None]:
        fitted = fit(images, self._size, self._channels, FRAME)
        parts = [
            self._session.run(OUTPUTS, {"image": np.ascontiguousarray(fitted[row : row + BATCH])})
            for row in range(0, len(fitted), BATCH)
        ]
        features, scores = (np.concatenate(part) for part in zip(*parts, strict=True))
        return features, scores if self.classes else None
