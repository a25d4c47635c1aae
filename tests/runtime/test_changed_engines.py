"""Engine files whose manifest is not that of their graph: refused when they are loaded."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

import runtime
from backends import BACKENDS
from changed_engines import Document, changed, manifest_of
from plan_runs import KINDS
from runtime.errors import EngineFileError, ManifestError
from zoo.engines import WEIGHTS, resolve


def load(path: Path, backend: str = "onnxruntime") -> Any:
    return KINDS[runtime.manifest.read(path)["role"]](path, backend=backend)


def put(*path: Any) -> Callable[[Document], None]:
    """Changes one value: the keys that lead to it, then the value."""
    *keys, last, value = path

    def change(document: Document) -> None:
        for key in keys:
            document = document[key]
        document[last] = value

    return change


def without(*path: Any) -> Callable[[Document], None]:
    *keys, last = path

    def change(document: Document) -> None:
        for key in keys:
            document = document[key]
        document.pop(last)

    return change


LAYERS = ("noise", "streams", "layers")
MISMATCHES: dict[str, tuple[str, Callable[[Document], Any], str]] = {
    "latent width": ("cgan.onnx", put("latent", "width", 65), "draws 64 numbers per image"),
    "latent width of a mapping": (
        "stylegan.mapping.onnx",
        put("latent", {"width": 63, "prior": "normal"}),
        "'latent' of float32 [N, 64], but its manifest says float32 [N, 63]",
    ),
    "latent stream": ("linear-ae.onnx", put("noise", "streams", "latent", 7), "stream 0, which"),
    "image type": (
        "linear-ae.onnx",
        lambda document: document["image"].update(dtype="float32", layout="NCHW"),
        "uint8 [N, 28, 28, 1], but its manifest says float32 [N, 1, 28, 28]",
    ),
    "image size": (
        "linear-ae.onnx",
        lambda document: document["image"].update(height=14, width=56),
        "'image' of uint8 [N, 28, 28, 1], but its manifest says uint8 [N, 14, 56, 1]",
    ),
    "axes in another order": (
        "linear-ae.onnx",
        lambda document: document["image"].update(width=1, channels=28),
        "uint8 [N, 28, 1, 28]",
    ),
    "image of an encoder": (
        "linear-ae.encoder.onnx",
        put("image", "height", 27),
        "the input 'image' of uint8 [N, 28, 28, 1]",
    ),
    "condition": (
        "linear-ae.onnx",
        lambda document: document.update(schema=2, condition={"kind": "classes", "count": 10}),
        "no input 'label'",
    ),
    "attributes of a denoiser": (
        "denoising-ae.onnx",
        lambda document: document.update(
            schema=2, condition={"kind": "attributes", "names": ["old"]}
        ),
        "no input 'attributes'",
    ),
    "truncation": (
        "linear-ae.onnx",
        lambda document: document.update(
            schema=2, truncation={"mean": [0, 0], "layers": 2, "width": 2}
        ),
        "no input 'truncation'",
    ),
    "no condition": ("cgan.onnx", without("condition"), "the input 'label', which"),
    "more classes": (
        "cgan.onnx",
        lambda document: document.update(classes=[], condition={"kind": "classes", "count": 1000}),
        "has 10 classes, but condition.count in its manifest is 1000",
    ),
    "fewer classes": (
        "cgan.onnx",
        lambda document: document.update(classes=[], condition={"kind": "classes", "count": 9}),
        "has 10 classes",
    ),
    "no truncation": ("stylegan.onnx", without("truncation"), "the input 'truncation', which"),
    "no noise in layers": ("stylegan.onnx", without(*LAYERS), "noise stream 1, which"),
    "a layer missing": ("pix2pix-edges.onnx", without(*LAYERS, 2), "noise stream 3, which"),
    "a layer too many": (
        "stylegan.onnx",
        lambda document: document["noise"]["streams"]["layers"].append({"stream": 11, "width": 4}),
        "does not draw noise stream 11",
    ),
    "stream of a layer": ("stylegan.onnx", put(*LAYERS, 0, "stream", 77), "noise stream 1, which"),
    "width of a layer": (
        "stylegan.onnx",
        put(*LAYERS, 0, "width", 32),
        "draws 10912 numbers per image",
    ),
    "width of a layer of a translator": (
        "pix2pix-edges.onnx",
        put(*LAYERS, 1, "width", 63),
        "draws 4608 numbers per image from noise stream 2, but its manifest says 63",
    ),
    "width of a layer of a synthesis": (
        "stylegan.synthesis.onnx",
        put(*LAYERS, 0, "width", 63),
        "draws 10912 numbers per image from noise stream 1, but its manifest says 63",
    ),
    "noise of a translator": (
        "pix2pix-edges.onnx",
        without("noise"),
        "noise stream 1, which is not in its manifest",
    ),
    "styles of a mapping": (
        "stylegan.mapping.onnx",
        put("truncation", {"mean": [0, 0], "layers": 10, "width": 2}),
        "'styles' of float32 [N, 64], but its manifest says float32 [N, 2]",
    ),
    "attributes": ("stargan.onnx", without("condition", "names", 7), "float32 [N, 8], but"),
    "input of a translator": (
        "denoising-ae.onnx",
        put("input", "width", 27),
        "the input 'input' of uint8 [N, 28, 28, 1]",
    ),
    "a score missing": (
        "fashion-classifier.onnx",
        without("scores", "names", 9),
        "'scores' of float32 [N, 10], but its manifest says float32 [N, 9]",
    ),
    "deterministic": (
        "stochastic-ae.encoder.onnx",
        put("latent", "posterior", "deterministic"),
        "the output 'logvar', which is not in its manifest",
    ),
    "not deterministic": (
        "linear-ae.encoder.onnx",
        put("latent", "posterior", "gaussian"),
        "no output 'logvar'",
    ),
    "role": ("linear-ae.encoder.onnx", put("role", "classifier"), "scores"),
}


@pytest.mark.parametrize("kind", MISMATCHES)
def test_manifest_of_another_graph(kind: str, tmp_path: Path) -> None:
    name, change, problem = MISMATCHES[kind]
    path = changed(name, tmp_path, change)
    for backend in BACKENDS:
        with pytest.raises(EngineFileError, match=re.escape(problem)) as refused:
            load(path, backend)
        assert str(path) in str(refused.value) or isinstance(refused.value, ManifestError)
    with pytest.raises(EngineFileError):
        runtime.manifest.verify(path)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (put("batch", {"min": 1 << 24, "max": 1 << 24}), "'batch.min'.*1 to 256"),
        (put("batch", {"min": 257, "max": 4096}), "'batch.min'"),
        (put("x", []), ""),
    ],
)
def test_fewest_rows(change: Callable[[Document], Any], problem: str, tmp_path: Path) -> None:
    path = changed("linear-ae.onnx", tmp_path, change)
    if not problem:
        assert load(path).decode(np.zeros((1, 16))).shape == (1, 28, 28, 1)
        return
    with pytest.raises(ManifestError, match=problem):
        load(path)


def initializers(model: ModelProto) -> list[TensorProto]:
    return sorted(model.graph.initializer, key=lambda tensor: -tensor.ByteSize())


def of_half(model: ModelProto) -> TensorProto:
    return next(t for t in initializers(model) if t.data_type == TensorProto.FLOAT16)


def external(model: ModelProto, where: TensorProto | None = None) -> None:
    tensor = where or initializers(model)[0]
    length = len(tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "secret.bin"), ("offset", "0"), ("length", str(length))):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value


def constant_elsewhere(model: ModelProto) -> None:
    """A constant in the body of a function."""
    nodes = [n for f in model.functions for n in f.node if n.op_type == "Constant"]
    external(model, next(a.t for node in nodes for a in node.attribute if a.name == "value"))


def half(value: int) -> Callable[[ModelProto], None]:
    """One weight of the greatest tensor of halves has other bits."""

    def change(model: ModelProto) -> None:
        tensor = of_half(model)
        values = np.frombuffer(tensor.raw_data, np.uint16).copy()
        values[len(values) // 2] = value
        tensor.raw_data = values.tobytes()

    return change


def as_fields(value: float) -> Callable[[ModelProto], None]:
    """A bias of floats that are no raw data, the last of them with that value."""

    def change(model: ModelProto) -> None:
        tensor = next(t for t in initializers(model) if t.data_type == TensorProto.FLOAT)
        values = numpy_helper.to_array(tensor).ravel().copy()
        values[-1] = value
        tensor.ClearField("raw_data")
        tensor.float_data.extend(values.tolist())

    return change


def opset(version: int, domain: str = "") -> Callable[[ModelProto], None]:
    def change(model: ModelProto) -> None:
        next(entry for entry in model.opset_import if entry.domain == domain).version = version

    return change


def of_function(version: int) -> Callable[[ModelProto], None]:
    def change(model: ModelProto) -> None:
        model.functions[0].opset_import[0].version = version

    return change


def first_node(op: str, change: Callable[[Any], Any]) -> Callable[[ModelProto], None]:
    def act(model: ModelProto) -> None:
        change(next(node for node in model.graph.node if node.op_type == op))

    return act


def calls_itself(model: ModelProto) -> None:
    function = model.functions[0]
    call = helper.make_node(function.name, list(function.input), ["again"], domain=function.domain)
    function.node.append(call)


def nested(model: ModelProto) -> None:
    """Bodies of conditions within each other."""
    graph = helper.make_graph([], "body", [], [])
    for _ in range(20):
        node = helper.make_node("If", ["mu"], ["y"])
        node.attribute.append(helper.make_attribute("then_branch", graph))
        graph = helper.make_graph([node], "body", [], [])
    model.graph.node.append(graph.node[0])


def stream(number: int) -> Callable[[ModelProto], None]:
    return first_node("ReparametrizedSample", lambda node: setattr(node.attribute[0], "i", number))


HOSTILE: dict[str, tuple[Callable[[ModelProto], Any], str]] = {
    "external data": (external, "has its data in another file"),
    "external constant": (constant_elsewhere, "has its data in another file"),
    "weights without data": (
        lambda model: initializers(model)[0].ClearField("raw_data"),
        r"has \d+ elements by its shape, but data for 0",
    ),
    "short weights": (
        lambda model: setattr(of_half(model), "raw_data", of_half(model).raw_data[:-1]),
        "is truncated within an element",
    ),
    "shorter weights": (
        lambda model: setattr(of_half(model), "raw_data", of_half(model).raw_data[:-2]),
        r"has \d+ elements by its shape, but data for \d+",
    ),
    "another shape": (
        lambda model: of_half(model).dims.append(2),
        "elements by its shape",
    ),
    "shape that wraps": (
        lambda model: of_half(model).dims.extend([2**31 - 1] * 4),
        "too many elements",
    ),
    "negative axis": (lambda model: of_half(model).dims.append(-1), "an axis of length -1"),
    "unknown type": (lambda model: setattr(of_half(model), "data_type", 77), "unsupported type"),
    "data of another type": (
        lambda model: of_half(model).float_data.append(1.0),
        "data of the wrong type",
    ),
    "no number": (half(0x7E00), "weights '.*' are not finite"),
    "infinite": (half(0xFC00), "weights '.*' are not finite"),
    "no number in a field": (as_fields(np.nan), "weights '.*' are not finite"),
    "infinite in a field": (as_fields(-np.inf), "weights '.*' are not finite"),
    "opset of 2^31": (opset(2**31), "version 2147483648 of the standard operators"),
    "opset of 0": (opset(0), "version 0 of the standard operators"),
    "negative opset": (opset(-1), "version -1 of the standard operators"),
    "opset of ours": (opset(2**40, "zoo"), "operators 'zoo'"),
    "opset of a function": (of_function(2**31), "version 2147483648"),
    "format": (lambda model: setattr(model, "ir_version", 2**40), "of the format"),
    "no operands": (
        first_node("Gemm", lambda node: node.ClearField("input")),
        "a node 'Gemm' of its graph needs 2 operands",
    ),
    "an operand left out": (
        first_node("Gemm", lambda node: node.input.__setitem__(1, "")),
        "needs 2 operands",
    ),
    "no operands of ours": (
        first_node("ReparametrizedSample", lambda node: node.input.pop()),
        "a node 'ReparametrizedSample' of its graph needs 4 operands",
    ),
    "operand that nothing makes": (
        first_node("Gemm", lambda node: node.input.__setitem__(0, "nowhere")),
        "uses 'nowhere' before it is defined",
    ),
    "output that nothing makes": (
        lambda model: setattr(model.graph.output[0], "name", "nowhere"),
        "uses 'nowhere'",
    ),
    "made twice": (
        lambda model: model.graph.node.append(model.graph.node[-1]),
        "twice",
    ),
    "no outputs": (
        lambda model: model.graph.node[-1].ClearField("output"),
        "has no outputs",
    ),
    "no operator": (lambda model: setattr(model.graph.node[-1], "op_type", ""), "no operator"),
    "function that calls itself": (calls_itself, "calls itself"),
    "function twice": (lambda model: model.functions.append(model.functions[0]), "twice"),
    "computed lengths of a split": (
        lambda model: model.graph.node.append(
            helper.make_node("Split", ["mu", "seed"], ["unused"], axis=0)
        ),
        "lengths that are not constant",
    ),
    "bodies in bodies": (nested, "nests subgraphs"),
    "training": (lambda model: model.training_info.add(), "training"),
    "sparse weights": (lambda model: model.graph.sparse_initializer.add(), "sparse"),
    "output without a shape": (
        lambda model: model.graph.output[0].type.tensor_type.ClearField("shape"),
        "does not give the shape of 'image'",
    ),
    "another stream": (stream(3), "stream 3, which is not in its manifest"),
    "another seed": (
        first_node("ReparametrizedSample", lambda node: node.input.__setitem__(2, "first")),
        "another seed",
    ),
    "an unknown input": (
        lambda model: model.graph.input.append(
            helper.make_tensor_value_info("temperature", TensorProto.FLOAT, [1])
        ),
        "the input 'temperature', which is not in its manifest",
    ),
    "another number of rows": (
        lambda model: setattr(model.graph.input[0].type.tensor_type.shape.dim[0], "dim_value", 5),
        "float32 \\[5, 16\\], but its manifest says float32 \\[N, 16\\]",
    ),
    "two manifests": (
        lambda model: model.metadata_props.append(manifest_of(model)),
        "two manifests",
    ),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_graphs_that_no_library_is_given(kind: str, tmp_path: Path) -> None:
    change, problem = HOSTILE[kind]
    (tmp_path / "secret.bin").write_bytes(bytes(100_000))
    path = changed("linear-ae.onnx", tmp_path, model=change)
    with pytest.raises(EngineFileError, match=problem) as refused:
        runtime.Generator(path)
    assert str(path) in str(refused.value)


def test_what_is_no_fault_loads(tmp_path: Path) -> None:
    """Weights in fields, an infinite bound, unused functions, and no digest."""

    def change(model: ModelProto) -> None:
        as_fields(0.5)(model)
        half(0x0001)(model)
        bound = numpy_helper.from_array(np.array(np.inf, np.float32))
        model.graph.node.insert(0, helper.make_node("Constant", [], ["bound"], value=bound))

    path = changed("linear-ae.onnx", tmp_path, model=change)
    assert load(path).decode(np.zeros((2, 16))).shape == (2, 28, 28, 1)


@pytest.mark.parametrize("name", sorted(path.name for path in WEIGHTS.glob("*.onnx")))
def test_files_without_a_digest(name: str, tmp_path: Path) -> None:
    """As those that were made before there was one: they load."""
    path = changed(name, tmp_path)
    assert "file_blake2b" not in runtime.manifest.read(path)
    assert runtime.manifest.verify(path) == runtime.manifest.read(path)


def test_loaded_by_onnx_and_saved(tmp_path: Path) -> None:
    onnx.save(onnx.load(resolve("linear-ae.onnx")), tmp_path / "again.onnx")
    runtime.manifest.verify(tmp_path / "again.onnx")
