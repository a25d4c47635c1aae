"""Generator and Encoder on the shipped engine: the same image however it is asked for."""

import dataclasses
import inspect
import math
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import runtime
import zoo
from backends import BACKENDS
from programs import prints, run_python
from runtime.errors import (
    ArgumentError,
    BackendUnavailableError,
    ClosedError,
    DeviceUnavailableError,
    EngineNotFoundError,
)

SEED = 2**63 + 5


@pytest.fixture(scope="module")
def engine() -> Path:
    return zoo.engine_path("vae.onnx")


@pytest.fixture(scope="module", params=BACKENDS)
def generator(engine: Path, request: pytest.FixtureRequest):
    with runtime.Generator(engine, backend=request.param, instances=2) as generator:
        yield generator


@pytest.fixture(scope="module")
def thousand(generator: runtime.Generator) -> np.ndarray:
    return generator.sample(1000, seed=SEED)


def test_images_look_like_the_manifest_says(generator: runtime.Generator) -> None:
    images = generator.sample(3)
    assert images.shape == (3, *generator.image_shape) == (3, 28, 28, 1)
    assert images.dtype == np.uint8
    # Clothes on black: neither blank nor noise.
    assert images.max() > 100 and np.median(images[:, :2]) < 20


@pytest.mark.parametrize("batch", [1, 7, 64, 1000])
def test_batch_does_not_change_images(
    generator: runtime.Generator, thousand: np.ndarray, batch: int
) -> None:
    assert np.array_equal(generator.sample(1000, seed=SEED, batch=batch), thousand)


@pytest.mark.parametrize("instances", [1, 4])
def test_instances_do_not_change_images(
    generator: runtime.Generator, thousand: np.ndarray, instances: int
) -> None:
    with runtime.Generator(generator.path, backend=generator.backend, instances=instances) as other:
        assert other.instances == instances
        assert np.array_equal(other.sample(200, seed=SEED), thousand[:200])
        assert np.array_equal(other.sample(200, seed=SEED, batch=3), thousand[:200])


def test_a_run_can_be_split_and_resumed(generator: runtime.Generator, thousand: np.ndarray) -> None:
    for first, n in ((0, 1), (1, 15), (16, 1), (17, 100), (999, 1)):
        part = generator.sample(n, seed=SEED, first=first)
        assert np.array_equal(part, thousand[first : first + n])


def test_last_index_of_all(generator: runtime.Generator) -> None:
    last = generator.sample(2, first=2**64 - 2)
    assert np.array_equal(generator.sample(1, first=2**64 - 1), last[1:])
    with pytest.raises(ArgumentError, match="64 bits"):
        generator.sample(3, first=2**64 - 2)


@pytest.mark.parametrize("batch", [None, 1, 7, 64])
def test_stream_equals_sample(
    generator: runtime.Generator, thousand: np.ndarray, batch: int | None
) -> None:
    with generator.stream(300, seed=SEED, first=100, batch=batch) as stream:
        batches = list(stream)
    assert np.array_equal(np.concatenate(batches), thousand[100:400])
    if batch:
        assert {len(part) for part in batches[:-1]} == {batch}


def test_stream_closed_early(generator: runtime.Generator) -> None:
    stream = generator.stream(10**9, batch=16)
    first = next(stream)
    stream.close()
    stream.close()
    assert np.array_equal(first, generator.sample(16))
    with pytest.raises(ClosedError):
        next(stream)


def test_stream_computes_a_bounded_number_ahead(generator: runtime.Generator) -> None:
    """A stream that nobody reads stops working; what it holds does not grow."""
    import psutil

    with generator.stream(10**9, batch=16) as stream:
        next(stream)
        time.sleep(0.3)
        process = psutil.Process()
        before = process.cpu_times().user
        time.sleep(0.5)
        assert process.cpu_times().user - before < 0.25


def test_threads_share_a_generator(generator: runtime.Generator, thousand: np.ndarray) -> None:
    def work(index: int) -> bool:
        first = index * 37
        got = generator.sample(50, seed=SEED, first=first, batch=1 + index % 9)
        return np.array_equal(got, thousand[first : first + 50])

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(24)))


def test_the_gil_is_released(generator: runtime.Generator) -> None:
    ticks = 0
    done = threading.Event()

    def tick() -> None:
        nonlocal ticks
        while not done.is_set():
            ticks += 1
            time.sleep(0.001)

    thread = threading.Thread(target=tick)
    thread.start()
    generator.sample(3000)
    done.set()
    thread.join()
    assert ticks > 10


def test_decode_of_the_drawn_noise_is_sample(
    generator: runtime.Generator, thousand: np.ndarray
) -> None:
    latents = runtime.noise.normals(SEED, 0, 100, generator.latent_width)
    assert np.array_equal(generator.decode(latents), thousand[:100])


def test_posterior_sampling(generator: runtime.Generator) -> None:
    rng = np.random.default_rng(0)
    mu = rng.normal(size=(10, generator.latent_width)).astype(np.float32)
    logvar = rng.normal(size=mu.shape).astype(np.float32)
    h = runtime.ops.reparametrized_sample(mu, logvar, seed=3, first=20)
    got = generator.sample(10, seed=3, first=20, mu=mu, logvar=logvar)
    assert np.array_equal(got, generator.decode(h))
    one = generator.sample(10, seed=3, first=20, mu=mu[0], logvar=logvar[0])
    h = runtime.ops.reparametrized_sample(
        np.tile(mu[0], (10, 1)), np.tile(logvar[0], (10, 1)), seed=3, first=20
    )
    assert np.array_equal(one, generator.decode(h))


@pytest.mark.parametrize("mode", ["linear", "spherical"])
def test_interpolate(generator: runtime.Generator, mode: str) -> None:
    a, b = runtime.noise.normals(1, 0, 6, generator.latent_width).reshape(2, 3, -1)
    images = generator.interpolate(a, b, steps=10, mode=mode)
    assert images.shape == (3, 11, *generator.image_shape)
    h = runtime.ops.batched_interpolate(a, b, np.arange(11) / 10, mode)
    assert np.array_equal(images, generator.decode(h.reshape(33, -1)).reshape(images.shape))
    assert np.array_equal(images[:, 0], generator.decode(a))
    assert np.array_equal(images[:, 10], generator.decode(b))
    assert np.array_equal(generator.interpolate(a[0], b[0], 10, mode), images[0])


def test_backends_agree(engine: Path) -> None:
    """The stated tolerance across backends: one grey level, in fewer than 1 in 1,000 values."""
    by_backend = [
        runtime.Generator(engine, backend=name).sample(500, seed=1).astype(int) for name in BACKENDS
    ]
    for images in by_backend[1:]:
        difference = np.abs(images - by_backend[0])
        assert difference.max() <= 1
        assert np.mean(difference > 0) < 1e-3


def test_bf16_is_close_and_batch_invariant(engine: Path) -> None:
    try:
        generator = runtime.Generator(engine, backend="openvino", precision="bf16")
    except BackendUnavailableError as error:
        assert "bf16" in str(error) and "CPU" in str(error)
        return
    images = generator.sample(200, seed=2)
    assert np.array_equal(generator.sample(200, seed=2, batch=7), images)
    exact = runtime.Generator(engine, backend="openvino").sample(200, seed=2)
    mse = np.mean((images.astype(float) - exact) ** 2)
    assert 10 * np.log10(255**2 / max(mse, 1e-9)) > 40


@pytest.mark.parametrize("backend", BACKENDS)
def test_encoder(engine: Path, generator: runtime.Generator, backend: str) -> None:
    encoder = runtime.Encoder(engine.with_suffix(".encoder.onnx"), backend=backend)
    images = generator.sample(70, seed=4)
    mu, logvar = encoder.encode(images)
    assert mu.shape == logvar.shape == (70, encoder.latent_width)
    assert mu.dtype == logvar.dtype == np.float32
    for rows in (1, 3, 70):
        part_mu, part_logvar = encoder.encode(images[:rows])
        assert np.array_equal(part_mu, mu[:rows])
        assert np.array_equal(part_logvar, logvar[:rows])
    # A sample, encoded and decoded, comes back as a similar picture.
    back = generator.decode(mu).astype(float)
    error = np.mean(np.abs(back - images))
    other = np.mean(np.abs(np.roll(back, 1, axis=0) - images))
    assert error < 0.5 * other


def test_a_posterior_of_other_rows(generator: runtime.Generator) -> None:
    """test_arguments.py passes bad values of every kind to every argument."""
    rows = np.zeros((3, generator.latent_width))
    with pytest.raises(ArgumentError, match="both or neither"):
        generator.sample(3, mu=rows)
    with pytest.raises(ArgumentError, match="mu"):
        generator.sample(2, mu=rows, logvar=rows)


def test_options_that_are_not_available(engine: Path) -> None:
    with pytest.raises(DeviceUnavailableError, match="cuda:0"):
        runtime.Generator(engine, device="cuda:0")
    with pytest.raises(BackendUnavailableError, match="openvino"):
        runtime.Generator(engine, backend="onnxruntime", precision="bf16")
    with pytest.raises(EngineNotFoundError, match="nowhere.onnx"):
        runtime.Generator("nowhere.onnx")


def test_closed(engine: Path) -> None:
    generator = runtime.Generator(engine)
    generator.close()
    generator.close()
    with pytest.raises(ClosedError):
        generator.sample(1)
    assert "closed" in repr(generator)


@pytest.mark.parametrize("backend", BACKENDS)
def test_fork(engine: Path, backend: str) -> None:
    """Children of a process with a live generator, and with a live stream, go on by themselves."""
    prints(
        "both",
        f"""
        import os, signal, numpy as np, runtime
        g = runtime.Generator({str(engine)!r}, backend={backend!r})
        expected = g.sample(200)
        stream = g.stream(200, batch=8)
        parts = [next(stream)]
        pid = os.fork()
        signal.alarm(60)
        assert np.array_equal(g.sample(50), expected[:50])
        assert np.array_equal(np.concatenate(parts + list(stream)), expected)
        fresh = runtime.Generator({str(engine)!r}, backend={backend!r})
        assert np.array_equal(fresh.sample(50), expected[:50])
        if pid == 0:
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
        print("both")
        """,
    )


@pytest.mark.parametrize("backend", BACKENDS)
def test_ctrl_c(engine: Path, backend: str) -> None:
    """SIGINT ends a long call with KeyboardInterrupt, and the generator stays usable."""
    prints(
        "interrupted\ninterrupted",
        f"""
        import os, signal, threading, runtime
        g = runtime.Generator({str(engine)!r}, backend={backend!r})
        expected = g.sample(20)
        for call in (lambda: g.sample(5_000_000), lambda: list(g.stream(10**9, batch=8))):
            threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
            try:
                call()
            except KeyboardInterrupt:
                print("interrupted")
        assert (g.sample(20) == expected).all()
        """,
    )


def test_missing_libraries_are_named(engine: Path, tmp_path: Path) -> None:
    code = f"""
        import runtime
        try:
            runtime.Generator({str(engine)!r}, backend="onnxruntime")
        except runtime.errors.BackendUnavailableError as error:
            print(error)
    """
    missing = {"ZOO_ONNXRUNTIME_LIBRARY": str(tmp_path / "libonnxruntime.so")}
    done = run_python(code, env=os.environ | missing)
    assert "libonnxruntime.so" in done.stdout, done.stderr
    backends = run_python(
        "import runtime; print(runtime.backends()['openvino'])",
        env=os.environ | {"ZOO_OPENVINO_LIBRARIES": str(tmp_path)},
    )
    assert "unavailable: OpenVINO is not installed" in backends.stdout, backends.stderr


def test_names_are_imported_when_they_are_used() -> None:
    """A program that makes one image imports no more than that takes."""
    done = run_python("""
        import sys, runtime
        print("numpy" in sys.modules)
        runtime.Generator  # noqa: B018
        print([name for name in sys.modules if name.startswith("runtime.") or name == "pathlib"])
        print(all(hasattr(runtime, name) for name in runtime.__all__))
        print(set(runtime.__all__) <= set(dir(runtime)), hasattr(runtime, "absent"))
        print(runtime.Stream is sys.modules["runtime.generator"].Stream)
    """)
    numpy, modules, *others = done.stdout.splitlines()
    assert (numpy, others) == ("False", ["True", "True False", "True"]), done.stderr
    assert not {"runtime.cuda", "runtime.generators", "runtime.encoder"} & set(eval(modules))
    assert "pathlib" not in eval(modules)


SIGNAL_AFTER_CLOSE = """
import gc, os, signal, sys
import runtime
generator, encoder = sys.argv[1:]
engines = [runtime.Generator(generator, backend="openvino") for _ in range(3)]
engines.insert(1, runtime.Encoder(encoder, backend="openvino"))
for engine in engines:
    engine.close()
gc.collect()
seen = []
signal.signal(signal.SIGUSR1, lambda *_: seen.append("handled"))
os.kill(os.getpid(), signal.SIGUSR1)
print(seen[0])
"""


def test_signals_are_handled_after_engines_were_closed(
    vae_engine: Path, vae_encoder_engine: Path
) -> None:
    """Closing several engines in the order of opening must not take the signal stack away."""
    prints("handled", SIGNAL_AFTER_CLOSE, vae_engine, vae_encoder_engine)


def test_a_request_is_taken_whole(vae_engine: Path) -> None:
    """As one value, which can be kept, changed and sent on, or as arguments of the call."""
    generator = runtime.Generator(vae_engine)
    request = runtime.SampleRequest(5, seed=3, first=7, batch=2)
    images = generator.sample(5, 3, 7, 2)
    np.testing.assert_array_equal(generator.sample(request), images)
    np.testing.assert_array_equal(np.concatenate(list(generator.stream(request))), images)
    later = dataclasses.replace(request, first=9, n=3)
    np.testing.assert_array_equal(generator.sample(later), images[2:])
    latents = runtime.noise.normals(3, 7, 5, generator.latent_width)
    np.testing.assert_array_equal(generator.decode(runtime.DecodeRequest(latents)), images)
    way = runtime.InterpolateRequest(latents[0], latents[1], 4, mode="spherical")
    np.testing.assert_array_equal(
        generator.interpolate(way), generator.interpolate(latents[0], latents[1], 4, "spherical")
    )
    with pytest.raises(ArgumentError, match="seed"):
        generator.sample(dataclasses.replace(request, seed=-1))
    with pytest.raises(dataclasses.FrozenInstanceError):
        request.seed = 4  # type: ignore[misc]


@pytest.mark.parametrize(
    ("method", "request_class"),
    [
        ("sample", runtime.SampleRequest),
        ("stream", runtime.SampleRequest),
        ("decode", runtime.DecodeRequest),
        ("interpolate", runtime.InterpolateRequest),
    ],
)
def test_the_fields_of_a_request_are_the_arguments(method: str, request_class: type) -> None:
    fields = inspect.signature(request_class).parameters
    for engine in (runtime.Generator, runtime.Generators):
        if hasattr(engine, method):
            _, *arguments = inspect.signature(getattr(engine, method)).parameters.values()
            assert arguments == list(fields.values())


def test_results_do_not_go_where_the_inputs_are(vae_engine: Path) -> None:
    """Rows are still read when the first results are written."""
    generator = runtime.Generator(vae_engine)
    shape, width = generator.image_shape, generator.latent_width
    pixels, latents = 8 * math.prod(shape), 8 * 4 * width
    memory = np.zeros(pixels + latents, np.uint8)
    inputs = memory[pixels:].view(np.float32).reshape(8, width)
    for begin in (latents, latents - 1, 1):
        images = memory[begin : begin + pixels]
        with pytest.raises(ArgumentError, match="^out: .* shares no memory"):
            generator.decode(inputs, out=images.reshape(8, *shape))
        with pytest.raises(ArgumentError, match="^out: .* shares no memory"):
            generator.sample(8, mu=inputs, logvar=inputs.copy(), out=images.reshape(8, *shape))
    beside = memory[:pixels].reshape(8, *shape)
    np.testing.assert_array_equal(
        generator.decode(inputs, out=beside), generator.decode(inputs.copy())
    )
    with runtime.Encoder(zoo.engine_path("vae.encoder.onnx")) as encoder:
        both = np.zeros(max(pixels, latents), np.uint8)
        with pytest.raises(ArgumentError, match="^out: .* shares no memory"):
            encoder.embed(
                both[:pixels].reshape(8, *shape),
                out=both[:latents].view(np.float32).reshape(8, width),
            )
    with runtime.Translator(zoo.engine_path("denoising-ae.onnx")) as translator:
        images = np.zeros((4, *translator.input_shape), np.uint8)
        with pytest.raises(ArgumentError, match="^out: .* shares no memory"):
            translator.translate(images, out=images)
