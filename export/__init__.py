"""Export of training checkpoints to self-describing ONNX engine files and TensorRT plans."""

# Imported before the command's other modules, so that Ctrl-C during them is handled (see there).
import zoo  # noqa: F401
