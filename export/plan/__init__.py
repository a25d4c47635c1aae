"""From engine files to TensorRT plans, built with or without a GPU."""
