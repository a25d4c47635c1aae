"""Storage of weights in half precision, for computation in single precision."""

from __future__ import annotations

import numpy as np
import torch
from onnx import ModelProto, TensorProto, helper, numpy_helper
from torch import nn

from export.errors import ExportError

# Smaller tensors (biases, scales) are not worth a Cast node.
SMALLEST = 1024


def round_weights(model: nn.Module) -> None:
    """Round the large parameters of a PyTorch model to half precision in place.

    The model then agrees with the exported file.

    Raises:
        ExportError: a weight is not finite, or too large for half precision.
    """
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.numel() >= SMALLEST:
                rounded = parameter.half().float()
                if not torch.isfinite(rounded).all():
                    raise ExportError(
                        f"{name} does not fit half precision (largest value "
                        f"{parameter.abs().max().item():g}); use --weights fp32"
                    )
                parameter.copy_(rounded)


def store_half(model: ModelProto) -> int:
    """Store large weights that are exact in half precision as FLOAT16, each before a Cast.

    Runtimes fold the Casts when they load the file. Returns the number of converted weights.
    """
    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < SMALLEST:
            continue
        values = numpy_helper.to_array(tensor)
        half = values.astype(np.float16)
        if not np.array_equal(half.astype(np.float32), values):
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(half, f"{name}.fp16"))
        casts.append(
            helper.make_node(
                "Cast", [tensor.name], [name], name=f"cast.{name}", to=TensorProto.FLOAT
            )
        )
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return len(casts)
