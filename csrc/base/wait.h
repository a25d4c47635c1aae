#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

namespace zoo {

// Time after which a thread that waits looks again, although nobody has told it to.
constexpr std::chrono::hours kLookAgain{1};

// Waits as changed.wait(lock, is_true) does. That function has a symbol of its own since GCC 12,
// with which a library does not load beside an older libstdc++ (RHEL 9); wait_for is inline.
template <typename Predicate>
void wait_until_true(std::condition_variable& changed, std::unique_lock<std::mutex>& lock,
                     const Predicate& is_true) {
  while (!changed.wait_for(lock, kLookAgain, is_true)) {
  }
}

}  // namespace zoo
