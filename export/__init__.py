"""From a training checkpoint to self-describing ONNX engine files: `python -m export`."""

# First, before the imports of the command: see there for Ctrl-C meanwhile.
import zoo  # noqa: F401
