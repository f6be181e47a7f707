#include "engine/model/token_decoder.h"

#include <charconv>
#include <nlohmann/json.hpp>

#include "engine/model/normalizer.h"
#include "engine/text/byte_level.h"

namespace spolia::engine {

using nlohmann::json;

namespace {

constexpr uint32_t kMaxTrim = 1024;
constexpr std::string_view kDecoders =
    "Replace, Metaspace, Strip, ByteFallback, Fuse or a Sequence of these";

Result<std::string> oneCharacter(const JsonFields& fields, const char* field,
                                 std::optional<std::string> fallback) {
  SPOLIA_ASSIGN_OR_RETURN(std::string text, fields.string(field, std::move(fallback)));
  if (text.empty() || utf8Length(text) != text.size()) return fields.wrong(field, "one character");
  return text;
}

}  // namespace

int byteOfFallbackToken(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return -1;
  uint8_t byte = 0;
  const char* const end = token.data() + 5;
  const auto [read, failed] = std::from_chars(token.data() + 3, end, byte, 16);
  return failed == std::errc() && read == end ? byte : -1;
}

std::string_view TokenDecoder::Trim::front(std::string_view text) const {
  for (uint32_t i = 0; i < start && text.starts_with(content); ++i) {
    text.remove_prefix(content.size());
  }
  return text;
}

std::string_view TokenDecoder::Trim::back(std::string_view text) const {
  for (uint32_t i = 0; i < stop && text.ends_with(content); ++i) {
    text.remove_suffix(content.size());
  }
  return text;
}

Status TokenDecoder::addReplace(const json& value, std::string_view file,
                                const std::string& field) {
  Step step;
  SPOLIA_ASSIGN_OR_RETURN(step.content, JsonFields(value, file, field + ".").string("content"));
  SPOLIA_ASSIGN_OR_RETURN(Pattern pattern, parsePattern(value, file, field + "."));
  step.pattern = std::make_unique<Pattern>(std::move(pattern));
  steps_.push_back(std::move(step));
  return Status();
}

// The reference in Rust takes all signs off the first token, which loses blanks; one, which
// encoding put there, is taken off here, as the one in JavaScript does.
Status TokenDecoder::addMetaspace(const JsonFields& fields) {
  SPOLIA_ASSIGN_OR_RETURN(const std::string sign,
                          oneCharacter(fields, "replacement", std::string(kBlankSign)));
  SPOLIA_ASSIGN_OR_RETURN(const bool prefix, fields.boolean("add_prefix_space", true));
  SPOLIA_ASSIGN_OR_RETURN(const std::string scheme,
                          fields.string("prepend_scheme", prefix ? "always" : "never"));
  if (scheme != "always" && scheme != "first" && scheme != "never") {
    return fields.wrong("prepend_scheme", "always, first or never");
  }
  SPOLIA_ASSIGN_OR_RETURN(Pattern pattern, Pattern::literal(sign));
  steps_.push_back({std::make_unique<Pattern>(std::move(pattern)), " ", {}});
  if (scheme != "never") trims_.push_back({" ", 1, 0});
  return Status();
}

Status TokenDecoder::addStrip(const JsonFields& fields) {
  Trim trim;
  SPOLIA_ASSIGN_OR_RETURN(trim.content, oneCharacter(fields, "content", std::nullopt));
  SPOLIA_ASSIGN_OR_RETURN(trim.start, fields.integer("start", 0, kMaxTrim));
  SPOLIA_ASSIGN_OR_RETURN(trim.stop, fields.integer("stop", 0, kMaxTrim));
  if (stage_ == Stage::kFused) {
    trims_.push_back(std::move(trim));
  } else {
    steps_.push_back({nullptr, {}, std::move(trim)});
  }
  return Status();
}

Status TokenDecoder::add(const json& value, std::string_view file, const std::string& field) {
  if (!value.is_object()) {
    return Status(ErrorCode::kInvalidArgument, std::string(file) + ": " + field + " is " +
                                                   describeJson(value) + ", expected an object");
  }
  const JsonFields fields(value, file, field + ".");
  SPOLIA_ASSIGN_OR_RETURN(const std::string type, fields.string("type"));
  const bool strip = type == "Strip", fuse = type == "Fuse";
  if (strip ? stage_ == Stage::kBytes : stage_ != Stage::kTokens && !fuse) {
    return fields.wrong("type", "only Fuse behind ByteFallback, and only Strip behind Fuse",
                        ErrorCode::kUnsupported);
  }
  if (strip) return addStrip(fields);
  if (type == "Replace") return addReplace(value, file, field);
  if (type == "Metaspace") return addMetaspace(fields);
  if (type != "ByteFallback" && !fuse)
    return fields.wrong("type", kDecoders, ErrorCode::kUnsupported);
  byteFallback_ |= !fuse;
  stage_ = fuse ? Stage::kFused : Stage::kBytes;
  return Status();
}

Result<TokenDecoder> TokenDecoder::parse(const json* value, TextUnit unit, std::string_view file) {
  TokenDecoder out;
  out.unit_ = unit;
  if (!value && unit == TextUnit::kBytes) return out;
  if (!value || !value->is_object()) {
    return Status(ErrorCode::kInvalidArgument, std::string(file) + ": decoder is " +
                                                   (value ? describeJson(*value) : "missing") +
                                                   ", expected an object");
  }
  const JsonFields fields(*value, file, "decoder.");
  SPOLIA_ASSIGN_OR_RETURN(const std::string type, fields.string("type"));
  // Another decoder than ByteLevel would change what symbols for bytes mean.
  if (unit == TextUnit::kBytes) {
    if (type == "ByteLevel") return out;
    return fields.wrong("type", "ByteLevel, as in pre_tokenizer", ErrorCode::kUnsupported);
  }
  if (type != "Sequence") {
    SPOLIA_RETURN_IF_ERROR(out.add(*value, file, "decoder"));
    return out;
  }
  const json* list = fields.find("decoders");
  if (!list || !list->is_array() || list->size() > kMaxTokenizerSteps) {
    return fields.wrong("decoders", "a list of decoders");
  }
  for (size_t i = 0; i < list->size(); ++i) {
    const std::string field = "decoder.decoders[" + std::to_string(i) + "]";
    SPOLIA_RETURN_IF_ERROR(out.add((*list)[i], file, field));
  }
  return out;
}

TokenDecoder TokenDecoder::sentencePiece(bool strips) {
  TokenDecoder out;
  out.unit_ = TextUnit::kCharacters;
  out.steps_.push_back({std::make_unique<Pattern>(*Pattern::literal(kBlankSign)), " ", {}});
  out.byteFallback_ = true;
  if (strips) out.trims_.push_back({" ", 1, 0});
  return out;
}

Result<std::string> TokenDecoder::bytesOf(std::string_view token) const {
  if (unit_ == TextUnit::kBytes) return bytesOfSymbols(token);
  std::string text(token);
  for (const Step& step : steps_) {
    if (step.pattern) {
      SPOLIA_ASSIGN_OR_RETURN(text, step.pattern->replaceAll(text, step.content, kMaxTokenBytes));
    } else {
      text = step.trim.back(step.trim.front(text));
    }
  }
  const int byte = byteFallback_ ? byteOfFallbackToken(text) : -1;
  return byte < 0 ? text : std::string(1, static_cast<char>(byte));
}

std::string_view TokenDecoder::trimFront(std::string_view text) const {
  for (const Trim& trim : trims_) text = trim.front(text);
  return text;
}

std::string_view TokenDecoder::trim(std::string_view text) const {
  for (const Trim& trim : trims_) text = trim.back(trim.front(text));
  return text;
}

}  // namespace spolia::engine
