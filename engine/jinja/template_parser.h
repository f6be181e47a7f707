// From a template's source to its statements. Pure; any thread.
#pragma once

#include <string_view>

#include "codec/base/result.h"
#include "engine/jinja/template_ast.h"

namespace spolia::engine::jinja {

// Of Jinja2 with the loop controls and the "generation" blocks of transformers; what reads other
// templates (include, import, extends, block) is refused. kInvalidArgument, or kUnsupported for a
// statement that is none of these, with line and column; kResourceExhausted for one that nests too
// deep.
Result<Block> parseTemplate(std::string_view source);

}  // namespace spolia::engine::jinja
