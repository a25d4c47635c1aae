// Messages of TensorRT, from which errors are explained. It takes one logger per process.
#pragma once

#include <NvInferRuntime.h>

#include <algorithm>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace zoo::tensorrt {

// Collects errors and warnings. TensorRT also calls it from its own threads.
class Log : public nvinfer1::ILogger {
 public:
  void log(Severity severity, const char* text) noexcept override {
    if (severity > Severity::kWARNING || !text) return;
    try {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (messages_.size() < kMaxMessages) messages_.emplace_back(severity, text);
    } catch (...) {
      // Out of memory: the message is dropped, because TensorRT must not see an exception.
    }
  }

  // Begins a call of TensorRT: clears the messages, and keeps other calls out for the lifetime of
  // the result. Must not be nested.
  std::unique_lock<std::mutex> begin() {
    std::unique_lock<std::mutex> call(call_mutex_);
    const std::lock_guard<std::mutex> lock(mutex_);
    messages_.clear();
    return call;
  }

  // Returns the first error since begin() in one line, or "no reason given".
  std::string first_error() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (const auto& [severity, text] : messages_) {
      if (severity <= Severity::kERROR && !is_noise(text)) return one_line(text);
    }
    return "no reason given";
  }

 private:
  static constexpr size_t kMaxMessages = 100;

  // Returns true for errors that successful builds log too, or any failure without a driver.
  static bool is_noise(const std::string& text) {
    for (const char* part : {"Thread context has not been set", "catchCudaError"}) {
      if (text.find(part) != std::string::npos) return true;
    }
    return false;
  }

  static std::string one_line(const std::string& text) {
    constexpr const char* kBlank = " \t\r\n";
    std::string line;
    for (size_t at = 0; (at = text.find_first_not_of(kBlank, at)) != std::string::npos;) {
      const size_t end = std::min(text.find_first_of(kBlank, at), text.size());
      line += (line.empty() ? "" : " ") + text.substr(at, end - at);
      at = end;
    }
    return line;
  }

  std::mutex call_mutex_;
  mutable std::mutex mutex_;  // guards messages_
  std::vector<std::pair<Severity, std::string>> messages_;
};

}  // namespace zoo::tensorrt
