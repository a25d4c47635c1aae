// A function that a program sets for the whole process, and that any thread calls.
#pragma once

#include <memory>
#include <mutex>
#include <utility>

#include "base/fork.h"

namespace zoo {

// Hold it in memory that is never freed: what Python sets may not be destroyed after Python is.
template <typename Function>
class ProcessFunction {
 public:
  void set(Function given) {
    auto fresh = std::make_shared<const Function>(std::move(given));
    const ForkGuard guard;
    const std::lock_guard<std::mutex> lock(mutex_);
    function_.swap(fresh);
  }

  // Null or empty where none is set. Shared, not copied: to copy or destroy a function of
  // Python's takes Python's lock.
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
