// Template: a Jinja template as models bring them along for their conversations, rendered as
// Python's Jinja2 does it for transformers, within bounds.
//
// What a template can reach is what it is given: no file, no clock, no other template. Immutable;
// const use from any thread.
#pragma once

#include <ctime>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "codec/base/result.h"
#include "engine/jinja/budget.h"
#include "engine/jinja/marked_text.h"
#include "engine/jinja/template_ast.h"
#include "engine/jinja/value.h"

namespace spolia::engine::jinja {

using Variables = std::vector<std::pair<std::string, Value>>;

class Template {
 public:
  // Errors as parseTemplate(): line and column stand in front.
  static Result<Template> parse(std::string_view source);

  // `now` is the time that strftime_now tells. Errors have line and column in front:
  // kInvalidArgument for what the template cannot do with its variables, or raises itself;
  // kUnsupported for what this Jinja lacks; kResourceExhausted beyond the limits, within 100 ms.
  Result<MarkedText> render(const Variables& variables, const std::tm& now,
                            const Limits& limits = {}) const;

 private:
  explicit Template(Block block) : block_(std::make_shared<const Block>(std::move(block))) {}

  std::shared_ptr<const Block> block_;
};

}  // namespace spolia::engine::jinja
