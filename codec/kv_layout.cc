#include "codec/kv_layout.h"

#include <string>

namespace spolia::codec {

std::string_view elementTypeName(ElementType type) {
  switch (type) {
    case ElementType::kF32:
      return "f32";
    case ElementType::kF16:
      return "f16";
    case ElementType::kBf16:
      return "bf16";
  }
  return "unknown";
}

Result<ElementType> elementTypeFromName(std::string_view name) {
  for (ElementType type : {ElementType::kF32, ElementType::kF16, ElementType::kBf16}) {
    if (name == elementTypeName(type)) return type;
  }
  return Status(ErrorCode::kInvalidArgument,
                "element type \"" + std::string(name) + "\": expected f32, f16 or bf16");
}

}  // namespace spolia::codec
