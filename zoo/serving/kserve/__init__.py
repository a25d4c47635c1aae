"""KServe v2, the Open Inference Protocol, over HTTP and gRPC.

Source: the protocol's specification (github.com/open-inference/open-inference-protocol), and the
extensions that Triton documents: binary tensors, configuration, statistics, repository index.
"""
