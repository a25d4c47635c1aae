// Custom operators for CUDA, registered with the real library as operators for the CPU.
#include "tests/host_onnxruntime_state.h"

namespace zoo::host_ort {
namespace {

constexpr const char* kCuda = "CUDAExecutionProvider";

struct Kernel {
  decltype(OrtCustomOp::KernelComputeV2) compute;
  decltype(OrtCustomOp::KernelDestroy) destroy;
  void* inner;
};

// The same operator for the CPU. The functions that are not replaced do not access the object.
struct Op : OrtCustomOp {
  const OrtCustomOp* inner = nullptr;
};

const OrtCustomOp* unwrap(const OrtCustomOp* op) { return static_cast<const Op*>(op)->inner; }

OrtStatus* compute(void* kernel, OrtKernelContext* context) noexcept {
  const auto& wrapper = *static_cast<Kernel*>(kernel);
  OrtStatus* status = wrapper.compute(wrapper.inner, context);
  const char* failed = devices().ops.synchronize(running->kernels);
  if (!status && failed) status = failure(failed);
  count("operators");
  return status;
}

OrtStatus* get_stream(const OrtKernelContext*, void** stream) noexcept {
  *stream = running->kernels;
  return nullptr;
}

OrtStatus* create_kernel(const OrtCustomOp* op, const OrtApi* api, const OrtKernelInfo* info,
                         void** kernel) noexcept {
  const OrtCustomOp* inner = unwrap(op);
  auto wrapper =
      std::make_unique<Kernel>(Kernel{inner->KernelComputeV2, inner->KernelDestroy, nullptr});
  OrtStatus* status = inner->CreateKernelV2(inner, api, info, &wrapper->inner);
  if (!status) *kernel = wrapper.release();
  return status;
}

void destroy_kernel(void* kernel) noexcept {
  const std::unique_ptr<Kernel> wrapper(static_cast<Kernel*>(kernel));
  wrapper->destroy(wrapper->inner);
}

OrtStatus* add_operator(OrtCustomOpDomain* domain, const OrtCustomOp* op) noexcept {
  if (std::string(op->GetExecutionProviderType(op)) != kCuda) {
    return real().CustomOpDomain_Add(domain, op);
  }
  auto* wrapper = new Op;  // never destroyed, like the domain
  std::memcpy(static_cast<OrtCustomOp*>(wrapper), op, sizeof(OrtCustomOp));
  wrapper->inner = op;
  wrapper->GetExecutionProviderType = [](const OrtCustomOp*) { return "CPUExecutionProvider"; };
  wrapper->GetStartVersion = [](const OrtCustomOp* self) {
    return unwrap(self)->GetStartVersion(unwrap(self));
  };
  wrapper->GetEndVersion = [](const OrtCustomOp* self) {
    return unwrap(self)->GetEndVersion(unwrap(self));
  };
  wrapper->CreateKernelV2 = create_kernel;
  wrapper->KernelComputeV2 = compute;
  wrapper->KernelDestroy = destroy_kernel;
  return real().CustomOpDomain_Add(domain, wrapper);
}

}  // namespace

void use_operators(OrtApi* table) {
  table->CustomOpDomain_Add = add_operator;
  table->KernelContext_GetGPUComputeStream = get_stream;
}

}  // namespace zoo::host_ort
