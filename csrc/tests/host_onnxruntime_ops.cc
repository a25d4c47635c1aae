// Custom operators for CUDA, presented to the real library as operators for the CPU.
#include <set>

#include "tests/host_onnxruntime_state.h"

namespace zoo::host_ort {
namespace {

struct Op : OrtCustomOp {
  const OrtCustomOp* inner = nullptr;
};

const OrtCustomOp* inner_of(const OrtCustomOp* op) { return static_cast<const Op*>(op)->inner; }

struct Kernel {
  const OrtCustomOp* op;
  void* inner;
};

// A tensor's copy in the device's memory.
struct Staged {
  void* host;
  void* device;
  size_t bytes;
  bool output;
};

// Of the operator that the calling thread runs.
struct Work {
  std::vector<Staged> staged;
  std::set<const OrtValue*> outputs;
};
thread_local Work* work = nullptr;

// Bytes of a tensor of float or int64.
OrtStatus* bytes_of(const OrtValue* value, size_t* bytes) {
  OrtTensorTypeAndShapeInfo* info = nullptr;
  if (OrtStatus* status = real().GetTensorTypeAndShape(value, &info)) return status;
  size_t elements = 0;
  ONNXTensorElementDataType type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
  OrtStatus* status = real().GetTensorShapeElementCount(info, &elements);
  if (!status) status = real().GetTensorElementType(info, &type);
  real().ReleaseTensorTypeAndShapeInfo(info);
  *bytes = elements * (type == ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64 ? 8 : 4);
  return status;
}

OrtStatus* compute(Kernel* kernel, OrtKernelContext* context) {
  const CudaOps& ops = *devices().ops;
  Work mine;
  work = &mine;
  OrtStatus* status = kernel->op->KernelComputeV2(kernel->inner, context);
  work = nullptr;
  const char* failed = ops.synchronize(running->kernels);
  if (!status && failed) status = failure(failed);
  for (const Staged& part : mine.staged) {
    if (part.output) std::memcpy(part.host, part.device, part.bytes);
    ops.release(part.device);
  }
  count("operators");
  return status;
}

}  // namespace

OrtStatus* operator_output(OrtKernelContext* context, size_t index, const int64_t* dimensions,
                           size_t size, OrtValue** value) noexcept {
  OrtStatus* status = real().KernelContext_GetOutput(context, index, dimensions, size, value);
  if (!status && work) work->outputs.insert(*value);
  return status;
}

OrtStatus* data_on_device(OrtValue* value, void** data) noexcept {
  OrtStatus* status = real().GetTensorMutableData(value, data);
  if (status || !work) return status;
  size_t bytes = 0;
  if (OrtStatus* wrong = bytes_of(value, &bytes)) return wrong;
  if (bytes == 0 || devices().is_device(*data, bytes)) return nullptr;
  Staged part{*data, nullptr, bytes, work->outputs.count(value) != 0};
  bool exhausted = false;
  if (const char* failed = devices().ops->allocate(bytes, &part.device, &exhausted)) {
    return failure(failed);
  }
  if (!part.output) std::memcpy(part.device, part.host, bytes);
  work->staged.push_back(part);
  *data = part.device;
  return nullptr;
}

const OrtCustomOp* on_cpu(const OrtCustomOp* op) {
  auto* made = new Op;
  std::memcpy(static_cast<OrtCustomOp*>(made), op, sizeof(OrtCustomOp));
  made->inner = op;
  made->CreateKernel = nullptr;
  made->KernelCompute = nullptr;
  made->InferOutputShapeFn = nullptr;
  made->GetExecutionProviderType = [](const OrtCustomOp*) { return "CPUExecutionProvider"; };
  made->GetName = [](const OrtCustomOp* self) { return inner_of(self)->GetName(inner_of(self)); };
  made->GetInputType = [](const OrtCustomOp* self, size_t index) {
    return inner_of(self)->GetInputType(inner_of(self), index);
  };
  made->GetInputTypeCount = [](const OrtCustomOp* self) {
    return inner_of(self)->GetInputTypeCount(inner_of(self));
  };
  made->GetOutputType = [](const OrtCustomOp* self, size_t index) {
    return inner_of(self)->GetOutputType(inner_of(self), index);
  };
  made->GetOutputTypeCount = [](const OrtCustomOp* self) {
    return inner_of(self)->GetOutputTypeCount(inner_of(self));
  };
  made->GetInputCharacteristic = [](const OrtCustomOp* self, size_t index) {
    return inner_of(self)->GetInputCharacteristic(inner_of(self), index);
  };
  made->GetOutputCharacteristic = [](const OrtCustomOp* self, size_t index) {
    return inner_of(self)->GetOutputCharacteristic(inner_of(self), index);
  };
  made->GetInputMemoryType = [](const OrtCustomOp* self, size_t index) {
    return inner_of(self)->GetInputMemoryType(inner_of(self), index);
  };
  made->GetVariadicInputMinArity = [](const OrtCustomOp*) { return 1; };
  made->GetVariadicInputHomogeneity = [](const OrtCustomOp*) { return 1; };
  made->GetVariadicOutputMinArity = [](const OrtCustomOp*) { return 1; };
  made->GetVariadicOutputHomogeneity = [](const OrtCustomOp*) { return 1; };
  made->GetStartVersion = [](const OrtCustomOp* self) {
    return inner_of(self)->GetStartVersion(inner_of(self));
  };
  made->GetEndVersion = [](const OrtCustomOp* self) {
    return inner_of(self)->GetEndVersion(inner_of(self));
  };
  made->CreateKernelV2 = [](const OrtCustomOp* self, const OrtApi*, const OrtKernelInfo* info,
                            void** kernel) -> OrtStatusPtr {
    void* inner = nullptr;
    OrtStatus* status = inner_of(self)->CreateKernelV2(inner_of(self), table(), info, &inner);
    if (!status) *kernel = new Kernel{inner_of(self), inner};
    return status;
  };
  made->KernelComputeV2 = [](void* kernel, OrtKernelContext* context) -> OrtStatusPtr {
    return compute(static_cast<Kernel*>(kernel), context);
  };
  made->KernelDestroy = [](void* kernel) {
    auto* mine = static_cast<Kernel*>(kernel);
    mine->op->KernelDestroy(mine->inner);
    delete mine;
  };
  return made;
}

}  // namespace zoo::host_ort
