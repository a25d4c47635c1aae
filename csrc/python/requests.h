// Requests of Python (runtime/requests.py) as those of C++.
#pragma once

#include <optional>

#include "python/arrays.h"
#include "zoo/generator.h"

namespace zoo::python {

// Reads a field of a request (runtime/requests.py).
template <typename T>
T field(const py::object& request, const char* name) {
  return request.attr(name).cast<T>();
}

// Reads the labels of a request unless they are None. The returned array keeps them alive.
template <typename Request>
Labels read_labels(const py::object& from, Request* request) {
  const py::object labels = from.attr("labels");
  if (labels.is_none()) return {};
  auto values = labels.cast<Labels>();
  request->labels = values.data();
  request->label_count = static_cast<size_t>(values.size());
  return values;
}

// Reads an input of a request (runtime/_placement.py) unless it is None.
inline std::optional<Input<float>> read_rows(const py::object& request, const char* name) {
  const py::object rows = request.attr(name);
  if (rows.is_none()) return std::nullopt;
  return Input<float>(rows.attr("native"));
}

// A SampleRequest of Python without the destination of the images. Keeps its arrays alive.
struct ParsedSample {
  explicit ParsedSample(const py::object& from)
      : mu(read_rows(from, "mu")),
        logvar(read_rows(from, "logvar")),
        labels(read_labels(from, &request)),
        keys(read_keys(from.attr("keys"), &request)) {
    request.n = field<uint64_t>(from, "n");
    request.seed = field<uint64_t>(from, "seed");
    request.first = field<uint64_t>(from, "first");
    request.batch = field<size_t>(from, "batch");
    request.cycle = field<bool>(from, "cycle");
    request.truncation = field<float>(from, "truncation");
    request.noise = field<float>(from, "noise");
    request.prior = field<bool>(from, "prior") ? Prior::kMixture : Prior::kNormal;
    if (!mu) return;
    request.mu = mu->data;
    request.logvar = logvar->data;
    request.latent_memory = mu->memory;
    request.shared = mu->memory == Memory::kHost && mu->rows == 1;
  }

  SampleRequest request;
  const std::optional<Input<float>> mu;
  const std::optional<Input<float>> logvar;
  const Labels labels;
  const Keys keys;
};

// A DecodeRequest of Python, in the same way.
struct ParsedDecode {
  explicit ParsedDecode(const py::object& from)
      : latents(*read_rows(from, "latents")),
        labels(read_labels(from, &request)),
        keys(read_keys(from.attr("keys"), &request)) {
    request.latents = latents.data;
    request.n = latents.rows;
    request.latent_memory = latents.memory;
    request.seed = field<std::optional<uint64_t>>(from, "seed");
    request.first = field<uint64_t>(from, "first");
    request.truncation = field<float>(from, "truncation");
  }

  DecodeRequest request;
  const Input<float> latents;
  const Labels labels;
  const Keys keys;
};

}  // namespace zoo::python
