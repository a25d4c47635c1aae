// Graphs as OpenVINO reads them.
#pragma once

#include <memory>
#include <openvino/openvino.hpp>

#include "backends/backend.h"
#include "format/tensors.h"

namespace zoo {

ov::element::Type element_type(TensorType type);

// Returns the Core of this process, which is never destroyed. The CPU plugin of a Core sets the
// signal stack of the thread that creates it and restores it in its destructor; with several Cores
// that are not destroyed in reverse order, the next signal (Ctrl-C) would be handled on freed
// memory. A forked child creates its own.
ov::Core& shared_core();

// Reads the graph of an engine: noise operators become inputs, and in bf16 transposed convolutions
// are rewritten (transposed_convolutions.h). Throws EngineFileError if the graph does not match the
// manifest, and ov::Exception.
std::shared_ptr<ov::Model> read_graph(ov::Core* core, const BackendConfig& config,
                                      ov::element::Type precision);

}  // namespace zoo
