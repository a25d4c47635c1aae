"""`/v1/models/{name}/sample`: images of a seed."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any

import numpy as np
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from runtime import SampleRequest
from zoo.images import png
from zoo.serving import answers
from zoo.serving.models import Model
from zoo.serving.parameters import (
    UINT64_MAX,
    Parameter,
    RequestError,
    choice,
    integer,
    labels,
    number,
    read_all,
)

BLOCK = 256
"""Images of an answer that are computed at a time: what a client that goes away can waste."""

FOREVER = "public, max-age=31536000, immutable"


def parameters(most: int) -> tuple[Parameter, ...]:
    """Return the parameters of a request for samples, of at most that many images."""
    word = {"type": "integer", "minimum": 0, "maximum": UINT64_MAX}
    return (
        Parameter(
            "n",
            integer(1, most),
            {"type": "integer", "minimum": 1, "maximum": most, "default": 1},
            "Number of images.",
            1,
        ),
        Parameter("seed", integer(0, UINT64_MAX), word, "Seed; the service draws one if missing."),
        Parameter(
            "first", integer(0, UINT64_MAX), {**word, "default": 0}, "Index of the first image.", 0
        ),
        Parameter(
            "labels",
            labels,
            {
                "oneOf": [
                    {"type": "string"},
                    {"type": "integer"},
                    {
                        "type": "array",
                        "minItems": 1,
                        "items": {"oneOf": [{"type": "string"}, {"type": "integer"}]},
                    },
                ]
            },
            "Classes of a conditional model, by number or name, which its images have in turn.",
        ),
        Parameter(
            "prior",
            choice("normal", "mixture"),
            {"type": "string", "enum": ["normal", "mixture"], "default": "normal"},
            "N(0, I), or the learned prior of a VAE.",
            "normal",
        ),
        Parameter(
            "truncation",
            number(0.0, 10.0),
            {"type": "number", "minimum": 0, "maximum": 10, "default": 1},
            "Moves the styles of a style-based model towards their mean.",
            1.0,
        ),
        Parameter(
            "noise",
            number(0.0, 10.0),
            {"type": "number", "minimum": 0, "maximum": 10, "default": 1},
            "Scale of the noise in the layers of a style-based model.",
            1.0,
        ),
        Parameter(
            "format",
            choice(*answers.FORMATS),
            {"type": "string", "enum": list(answers.FORMATS)},
            "png (one image), grid (a PNG of all), npy, npz, raw; by default png or grid.",
        ),
    )


class Sampler:
    """Endpoint of a model's samples. `most`: images of the largest answer."""

    def __init__(self, models: Mapping[str, Model], most: int, seconds: float | None) -> None:
        self._models = models
        self._parameters = parameters(most)
        self._seconds = seconds

    async def __call__(self, request: Request, name: str) -> Response:
        """Answer a request for images of a model. Raises RequestError, runtime.errors.Error."""
        model = self._models.get(name)
        if model is None:
            raise RequestError(f"no model {name!r}", 404)
        values = read_all(self._parameters, await read_values(request))
        fixed = values["seed"] is not None
        if not fixed:
            values["seed"] = secrets.randbits(64)
        if values["first"] > UINT64_MAX - values["n"] + 1:
            raise RequestError("first: the indices of the images must be below 2^64")
        format = values["format"] or ("png" if values["n"] == 1 else "grid")
        headers = {
            "X-Zoo-Seed": str(values["seed"]),
            "X-Zoo-First": str(values["first"]),
            "X-Zoo-Shape": answers.describe((values["n"], *model.generator.image_shape)),
        }
        if fixed and request.method in ("GET", "HEAD"):
            headers |= {"ETag": _tag(model, values, format), "Cache-Control": FOREVER}
            if headers["ETag"] in request.headers.get("If-None-Match", ""):
                return Response(status_code=304, headers=headers)
        else:
            headers["Cache-Control"] = "no-store"
        media, encode = answers.FORMATS[format]
        blocks = self._blocks(model, values)
        if values["n"] <= BLOCK:
            async with aclosing(blocks):
                images = await anext(blocks)
            return Response(encode(images), media_type=media, headers=headers)
        if format in answers.STREAMED:
            return await _stream(blocks, model, values["n"], format, headers)
        async with aclosing(blocks):
            whole = []
            async for block in blocks:
                whole.append(block)
                if await request.is_disconnected():
                    return Response(status_code=499)
        return Response(encode(np.concatenate(whole)), media_type=media, headers=headers)

    async def _blocks(
        self, model: Model, values: dict[str, Any]
    ) -> AsyncGenerator[NDArray[np.uint8], None]:
        """Yield the images, at most BLOCK at a time."""
        options = {name: values[name] for name in ("labels", "prior", "truncation", "noise")}
        if options["labels"] is not None:
            options["cycle"] = True
        for begin in range(0, values["n"], BLOCK):
            count = min(BLOCK, values["n"] - begin)
            request = SampleRequest(count, values["seed"], values["first"] + begin, **options)
            yield await model.batcher.sample(request, self._seconds)


async def _stream(
    blocks: AsyncIterator[NDArray[np.uint8]],
    model: Model,
    count: int,
    format: str,
    headers: dict[str, str],
) -> Response:
    """Answer with the images while they are computed; their number of bytes is known before."""
    shape = (count, *model.generator.image_shape)
    header = answers.npy_header(shape) if format == "npy" else b""
    # An error in the first block is an answer of its own.
    block = await anext(blocks)

    async def body() -> AsyncIterator[bytes]:
        yield header + block.tobytes()
        async for more in blocks:
            yield more.tobytes()

    headers["Content-Length"] = str(len(header) + int(np.prod(shape)))
    return StreamingResponse(body(), media_type=answers.FORMATS[format][0], headers=headers)


def _tag(model: Model, values: dict[str, Any], format: str) -> str:
    """Return the entity tag: images are a function of the model and the values alone."""
    parts = [model.identity, png.COMPRESSOR, format, *(values[name] for name in sorted(values))]
    return f'"{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]}"'


async def read_values(request: Request) -> dict[str, Any]:
    """Return the query's parameters, or those of a JSON body. Raises RequestError."""
    values: dict[str, Any] = {}
    for name, text in request.query_params.multi_items():
        if name in values:
            raise RequestError(f"{name}: expected one value, got several")
        values[name] = text
    if request.method != "POST":
        return values
    body = await request.body()
    if not body:
        return values
    kind = request.headers.get("Content-Type", "application/json").partition(";")[0].strip()
    if kind != "application/json":
        raise RequestError(f"expected a body of application/json, got {kind[:60]}", 415)
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"the body is no JSON: {error}") from None
    if not isinstance(document, dict):
        raise RequestError("the body: expected an object of JSON")
    for name in document:
        if name in values:
            raise RequestError(f"{name}: expected one value, got several")
    return values | document
