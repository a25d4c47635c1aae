"""Portable bodies of the operators of domain `zoo`, in standard ONNX operators.

Every step repeats one of the headers in `csrc/ops`, in the same order and with one rounding each,
so that any ONNX Runtime gives the bits of our kernels.
"""
