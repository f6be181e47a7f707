// Tokenizer files, of SentencePiece and of Hugging Face: what is accepted takes any text to ids
// below its size, and the ids to well-formed text, whether at once or token by token.
#include "engine/model/tokenizer.h"
#include "engine/text/byte_level.h"
#include "tests/fuzz/fuzz_target.h"

namespace spolia::engine {
namespace {

constexpr std::string_view kTexts[] = {"The store  keeps.\n\xE4\xBD\xA0\xF0\x9F\x99\x82 <s>x<sep>",
                                       "\xFF 0123\t\xE2\x96\x81 aaaaaaaa"};

void tokenize(const Tokenizer& tokenizer) {
  for (const std::string_view text : kTexts) {
    const auto ids = tokenizer.encode(text);
    if (!ids.ok()) continue;
    std::string bytes;
    for (const codec::TokenId id : *ids) {
      FUZZ_CHECK(id < tokenizer.vocabSize());
      bytes += tokenizer.tokenBytes(id);
    }
    const std::string decoded = tokenizer.decode(*ids);
    FUZZ_CHECK(isValidUtf8(decoded));
    FUZZ_CHECK(replaceInvalidUtf8(tokenizer.trimFront(bytes)).starts_with(decoded));
  }
}

}  // namespace
}  // namespace spolia::engine

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace spolia::engine;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const bool json = !bytes.empty() && bytes[0] == '{';
  const auto tokenizer =
      json ? Tokenizer::parse(bytes, "t") : Tokenizer::parseSentencePiece(bytes, "t");
  if (tokenizer.ok()) tokenize(*tokenizer);
  return 0;
}
