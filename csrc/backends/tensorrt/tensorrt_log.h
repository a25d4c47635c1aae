// What TensorRT says, which is why something failed. It takes one logger for a whole process.
#pragma once

#include <NvInferRuntime.h>

#include <algorithm>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace zoo::tensorrt {

// Gathers errors and warnings; TensorRT calls it from threads of its own too.
class Log : public nvinfer1::ILogger {
 public:
  void log(Severity severity, const char* text) noexcept override {
    if (severity > Severity::kWARNING || !text) return;
    try {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (messages_.size() < kMost) messages_.emplace_back(severity, text);
    } catch (...) {
      // Without memory for it, the message is lost; nothing may be thrown to TensorRT.
    }
  }

  // For one call of TensorRT's: what is said from now on is of this call, as long as the result
  // lives. Not to be nested.
  std::unique_lock<std::mutex> begin() {
    std::unique_lock<std::mutex> call(call_mutex_);
    const std::lock_guard<std::mutex> lock(mutex_);
    messages_.clear();
    return call;
  }

  // The first error since begin(), in one line; else "no reason given".
  std::string first_error() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (const auto& [severity, text] : messages_) {
      if (severity <= Severity::kERROR && !is_chatter(text)) return one_line(text);
    }
    return "no reason given";
  }

 private:
  static constexpr size_t kMost = 100;

  // Said by builds that succeed, and by every failure on a machine without a driver.
  static bool is_chatter(const std::string& text) {
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
  mutable std::mutex mutex_;  // guards what follows
  std::vector<std::pair<Severity, std::string>> messages_;
};

}  // namespace zoo::tensorrt
