// GGUF files: tensors of one that is accepted lie inside the file, and a model is made of it that
// takes texts to ids below its size, or the file is refused with its name.
#include <sys/mman.h>
#include <unistd.h>

#include "engine/gguf/gguf_file.h"
#include "engine/gguf/model_loading.h"
#include "tests/fuzz/fuzz_target.h"

namespace spolia::engine {
namespace {

constexpr std::string_view kTexts[] = {"The store  keeps.\n\xE4\xBD\xA0\xF0\x9F\x99\x82 <|eos|>x",
                                       "\xFF 0123\t\xE2\x96\x81 aaaaaaaa"};

void check(const GgufFile& gguf, ByteSpan file) {
  for (const GgufTensor& tensor : gguf.tensors) {
    uint64_t values = 1;
    for (const uint64_t extent : tensor.dimensions) values *= extent;
    FUZZ_CHECK(tensor.bytes.size() == storedBytes(*weightTypeOf(tensor.type), values));
    FUZZ_CHECK(tensor.bytes.data() >= file.data() &&
               tensor.bytes.data() + tensor.bytes.size() <= file.data() + file.size());
  }
}

void use(const Model& model) {
  for (const std::string_view text : kTexts) {
    const auto ids = model.tokenizer().encode(text);
    if (!ids.ok()) continue;
    for (const codec::TokenId id : *ids) FUZZ_CHECK(id < model.config().vocabSize);
    (void)model.tokenizer().decode(*ids);
  }
}

// A file in memory, as the engine opens files.
void load(ByteSpan bytes) {
  const int fd = ::memfd_create("gguf", 0);
  FUZZ_CHECK(fd >= 0);
  FUZZ_CHECK(::write(fd, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  const std::string path = "/proc/self/fd/" + std::to_string(fd);
  const auto model = loadModel(path, {.digestCache = std::nullopt, .memoryLimit = 16 << 20});
  if (model.ok()) {
    use(**model);
  } else {
    FUZZ_CHECK(model.status().message().starts_with(path));
  }
  ::close(fd);
}

}  // namespace
}  // namespace spolia::engine

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace spolia::engine;
  const spolia::ByteSpan file(reinterpret_cast<const std::byte*>(data), size);
  const auto gguf = parseGguf(file, "t");
  if (!gguf.ok()) return 0;
  check(*gguf, file);
  load(file);
  return 0;
}
