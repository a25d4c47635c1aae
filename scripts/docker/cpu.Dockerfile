# The service on CPUs:
#   docker build -f scripts/docker/cpu.Dockerfile -t generator-zoo .
#   docker run --rm -p 8000:8000 generator-zoo --engine vae.onnx --engine dcgan.onnx
FROM python:3.11-slim-bookworm AS build
# hadolint ignore=DL3008
RUN apt-get update \
  && apt-get install --yes --no-install-recommends g++ \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
RUN pip wheel --no-cache-dir --constraint constraints.txt --wheel-dir /wheels '.[serve,openvino]'

FROM python:3.11-slim-bookworm
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
  pip install --no-cache-dir --no-index /wheels/*.whl \
  && useradd --create-home --uid 1000 zoo
USER 1000
WORKDIR /home/zoo
EXPOSE 8000
HEALTHCHECK CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/readyz')"]
ENTRYPOINT ["python", "-m", "zoo.serve", "--host", "0.0.0.0"]
CMD ["--engine", "vae.onnx"]
