"""A batcher: many requests in few runs, each answered as if it were alone."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any

import numpy as np
import pytest

from backends import BACKENDS
from runtime import Batcher, DecodeRequest, Generator, SampleRequest
from runtime.errors import (
    ArgumentError,
    BusyError,
    ClosedError,
    DeadlineError,
)
from zoo import engine_path


def run(main: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(main, 120))


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def vae() -> Iterator[Generator]:
    with Generator(engine_path("vae.onnx"), backend="native", instances=2) as generator:
        yield generator


def requests_of(name: str, count: int) -> list[SampleRequest | DecodeRequest]:
    """Requests of all kinds that an engine knows, of 1 to 40 images."""
    random = np.random.default_rng(3)
    with Generator(engine_path(f"{name}.onnx"), backend="native", instances=1) as generator:
        width, classes, priors = generator.latent_width, generator.class_count, generator.priors
        styles = generator.style_layers
    made: list[SampleRequest | DecodeRequest] = []
    for index in range(count):
        n = int(random.choice([1, 1, 1, 2, 5, 16, 40]))
        options: dict[str, Any] = {}
        if classes and index % 2:
            options["labels"] = random.integers(0, classes, n)
        if styles and index % 3 == 0:
            options["truncation"] = 0.7
        if index % 4 == 3:
            latents = random.normal(size=(n, width)).astype(np.float32)
            if index % 8 == 3:
                options |= {"seed": index, "first": 2**63}
            made.append(DecodeRequest(latents, **options))
            continue
        if "mixture" in priors and index % 5 == 0:
            options["prior"] = "mixture"
        if index % 6 == 0:
            options["keys"] = random.integers(0, 2**64 - 1, (n, 2), np.uint64)
        else:
            options |= {"seed": int(random.integers(0, 3)), "first": int(random.integers(0, 50))}
        made.append(SampleRequest(n, **options))
    return made


@pytest.mark.parametrize("name", ["vae", "cgan", "stylegan"])
def test_every_request_is_answered_as_if_it_were_alone(name: str, backend: str) -> None:
    requests = requests_of(name, 60)
    with Generator(engine_path(f"{name}.onnx"), backend=backend) as generator:

        async def ask() -> tuple[list[Any], Any]:
            batcher = Batcher(generator, images=24, delay=0.01)
            calls = [
                batcher.sample(request)
                if isinstance(request, SampleRequest)
                else batcher.decode(request)
                for request in requests
            ]
            answers = await asyncio.gather(*calls)
            await batcher.close()
            return answers, batcher.statistics()

        answers, statistics = run(ask())
        for request, answer in zip(requests, answers, strict=True):
            alone = (
                generator.sample(request)
                if isinstance(request, SampleRequest)
                else generator.decode(request)
            )
            assert np.array_equal(answer, alone), request
        images = sum(len(answer) for answer in answers)
        assert statistics.images == images and statistics.waiting == 0
        assert sum(statistics.run_sizes) == statistics.runs < len(requests)
        # No run has more than 24 images: buckets up to 17 to 32.
        assert len(statistics.run_sizes) <= 6


def test_small_requests_pass_a_large_one(vae: Generator) -> None:
    order: list[int] = []

    async def ask() -> None:
        batcher = Batcher(vae, images=16, queue=5000)

        async def one(n: int) -> None:
            images = await batcher.sample(SampleRequest(n, seed=n))
            order.append(n)
            assert np.array_equal(images, vae.sample(n, seed=n))

        await asyncio.gather(one(4000), one(1), one(2), one(3))
        await batcher.close()

    run(ask())
    assert sorted(order[:3]) == [1, 2, 3] and order[3] == 4000


def test_too_many_images_are_refused_and_the_others_unharmed(vae: Generator) -> None:
    async def ask() -> None:
        batcher = Batcher(vae, images=4, delay=0.2, queue=8)
        first = asyncio.ensure_future(batcher.sample(SampleRequest(3, seed=1)))
        await asyncio.sleep(0)
        # 3 wait, so that 5 more may.
        with pytest.raises(BusyError, match="the batcher is busy: 3 images wait, at most 8 may"):
            await batcher.sample(SampleRequest(6))
        assert np.array_equal(await first, vae.sample(3, seed=1))
        # More than may wait, but nothing else does.
        assert len(await batcher.sample(SampleRequest(100))) == 100
        assert batcher.statistics().rejected == 1
        await batcher.close()

    run(ask())


def test_deadlines(vae: Generator) -> None:
    async def ask() -> None:
        batcher = Batcher(vae, images=64, delay=0.05)
        with pytest.raises(DeadlineError, match="the deadline of the request has passed"):
            await batcher.sample(SampleRequest(1), timeout=0)
        with pytest.raises(TimeoutError):
            await batcher.decode(DecodeRequest(np.zeros((1, vae.latent_width))), timeout=1e-9)
        assert len(await batcher.sample(SampleRequest(2), timeout=60)) == 2
        assert len(await batcher.sample(SampleRequest(2), timeout=1e300)) == 2
        assert batcher.statistics().expired == 2
        for timeout in (-1, "1", float("-inf"), True):
            with pytest.raises(ArgumentError, match="timeout"):
                await batcher.sample(SampleRequest(1), timeout=timeout)
        await batcher.close()

    run(ask())


def test_a_cancelled_call_computes_no_further_image(vae: Generator) -> None:
    async def ask() -> None:
        batcher = Batcher(vae, images=16, queue=200_000)
        large = asyncio.ensure_future(batcher.sample(SampleRequest(100_000)))
        other = asyncio.ensure_future(batcher.sample(SampleRequest(5, seed=2)))
        assert np.array_equal(await other, vae.sample(5, seed=2))
        large.cancel()
        with pytest.raises(asyncio.CancelledError):
            await large
        await batcher.close()
        statistics = batcher.statistics()
        assert statistics.cancelled == 1 and statistics.images < 50_000
        assert statistics.waiting == 0

    run(ask())


@pytest.mark.parametrize("finish", [True, False])
def test_closing_finishes_what_was_accepted_or_cancels_it(vae: Generator, finish: bool) -> None:
    async def ask() -> None:
        batcher = Batcher(vae, images=8)
        calls = [
            asyncio.ensure_future(batcher.sample(SampleRequest(4, seed=seed)))
            for seed in range(500)
        ]
        await asyncio.sleep(0)
        await batcher.close(finish)
        with pytest.raises(ClosedError, match="the batcher was closed"):
            await batcher.sample(SampleRequest(1))
        answers = await asyncio.gather(*calls, return_exceptions=True)
        failed = [answer for answer in answers if isinstance(answer, Exception)]
        assert all(str(error) == "the batcher was closed" for error in failed)
        assert bool(failed) is not finish
        for seed, answer in enumerate(answers):
            if isinstance(answer, np.ndarray):
                assert np.array_equal(answer, vae.sample(4, seed=seed))
        await batcher.close()

    run(ask())


def test_a_bad_request_fails_alone(vae: Generator) -> None:
    async def ask() -> None:
        batcher = Batcher(vae, delay=0.02)
        good = asyncio.ensure_future(batcher.sample(SampleRequest(3, seed=9)))
        width = vae.latent_width
        bad: list[SampleRequest] = [
            SampleRequest(0),
            SampleRequest(1, seed=-1),
            SampleRequest(1, labels=3),
            SampleRequest(1, truncation=0.5),
            SampleRequest(2, keys=[(0, 1)]),
            SampleRequest(1, seed=2, keys=[(0, 1)]),
            SampleRequest(1, mu=np.zeros(width), logvar=np.zeros(width)),
            SampleRequest(1, prior="uniform"),
            SampleRequest(1, out=np.empty((1, *vae.image_shape), np.uint8)),
        ]
        for request in bad:
            with pytest.raises(ArgumentError):
                await batcher.sample(request)
        with pytest.raises(ArgumentError, match="latents"):
            await batcher.decode(DecodeRequest(np.full((1, width), np.nan)))
        assert np.array_equal(await good, vae.sample(3, seed=9))
        await batcher.close()

    run(ask())


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"images": 0}, "images"),
        ({"images": 1.5}, "images"),
        ({"queue": 0}, "queue"),
        ({"delay": -1}, "delay"),
        ({"delay": 1e9}, "delay"),
        ({"delay": float("nan")}, "delay"),
    ],
)
def test_bad_options(vae: Generator, options: dict[str, Any], name: str) -> None:
    with pytest.raises(ArgumentError, match=name):
        Batcher(vae, **options)
    with pytest.raises(ArgumentError, match="generator"):
        Batcher(engine_path("vae.onnx"))  # type: ignore[arg-type]


def test_a_batcher_that_is_dropped_ends_its_threads(vae: Generator) -> None:
    async def ask() -> None:
        batcher = Batcher(vae, images=2, queue=20_000)
        call = asyncio.ensure_future(batcher.sample(SampleRequest(10_000)))
        await asyncio.sleep(0.01)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        del batcher

    run(ask())
    assert len(vae.sample(2)) == 2
