#include "engine/jinja/jinja_template.h"

#include "engine/jinja/template_evaluator.h"
#include "engine/jinja/template_parser.h"

namespace spolia::engine::jinja {

Result<Template> Template::parse(std::string_view source) {
  SPOLIA_ASSIGN_OR_RETURN(Block block, parseTemplate(source));
  return Template(std::move(block));
}

Result<MarkedText> Template::render(const Variables& variables, const std::tm& now,
                                    const Limits& limits) const {
  Budget budget(limits);
  Evaluator evaluator(budget, variables, now);
  return evaluator.run(*block_);
}

}  // namespace spolia::engine::jinja
