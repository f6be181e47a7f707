#include "engine/model/normalizer.h"

#include <utf8proc.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "engine/model/json_file.h"

namespace spolia::engine {

using nlohmann::json;

namespace {

constexpr size_t kMaxPrependBytes = 1024;
constexpr std::string_view kNormalizers = "null, NFC, Prepend, Replace or a Sequence of these";

std::string toNfc(const std::string& text) {
  utf8proc_uint8_t* made = nullptr;
  const auto length =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                   static_cast<utf8proc_ssize_t>(text.size()), &made,
                   static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  if (length < 0) return text;
  std::string out(reinterpret_cast<const char*>(made), static_cast<size_t>(length));
  std::free(made);
  return out;
}

}  // namespace

Result<Normalizer::Step> Normalizer::parseStep(const json& value, std::string_view file,
                                               const std::string& field) {
  if (!value.is_object()) {
    return Status(ErrorCode::kInvalidArgument, std::string(file) + ": " + field + " is " +
                                                   describeJson(value) +
                                                   ", expected null or an object");
  }
  const JsonFields fields(value, file, field + ".");
  SPOLIA_ASSIGN_OR_RETURN(const std::string type, fields.string("type"));
  Step step;
  if (type == "NFC") return step;
  if (type == "Prepend") {
    step.kind = Kind::kPrepend;
    SPOLIA_ASSIGN_OR_RETURN(step.content, fields.string("prepend"));
    if (step.content.size() > kMaxPrependBytes) {
      return fields.wrong("prepend", "at most " + std::to_string(kMaxPrependBytes) + " bytes");
    }
  } else if (type == "Replace") {
    step.kind = Kind::kReplace;
    SPOLIA_ASSIGN_OR_RETURN(step.content, fields.string("content"));
    SPOLIA_ASSIGN_OR_RETURN(Pattern pattern, parsePattern(value, file, field + "."));
    step.pattern = std::make_unique<Pattern>(std::move(pattern));
  } else {
    return fields.wrong("type", kNormalizers, ErrorCode::kUnsupported);
  }
  return step;
}

Result<Normalizer> Normalizer::parse(const json* value, std::string_view file) {
  Normalizer out;
  if (!value) return out;
  if (!value->is_object() || value->value("type", json()) != "Sequence") {
    SPOLIA_ASSIGN_OR_RETURN(Step step, parseStep(*value, file, "normalizer"));
    out.steps_.push_back(std::move(step));
    return out;
  }
  const JsonFields fields(*value, file, "normalizer.");
  const json* list = fields.find("normalizers");
  if (!list || !list->is_array() || list->size() > kMaxTokenizerSteps) {
    return fields.wrong("normalizers", "a list of normalizers");
  }
  for (size_t i = 0; i < list->size(); ++i) {
    const std::string field = "normalizer.normalizers[" + std::to_string(i) + "]";
    SPOLIA_ASSIGN_OR_RETURN(Step step, parseStep((*list)[i], file, field));
    out.steps_.push_back(std::move(step));
  }
  return out;
}

Normalizer Normalizer::escapeBlanks(bool prepends) {
  Normalizer out;
  if (prepends) out.steps_.push_back({Kind::kPrepend, std::string(kBlankSign), nullptr});
  auto blank = Pattern::literal(" ");
  out.steps_.push_back(
      {Kind::kReplace, std::string(kBlankSign), std::make_unique<Pattern>(*std::move(blank))});
  return out;
}

Result<std::string> Normalizer::apply(std::string_view text, size_t limit) const {
  std::string out(text);
  for (const Step& step : steps_) {
    switch (step.kind) {
      case Kind::kNfc:
        out = toNfc(out);
        break;
      case Kind::kPrepend:  // nothing stays nothing, as in the reference
        if (!out.empty()) out.insert(0, step.content);
        break;
      case Kind::kReplace: {
        SPOLIA_ASSIGN_OR_RETURN(out, step.pattern->replaceAll(out, step.content, limit));
        break;
      }
    }
  }
  return out;
}

Result<Pattern> parsePattern(const json& step, std::string_view file, const std::string& prefix) {
  const JsonFields fields(step, file, prefix);
  const json* pattern = fields.find("pattern");
  if (!pattern || !pattern->is_object() || pattern->size() != 1) {
    return fields.wrong("pattern", "{\"Regex\": ...} or {\"String\": ...}");
  }
  const JsonFields inner(*pattern, file, prefix + "pattern.");
  if (inner.find("String")) {
    SPOLIA_ASSIGN_OR_RETURN(const std::string text, inner.string("String"));
    auto literal = Pattern::literal(text);
    if (literal.ok()) return literal;
    return inner.wrong("String", "a text that is not empty");
  }
  SPOLIA_ASSIGN_OR_RETURN(const std::string regex, inner.string("Regex"));
  auto compiled = Pattern::compile(regex);
  if (compiled.ok()) return compiled;
  return compiled.status().withContext(std::string(file) + ": " + prefix + "pattern.Regex");
}

}  // namespace spolia::engine
