# The service on NVIDIA GPUs, with the CUDA kernels and TensorRT:
#   docker build -f scripts/docker/gpu.Dockerfile -t generator-zoo:gpu .
#   docker run --rm --gpus all -p 8000:8000 generator-zoo:gpu --engine vae.onnx --device cuda
FROM nvidia/cuda:13.0.2-devel-ubuntu24.04 AS build
# hadolint ignore=DL3008
RUN apt-get update \
  && apt-get install --yes --no-install-recommends g++ python3-dev python3-pip python3-venv \
  && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/zoo
ENV PATH=/opt/zoo/bin:$PATH
WORKDIR /source
COPY . .
# The build includes the plugins and plans only with the headers of TensorRT. ONNX Runtime's GPU build
# replaces the CPU build, whose files have the same names.
RUN pip install --no-cache-dir --constraint constraints.txt cmake ninja scikit-build-core pybind11 \
    nlohmann-json openvino \
  && pip install --no-cache-dir --constraint constraints.txt --no-deps kernel-lens \
  && pip install --no-cache-dir --constraint constraints.txt --no-build-isolation '.[serve]' \
  && pip uninstall --yes onnxruntime kernel-lens \
  && pip install --no-cache-dir --constraint constraints.txt 'onnxruntime-gpu[cuda,cudnn]' tensorrt pycuda

FROM nvidia/cuda:13.0.2-runtime-ubuntu24.04
# hadolint ignore=DL3008
RUN apt-get update \
  && apt-get install --yes --no-install-recommends python3 \
  && rm -rf /var/lib/apt/lists/* \
  && useradd --create-home --uid 1001 zoo
COPY --from=build /opt/zoo /opt/zoo
ENV PATH=/opt/zoo/bin:$PATH
USER 1001
WORKDIR /home/zoo
EXPOSE 8000
HEALTHCHECK CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/readyz')"]
ENTRYPOINT ["python", "-m", "zoo.serve", "--host", "0.0.0.0"]
CMD ["--engine", "vae.onnx", "--device", "cuda"]
