// A coverage-guided fuzzer for GCC, with the options of Clang's libFuzzer:
//
//   NAME_fuzz [-max_total_time=SECONDS] [-seed=N] [-artifact_prefix=PATH] FOLDER...
//
// Runs every file of the folders, then mutated copies. A copy that reaches new code
// (-fsanitize-coverage=trace-pc) is added to the corpus. An input that ends the program, or takes
// longer than ten seconds, is written to PATHcrash.

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
extern "C" void __sanitizer_set_death_callback(void (*callback)());

namespace {

using Bytes = std::vector<uint8_t>;
using Clock = std::chrono::steady_clock;

constexpr unsigned kSlowSeconds = 10;
constexpr size_t kMaxBytes = size_t{1} << 18;

const Bytes* current = nullptr;
std::string prefix;

std::array<uint8_t, 1 << 16> reached;
bool reached_more = false;

void save() {
  if (!current) return;
  std::ofstream(prefix + "crash", std::ios::binary)
      .write(reinterpret_cast<const char*>(current->data()),
             static_cast<std::streamsize>(current->size()));
  std::fprintf(stderr, "the input is in %scrash\n", prefix.c_str());
}

void on_signal(int number) {
  std::fprintf(stderr, "signal %d%s\n", number, number == SIGALRM ? ": too slow" : "");
  save();
  ::_exit(1);
}

// Runs an input; returns true if it reached new code.
bool run(const Bytes& input) {
  // A copy of exactly this length, so that AddressSanitizer finds reads past the end.
  const Bytes copy(input.begin(), input.end());
  current = &copy;
  reached_more = false;
  ::alarm(kSlowSeconds);
  LLVMFuzzerTestOneInput(copy.data(), copy.size());
  ::alarm(0);
  current = nullptr;
  return reached_more;
}

class Mutator {
 public:
  explicit Mutator(uint64_t seed) : random_(seed) {}

  Bytes mutate(const std::vector<Bytes>& corpus) {
    Bytes input = pick(corpus);
    for (size_t times = 1 + below(6); times != 0; --times) mutate_once(corpus, &input);
    if (input.size() > kMaxBytes) input.resize(kMaxBytes);
    return input;
  }

 private:
  size_t below(size_t limit) { return limit == 0 ? 0 : random_() % limit; }
  const Bytes& pick(const std::vector<Bytes>& corpus) { return corpus[below(corpus.size())]; }

  void mutate_once(const std::vector<Bytes>& corpus, Bytes* bytes) {
    static constexpr uint8_t kSpecial[] = {0,   1,   0x7f, 0x80, 0xff, '"',
                                           '[', ']', '{',  '}',  '-',  '9'};
    const size_t at = below(bytes->size());
    const size_t length = std::min(bytes->size() - at, size_t{1} << below(9));
    const auto place = bytes->begin() + static_cast<ptrdiff_t>(at);
    switch (bytes->empty() ? 4 : below(8)) {
      case 0:
        *place ^= static_cast<uint8_t>(1 << below(8));
        break;
      case 1:
        *place = kSpecial[below(std::size(kSpecial))];
        break;
      case 2:
        *place = static_cast<uint8_t>(*place + 1 - 2 * below(2));
        break;
      case 3:
        bytes->erase(place, place + static_cast<ptrdiff_t>(length));
        break;
      case 4: {  // a part of another file
        const Bytes& other = pick(corpus);
        const size_t from = below(other.size());
        const size_t count = std::min(other.size() - from, size_t{1} << below(9));
        const auto begin = other.begin() + static_cast<ptrdiff_t>(from);
        bytes->insert(place, begin, begin + static_cast<ptrdiff_t>(count));
        break;
      }
      case 5: {  // a repeated part
        const Bytes part(place, place + static_cast<ptrdiff_t>(length));
        bytes->insert(place, part.begin(), part.end());
        break;
      }
      case 6: {  // a long varint of Protocol Buffers
        const Bytes number(1 + below(10), 0xff);
        bytes->insert(place, number.begin(), number.end());
        break;
      }
      default:
        bytes->resize(at);
    }
  }

  std::mt19937_64 random_;
};

std::vector<Bytes> read_corpus(const std::vector<std::string>& folders) {
  std::vector<std::filesystem::path> paths;
  for (const std::string& folder : folders) {
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      if (entry.is_regular_file()) paths.push_back(entry.path());
    }
  }
  // Sorted, so that a seed gives the same inputs on every machine.
  std::sort(paths.begin(), paths.end());
  std::vector<Bytes> corpus;
  for (const auto& path : paths) {
    std::ifstream file(path, std::ios::binary);
    corpus.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return corpus;
}

}  // namespace

// Called at every branch of code compiled with -fsanitize-coverage=trace-pc.
extern "C" void __sanitizer_cov_trace_pc() {
  const auto place = reinterpret_cast<uintptr_t>(__builtin_return_address(0));
  uint8_t& seen = reached[(place ^ place >> 16) % reached.size()];
  reached_more = reached_more || seen == 0;
  seen = 1;
}

int main(int argc, char** argv) {
  double seconds = 0;
  uint64_t seed = 0;
  std::vector<std::string> folders;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const auto value = [&](const char* name) {
      const std::string start = std::string(name) + "=";
      return argument.rfind(start, 0) == 0 ? argv[i] + start.size() : nullptr;
    };
    if (const char* text = value("-max_total_time")) {
      seconds = std::strtod(text, nullptr);
    } else if (const char* number = value("-seed")) {
      seed = std::strtoull(number, nullptr, 10);
    } else if (const char* path = value("-artifact_prefix")) {
      prefix = path;
    } else if (argument[0] != '-') {
      folders.push_back(argument);
    }
  }
  __sanitizer_set_death_callback(save);
  for (const int number : {SIGALRM, SIGABRT}) ::signal(number, on_signal);
  std::vector<Bytes> corpus = read_corpus(folders);
  if (corpus.empty()) {
    std::fprintf(stderr, "the corpus is empty: expected folders with files\n");
    return 2;
  }
  const size_t files = corpus.size();
  for (size_t i = 0; i < files; ++i) run(corpus[i]);
  Mutator mutator(seed);
  size_t runs = 0;
  const auto begin = Clock::now();
  while (std::chrono::duration<double>(Clock::now() - begin).count() < seconds) {
    Bytes input = mutator.mutate(corpus);
    if (run(input)) corpus.push_back(std::move(input));
    ++runs;
  }
  std::printf("%zu files, %zu mutated ones, %zu of them kept\n", files, runs,
              corpus.size() - files);
  return 0;
}
