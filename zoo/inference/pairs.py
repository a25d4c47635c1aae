"""An encoder and the generator that decodes its latents, if there is one."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from runtime import Encoder, Generator
from runtime.errors import EngineNotFoundError
from zoo import plans
from zoo.engines import ONNX, open_encoder_for, open_generator
from zoo.errors import ConfigError

_ENCODER = ".encoder"


class Pair:
    """The encoder of a model and its generator, or None; use it in a with statement.

    `name` is the file or shipped name of either; `options` are those of runtime.Generator. Raises
    the errors of zoo.engines.open_generator and open_encoder_for.
    """

    def __init__(self, name: str, **options: Any) -> None:
        with ExitStack() as stack:
            self.encoder: Encoder = stack.enter_context(open_encoder_for(name, **options))
            self.generator: Generator | None = None
            beside = find_generator(Path(self.encoder.path))
            if beside.is_file():
                if plans.is_built(Path(self.encoder.path)):
                    beside = beside.with_suffix(plans.SUFFIX)
                self.generator = stack.enter_context(open_generator(str(beside), **options))
                check_pair(self.encoder, self.generator)
            self._open = stack.pop_all()

    @property
    def title(self) -> str:
        """File name of the generator, or of the encoder without one."""
        return Path((self.generator or self.encoder).path).name

    def decoder(self) -> Generator:
        """Return the generator; raises EngineNotFoundError if there is none."""
        if self.generator is None:
            beside = find_generator(Path(self.encoder.path))
            raise EngineNotFoundError(
                f"{Path(self.encoder.path).name} needs its generator to make images, but "
                f"{beside} does not exist"
            )
        return self.generator

    def __enter__(self) -> Pair:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.__exit__(kind, error, trace)


def find_generator(encoder: Path) -> Path:
    """Return the path of an encoder's generator: `vae.encoder.onnx` → `vae.onnx`.

    The generator of a plan may be a plan or an `.onnx` engine.
    """
    same = encoder.with_name(f"{encoder.stem.removesuffix(_ENCODER)}{encoder.suffix}")
    return same if same.is_file() else same.with_suffix(ONNX)


def check_pair(encoder: Encoder, generator: Generator) -> None:
    """Raise ConfigError for an encoder of another latent width or image shape."""
    for name in ("latent_width", "image_shape"):
        ours, theirs = getattr(encoder, name), getattr(generator, name)
        if ours != theirs:
            raise ConfigError(
                f"{encoder.path} and {generator.path} belong to different models: {name} is "
                f"{ours} and {theirs}"
            )
