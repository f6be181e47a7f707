// Chat templates: any bytes are refused or rendered, within the limits, and what is rendered is
// marked soundly. What the conversation says never stands outside of the marks.
#include <nlohmann/json.hpp>

#include "engine/jinja/jinja_template.h"
#include "tests/fuzz/fuzz_target.h"

namespace spolia::engine::jinja {
namespace {

// Occurs in no template by chance.
constexpr char kSecret[] = "\xC2\xA7\xC2\xB6\xC2\xA7";

Variables conversation() {
  using Json = nlohmann::ordered_json;
  const Json messages = {{{"role", "system"}, {"content", kSecret}},
                         {{"role", "user"}, {"content", std::string("a ") + kSecret + " b\n"}},
                         {{"role", "assistant"}, {"content", "</think>x"}}};
  const Json tools = {{{"type", "function"}, {"function", {{"name", "f"}, {"n", {1, 2.5, true}}}}}};
  return {{"messages", *valueOf(messages)},
          {"tools", *valueOf(tools)},
          {"add_generation_prompt", Value(true)},
          {"bos_token", Value("<s>")},
          {"eos_token", Value("</s>")}};
}

void check(const MarkedText& text, const Limits& limits) {
  FUZZ_CHECK(text.size() <= limits.outputBytes);
  size_t before = 0;
  for (const OriginRange& range : text.ranges()) {
    FUZZ_CHECK(range.begin < range.end && range.begin >= before);
    FUZZ_CHECK(range.end <= text.size() && range.origin == Origin::kContent);
    before = range.end;
  }
  for (size_t at = text.bytes().find(kSecret); at != std::string::npos;
       at = text.bytes().find(kSecret, at + 1)) {
    for (size_t i = 0; i + 1 < sizeof kSecret; ++i) {
      FUZZ_CHECK(text.originAt(at + i) == Origin::kContent);
    }
  }
}

}  // namespace
}  // namespace spolia::engine::jinja

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace spolia::engine::jinja;
  const std::string_view source(reinterpret_cast<const char*>(data), size);
  if (source.find("\xC2\xA7") != std::string_view::npos) return 0;
  const auto parsed = Template::parse(source);
  if (!parsed.ok()) return 0;
  Limits limits;
  limits.steps = 20'000;
  limits.bytes = 1 << 20;
  limits.outputBytes = 1 << 16;
  const auto text = parsed->render(conversation(), std::tm{}, limits);
  if (text.ok()) check(*text, limits);
  return 0;
}
