"""From a training checkpoint to self-describing ONNX engine files: `python -m export`."""
