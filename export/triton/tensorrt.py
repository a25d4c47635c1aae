"""Models whose network Triton's TensorRT backend runs, and ensembles with the noise before it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from export.plan.graph import noise_input, noise_widths
from export.triton import config
from export.triton.config import Enum
from zoo.serving.kserve.layouts import KEYS, Layout
from zoo.serving.kserve.tensors import TensorSpec

PLATFORM = "tensorrt_plan"

CLIENT_NAMES = {"image": "images", "input": "images", "latent": "latents", "mu": "latents"}
"""Tensors of plans, by the names that clients have for them; others have the same."""

_TYPES = {"float32": "FP32", "int64": "INT64", "uint8": "UINT8"}


def is_served(plan: Mapping[str, Any]) -> bool:
    """Return True if Triton's TensorRT backend can run a plan (the manifest's field `plan`).

    It loads plans of TensorRT, not of TensorRT for RTX; it gathers rows without padding, so that
    every batch size must be possible, and every input must have rows.
    """
    any_batch = plan.get("plugins") or plan.get("any_batch")
    tensors = (*plan["inputs"], *plan["outputs"])
    rows = all(tensor["shape"][0] == "N" for tensor in tensors)
    return bool(plan["target"] == "tensorrt" and any_batch and rows)


def describe_network(name: str, file: str, plan: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration of a plan by itself, with the names and types of its tensors.

    Args:
        name: of the model.
        file: name of the plan in the folder of the version.
        plan: the manifest's field of this name.
    """
    profiles = [str(index) for index in range(len(plan["buckets"]))]
    return {
        "name": name,
        "platform": PLATFORM,
        "default_model_filename": file,
        "max_batch_size": plan["buckets"][-1],
        "input": [_describe_tensor(tensor) for tensor in plan["inputs"]],
        "output": [_describe_tensor(tensor) for tensor in plan["outputs"]],
        "dynamic_batching": config.describe_batching(),
        # Without names of profiles, the backend uses the first one only.
        "instance_group": [{"count": 1, "kind": Enum("KIND_GPU"), "profile": profiles}],
        "model_warmup": [
            config.describe_warmup({t["name"]: _describe_tensor(t) for t in plan["inputs"]}, rows)
            for rows in plan["buckets"]
        ],
    }


def _describe_tensor(tensor: Mapping[str, Any]) -> dict[str, Any]:
    fields = {
        "name": tensor["name"],
        "data_type": Enum(f"TYPE_{_TYPES[tensor['dtype']]}"),
        "dims": list(tensor["shape"][1:]),
    }
    if not fields["dims"]:
        # A row of the client has one number; the plan has an axis for the rows only.
        fields |= {"dims": [1], "reshape": {"shape": []}}
    return fields


def describe_ensemble(
    name: str, file: str, manifest: Mapping[str, Any], layout: Layout
) -> dict[str, dict[str, Any]]:
    """Return the configurations of an ensemble and its models, the ensemble first.

    The ensemble has the tensors of clients (`layout`). Its tensors have distinct names, so that the
    output of translators has that of the plan. `NAME.noise` draws what the plan takes for noise, on
    the CPU; `NAME.network` is the plan.

    Args:
        name: of the ensemble.
        file: name of the plan in the folder of the version.
        manifest: of the plan.
        layout: its tensors.
    """
    plan = manifest["plan"]
    network = describe_network(f"{name}.network", file, plan)
    streams = _drawn_streams(manifest, layout)
    steps, models = [], [network]
    if streams:
        noise = _describe_noise(f"{name}.noise", streams, plan["buckets"])
        steps.append(_step(noise, {}))
        models.insert(0, noise)
    output = replace(layout.output, name=_name_output(layout))
    names = {**CLIENT_NAMES, **{name: name for name in streams}}
    steps.append(_step(network, names, output.name))
    ensemble = {
        "name": name,
        "platform": "ensemble",
        "max_batch_size": plan["buckets"][-1],
        "input": [config.describe_tensor(spec) for spec in layout.inputs],
        "output": [config.describe_tensor(output)],
        "ensemble_scheduling": {"step": steps},
    }
    return {fields["name"]: fields for fields in (ensemble, *models)}


def _drawn_streams(manifest: Mapping[str, Any], layout: Layout) -> dict[str, tuple[int, int]]:
    """Return stream and width of each input of a plan that is noise, by its name."""
    if not set(KEYS) <= set(layout.inputs):
        return {}
    widths = noise_widths(dict(manifest))
    return {noise_input(stream): (stream, width) for stream, width in sorted(widths.items())}


def _describe_noise(
    name: str, streams: Mapping[str, tuple[int, int]], buckets: list[int]
) -> dict[str, Any]:
    outputs = [TensorSpec(each, "FP32", (-1, width)) for each, (_, width) in streams.items()]
    parameters = {
        "engine_class": "Noise",
        "options": "",
        "streams": " ".join(
            f"{each}:{stream}:{width}" for each, (stream, width) in streams.items()
        ),
    }
    return config.describe_python(name, KEYS, outputs, parameters, buckets, "KIND_CPU")


def _name_output(layout: Layout) -> str:
    """Return the name of the output of an ensemble."""
    name = layout.output.name
    if name not in {spec.name for spec in layout.inputs}:
        return name
    return next(own for own, client in CLIENT_NAMES.items() if client == name)


def _step(
    model: Mapping[str, Any], names: Mapping[str, str], wanted: str | None = None
) -> dict[str, Any]:
    """Return a step of an ensemble.

    Args:
        model: its configuration.
        names: of tensors in the ensemble, where they differ.
        wanted: the only output to use, by its name in the ensemble; None for all.
    """
    here = {name: names.get(name, name) for name in _names(model, "input")}
    outputs = _names(model, "output")
    there = {name: names.get(name, name) for name in outputs}
    if wanted is not None:
        there = {name: wanted for name in outputs if wanted in (name, names.get(name))}
    return {
        "model_name": model["name"],
        "model_version": -1,
        "input_map": [{"key": key, "value": value} for key, value in here.items()],
        "output_map": [{"key": key, "value": value} for key, value in there.items()],
    }


def _names(model: Mapping[str, Any], which: str) -> list[str]:
    return [tensor["name"] for tensor in model[which]]
