// Custom operators for CUDA, which the real library runs as operators for the CPU.
#include "tests/host_onnxruntime_state.h"

namespace zoo::host_ort {
namespace {

constexpr const char* kCuda = "CUDAExecutionProvider";

struct Kernel {
  decltype(OrtCustomOp::KernelComputeV2) compute;
  decltype(OrtCustomOp::KernelDestroy) destroy;
  void* inner;
};

// The same operator for the CPU. Of the functions that are not replaced, none reads the object.
struct Op : OrtCustomOp {
  const OrtCustomOp* inner = nullptr;
};

const OrtCustomOp* inner_of(const OrtCustomOp* op) { return static_cast<const Op*>(op)->inner; }

OrtStatus* compute(void* kernel, OrtKernelContext* context) noexcept {
  const auto& given = *static_cast<Kernel*>(kernel);
  OrtStatus* status = given.compute(given.inner, context);
  const char* failed = devices().ops.synchronize(running->kernels);
  if (!status && failed) status = failure(failed);
  count("operators");
  return status;
}

OrtStatus* stream_of(const OrtKernelContext*, void** stream) noexcept {
  *stream = running->kernels;
  return nullptr;
}

OrtStatus* create_kernel(const OrtCustomOp* op, const OrtApi* api, const OrtKernelInfo* info,
                         void** kernel) noexcept {
  const OrtCustomOp* inner = inner_of(op);
  auto made =
      std::make_unique<Kernel>(Kernel{inner->KernelComputeV2, inner->KernelDestroy, nullptr});
  OrtStatus* status = inner->CreateKernelV2(inner, api, info, &made->inner);
  if (!status) *kernel = made.release();
  return status;
}

void destroy_kernel(void* kernel) noexcept {
  const std::unique_ptr<Kernel> mine(static_cast<Kernel*>(kernel));
  mine->destroy(mine->inner);
}

OrtStatus* add_operator(OrtCustomOpDomain* domain, const OrtCustomOp* op) noexcept {
  if (std::string(op->GetExecutionProviderType(op)) != kCuda) {
    return real().CustomOpDomain_Add(domain, op);
  }
  auto* made = new Op;  // lives as long as the process, as the domain does
  std::memcpy(static_cast<OrtCustomOp*>(made), op, sizeof(OrtCustomOp));
  made->inner = op;
  made->GetExecutionProviderType = [](const OrtCustomOp*) { return "CPUExecutionProvider"; };
  made->GetStartVersion = [](const OrtCustomOp* self) {
    return inner_of(self)->GetStartVersion(inner_of(self));
  };
  made->GetEndVersion = [](const OrtCustomOp* self) {
    return inner_of(self)->GetEndVersion(inner_of(self));
  };
  made->CreateKernelV2 = create_kernel;
  made->KernelComputeV2 = compute;
  made->KernelDestroy = destroy_kernel;
  return real().CustomOpDomain_Add(domain, made);
}

}  // namespace

void use_operators(OrtApi* table) {
  table->CustomOpDomain_Add = add_operator;
  table->KernelContext_GetGPUComputeStream = stream_of;
}

}  // namespace zoo::host_ort
