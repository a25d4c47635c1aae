// A callback set for the whole process that any thread may call.
#pragma once

#include <memory>
#include <mutex>
#include <utility>

#include "base/fork.h"

namespace zoo {

// Keep it in memory that is never freed: a Python callback must not be destroyed after Python is.
template <typename Function>
class ProcessFunction {
 public:
  void set(Function function) {
    auto fresh = std::make_shared<const Function>(std::move(function));
    const ForkGuard guard;
    const std::lock_guard<std::mutex> lock(mutex_);
    function_.swap(fresh);
  }

  // Null or empty if none is set. Shared rather than copied, because copying or destroying a
  // Python callback needs Python's lock.
  std::shared_ptr<const Function> get() const {
    const ForkGuard guard;
    const std::lock_guard<std::mutex> lock(mutex_);
    return function_;
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const Function> function_;
};

}  // namespace zoo
