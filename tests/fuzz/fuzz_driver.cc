// Runs a fuzz target without libFuzzer: every file of the corpus as it is, then mutations of them
// that follow from a seed. The same seed gives the same inputs.
//
//   fuzz_NAME [--seed N] [--runs N] [--seconds N] [--artifacts DIRECTORY] FILE_OR_DIRECTORY...
//
// Ends after so many runs or seconds, whichever comes first. An input that fails is written to the
// artifacts' directory and named; given as a FILE with --runs 0 it is tried alone.
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <random>
#include <string>
#include <vector>

#include "tests/fuzz/fuzz_target.h"

extern "C" void __sanitizer_set_death_callback(void (*callback)()) __attribute__((weak));

namespace {

using Input = std::vector<uint8_t>;
constexpr size_t kMaxInput = 256 << 10;

struct Options {
  uint64_t seed = 1;
  uint64_t runs = 10000;
  uint64_t seconds = 0;  // 0: no limit
  std::filesystem::path artifacts = ".";
  std::vector<std::filesystem::path> corpus;
};

// For the handler of a crash.
Options options;
Input current;
uint64_t currentRun = 0;

void saveCurrent() {
  const auto path = options.artifacts / ("crash-" + std::to_string(options.seed) + "-" +
                                         std::to_string(currentRun) + ".input");
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(current.data()),
             static_cast<std::streamsize>(current.size()));
  std::cerr << "failed: --seed " << options.seed << ", run " << currentRun << ", input of "
            << current.size() << " bytes kept in " << path << std::endl;
}

void onSignal(int signal) {
  std::signal(signal, SIG_DFL);
  saveCurrent();
  std::raise(signal);
}

bool parse(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (!word.starts_with("--")) {
      options.corpus.emplace_back(word);
      continue;
    }
    if (++i == argc) return false;
    if (word == "--artifacts") {
      options.artifacts = argv[i];
      continue;
    }
    const uint64_t number = std::strtoull(argv[i], nullptr, 10);
    if (word == "--seed") {
      options.seed = number;
    } else if (word == "--runs") {
      options.runs = number;
    } else if (word == "--seconds") {
      options.seconds = number;
    } else {
      return false;
    }
  }
  return true;
}

Input readFile(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  Input bytes((std::istreambuf_iterator<char>(in)), {});
  bytes.resize(std::min(bytes.size(), kMaxInput));
  return bytes;
}

// In an order that does not depend on the file system.
std::vector<Input> readCorpus() {
  std::vector<std::filesystem::path> files;
  for (const auto& path : options.corpus) {
    if (!std::filesystem::is_directory(path)) {
      files.push_back(path);
      continue;
    }
    for (const auto& entry : std::filesystem::recursive_directory_iterator(path)) {
      const auto kind = entry.path().extension();
      if (kind == ".stream" || kind == ".seg" || kind == ".input") files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  std::vector<Input> corpus;
  for (const auto& file : files) corpus.push_back(readFile(file));
  return corpus;
}

// Numbers on the edge of what fits, at any width.
uint64_t edge(std::mt19937_64& random) {
  const uint64_t value = uint64_t{1} << random() % 64;
  return value + random() % 3 - 1;
}

// `sameLength`: only what leaves every byte where it is.
void mutateOnce(Input& input, const std::vector<Input>& corpus, std::mt19937_64& random,
                bool sameLength) {
  const size_t at = input.empty() ? 0 : random() % input.size();
  const size_t length = input.empty() ? 0 : std::min<size_t>(1 + random() % 64, input.size() - at);
  const auto here = input.begin() + static_cast<std::ptrdiff_t>(at);
  const uint64_t kinds = sameLength ? 5 : 9;
  switch (input.empty() ? 8 : random() % kinds) {
    case 0:
      input[at] ^= static_cast<uint8_t>(1 << random() % 8);
      break;
    case 1:
      input[at] = static_cast<uint8_t>(random());
      break;
    case 2: {
      const uint64_t value = edge(random);
      std::memcpy(&input[at], &value,
                  std::min<size_t>(size_t{1} << random() % 4, input.size() - at));
      break;
    }
    case 3:
      std::fill_n(here, length, static_cast<uint8_t>(random() % 2 * 255));
      break;
    case 4: {  // a piece of another input
      if (corpus.empty()) break;
      const Input& other = corpus[random() % corpus.size()];
      const size_t from = other.empty() ? 0 : random() % other.size();
      const size_t count = std::min({other.size() - from, input.size() - at, length * 8});
      std::copy_n(other.begin() + static_cast<std::ptrdiff_t>(from), count, here);
      break;
    }
    case 5:
      input.erase(here, here + static_cast<std::ptrdiff_t>(length));
      break;
    case 6: {
      const Input copy(here, here + static_cast<std::ptrdiff_t>(length));
      input.insert(here, copy.begin(), copy.end());
      break;
    }
    case 7:
      input.resize(at);
      break;
    default:
      for (size_t n = 1 + random() % 16; n > 0; --n) {
        input.push_back(static_cast<uint8_t>(random()));
      }
  }
}

Input mutated(const std::vector<Input>& corpus, std::mt19937_64& random) {
  Input input;
  if (!corpus.empty()) input = corpus[random() % corpus.size()];
  const bool sameLength = random() % 4 != 0;
  for (uint64_t n = 1 + random() % 8; n > 0; --n) mutateOnce(input, corpus, random, sameLength);
  input.resize(std::min(input.size(), kMaxInput));
  return input;
}

void run(Input input) {
  current = std::move(input);
  ++currentRun;
  LLVMFuzzerTestOneInput(current.data(), current.size());
}

}  // namespace

int main(int argc, char** argv) {
  if (!parse(argc, argv)) {
    std::cerr << "usage: " << argv[0]
              << " [--seed N] [--runs N] [--seconds N] [--artifacts DIRECTORY] CORPUS...\n";
    return 2;
  }
  if (__sanitizer_set_death_callback != nullptr) __sanitizer_set_death_callback(saveCurrent);
  for (int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL}) std::signal(signal, onSignal);
  const std::vector<Input> corpus = readCorpus();
  for (const Input& input : corpus) run(input);
  std::mt19937_64 random(options.seed);
  const auto start = std::chrono::steady_clock::now();
  for (uint64_t i = 0; i < options.runs; ++i) {
    const auto passed = std::chrono::steady_clock::now() - start;
    if (options.seconds != 0 && passed >= std::chrono::seconds(options.seconds)) break;
    run(mutated(corpus, random));
  }
  std::cout << "seed " << options.seed << ": " << corpus.size() << " inputs of the corpus, "
            << currentRun - corpus.size() << " mutations\n";
  return 0;
}
