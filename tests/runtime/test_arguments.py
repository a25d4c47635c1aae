"""Every argument of every public function of `runtime`, with every kind of bad value.

Each must raise a typed error of the project that names the argument in one printable line, without
a warning.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import runtime
import zoo
from argument_entries import (
    Entry,
    device_entries,
    file_entries,
    image_entries,
    latent_entries,
    operator_entries,
)
from runtime import errors


@pytest.fixture(scope="module")
def engines() -> Iterator[dict[str, Any]]:
    """Engines by the part of an entry's name before the dot."""
    opened = {
        "Generator": runtime.Generator(zoo.engine_path("cgan.onnx"), instances=1),
        "Encoder": runtime.Encoder(zoo.engine_path("vae.encoder.onnx"), instances=1),
        "Mapping": runtime.Mapping(zoo.engine_path("stylegan.mapping.onnx"), instances=1),
        "Classifier": runtime.Classifier(zoo.engine_path("fashion-classifier.onnx"), instances=1),
        "Translator": runtime.Translator(zoo.engine_path("stargan.onnx"), instances=1),
    }
    yield opened
    for engine in opened.values():
        engine.close()


OTHER_NAMES = {
    # Errors of files name the path, those of devices the device.
    "path": "path|file",
    "document": "manifest",
    "devices": "devices?",
}


def check(entry: Entry, argument: str, value: Any, names: str, without: Any) -> str:
    """Return the problem with the error of a call with this value; "" if there is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            entry.call(**entry.good | {argument: value})
        except without:
            return ""
        except errors.Error as error:
            message = str(error)
        except BaseException as error:
            return f"{type(error).__name__}: {error}"
        else:
            return "the value was accepted"
    if not re.search(rf"\b({names})\b", message):
        return f"names no {names}: {message}"
    if "\n" in message or len(message) > 600:
        return f"is long: {message}"
    message.encode()
    return ""


def short(value: Any) -> str:
    try:
        return f"{type(value).__name__} {' '.join(repr(value).split())[:70]}"
    except Exception:
        return type(value).__name__


def problems(entries: dict[str, Entry]) -> list[str]:
    """Return the problems of all calls that must be refused."""
    wrong = []
    for name, entry in entries.items():
        for argument, values in entry.bad.items():
            names = OTHER_NAMES.get(argument, argument)
            # Wrong arrays of a GPU are only found on a machine with one.
            without = () if name.startswith("cuda.") else errors.DeviceUnavailableError
            for value in values:
                if problem := check(entry, argument, value, names, without):
                    wrong.append(f"{name}({argument}={short(value)}): {problem}")
    return wrong


def test_every_argument_of_a_generator(engines: dict[str, Any]) -> None:
    generator = engines["Generator"]
    before = generator.sample(3, seed=1)
    assert problems(latent_entries(generator)) == []
    np.testing.assert_array_equal(generator.sample(3, seed=1), before)


def test_every_argument_of_the_other_roles(engines: dict[str, Any]) -> None:
    assert problems(image_entries(engines)) == []


def test_every_argument_of_the_operators() -> None:
    assert problems(operator_entries()) == []


def test_every_argument_of_the_functions_for_gpus() -> None:
    assert problems(device_entries()) == []


def test_every_argument_of_what_opens_files(tmp_path: Path) -> None:
    assert problems(file_entries(tmp_path)) == []


def test_no_argument_is_left_out(engines: dict[str, Any], tmp_path: Path) -> None:
    """The entries cover every public function and every method of a public class."""
    entries = latent_entries(engines["Generator"]) | image_entries(engines) | operator_entries()
    entries |= device_entries() | file_entries(tmp_path)
    covered: dict[str, set[str]] = {}
    for name, entry in entries.items():
        covered.setdefault(name.split(" ")[0], set()).update(entry.bad)
    # The test below, and those on emulated GPUs, pass them the values of Generator's entries.
    for method in ("sample", "decode", "stream"):
        covered[f"Generators.{method}"] = covered[f"Generator.{method}"]
    missing = []
    for name, function in public_functions():
        if dataclasses.is_dataclass(function):
            continue  # a request: what it holds is checked by the methods that take it
        arguments = {a for a in inspect.signature(function).parameters if a != "self"}
        if left := arguments - covered.get(name, set()):
            missing.append(f"{name}: {', '.join(sorted(left))}")
    assert missing == []


def public_functions() -> Iterator[tuple[str, Callable[..., Any]]]:
    # Only the runtime or a protocol calls the methods of these classes with arguments.
    skipped = ("DeviceArray", "Stream", "View", "Batcher")  # that in test_batcher.py
    for name in runtime.__all__:
        member = getattr(runtime, name)
        if inspect.ismodule(member):
            for inner, function in vars(member).items():
                if inspect.isfunction(function) and function.__module__ == member.__name__:
                    if not inner.startswith("_") and (name, inner) != ("ops", "is_spherical"):
                        yield f"{name}.{inner}", function
        elif inspect.isclass(member) and name not in skipped and not issubclass(member, Exception):
            yield name, member
            for inner, function in inspect.getmembers(member, inspect.isfunction):
                if not inner.startswith("_"):
                    yield f"{name}.{inner}", function
        elif inspect.isfunction(member):
            yield name, member


def test_tensors_that_numpy_does_not_take(engines: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    generator, encoder = engines["Generator"], engines["Encoder"]
    latents = torch.zeros(3, generator.latent_width)
    images = torch.zeros(3, *encoder.image_shape)
    bad = {
        "gradient": (latents.clone().requires_grad_(), images.requires_grad_()),
        "bf16": (latents.bfloat16(), images.detach().bfloat16()),
        "meta": (latents.to("meta"), images.to("meta")),
        "sparse": (latents.to_sparse(), images.detach().to_sparse()),
        "a part in a list": ([latents.clone().requires_grad_()] * 3, [images]),
    }
    for name, (numbers, pictures) in bad.items():
        calls = {
            "latents": lambda x=numbers: generator.decode(x),
            "mu": lambda x=numbers: generator.sample(3, mu=x, logvar=latents),
            "logvar": lambda x=numbers: generator.sample(3, mu=latents, logvar=x),
            "a": lambda x=numbers: generator.interpolate(x, latents, 2),
            "b": lambda x=numbers: generator.interpolate(latents, x, 2),
            "images": lambda x=pictures: encoder.embed(x),
            "labels": lambda x=numbers: generator.sample(3, labels=x),
            "out": lambda x=pictures: generator.sample(3, out=x),
        }
        for argument, call in calls.items():
            with pytest.raises(errors.ArgumentError, match=rf"^{argument}: ") as caught:
                call()
            assert "\n" not in str(caught.value), name
    labels = torch.tensor([1, 2, 3])
    np.testing.assert_array_equal(
        generator.sample(3, labels=labels), generator.sample(3, labels=[1, 2, 3])
    )


def test_one_engine_on_several_devices(engines: dict[str, Any]) -> None:
    """Generators, whose arguments are those of Generator."""
    with runtime.Generators(zoo.engine_path("cgan.onnx"), devices=["cpu"], instances=1) as several:
        entries = latent_entries(engines["Generator"])
        methods = ("Generator.sample", "Generator.decode", "Generator.stream")
        calls = {
            name: Entry(getattr(several, name.split(".")[1]), entry.good, entry.bad)
            for name, entry in entries.items()
            if name in methods
        }
        assert problems(calls) == []
        expected = engines["Generator"].sample(5, seed=2, labels=[1, 2, 3, 4, 5])
        np.testing.assert_array_equal(several.sample(5, seed=2, labels=[1, 2, 3, 4, 5]), expected)
