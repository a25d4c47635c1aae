"""Portable bodies: the operators of domain `zoo` in standard ONNX operators only.

Every step repeats one step of the headers in `csrc/ops`, in the same order and
with one rounding each, so that any ONNX Runtime gives the bits of our kernels.
"""
