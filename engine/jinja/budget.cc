#include "engine/jinja/budget.h"

#include <string>

namespace spolia::engine::jinja {

Status Budget::tooMany() const {
  return Status(ErrorCode::kResourceExhausted,
                "rendering takes more than " + std::to_string(limits_.steps) + " steps");
}

Status Budget::tooLarge() const {
  return Status(
      ErrorCode::kResourceExhausted,
      "rendering makes more than " + std::to_string(limits_.bytes) + " bytes of strings and lists");
}

Status Budget::tooDeep() const {
  return Status(ErrorCode::kResourceExhausted,
                "rendering nests deeper than " + std::to_string(limits_.depth) + " levels");
}

Status Budget::make(uint64_t bytes) {
  if (bytes > limits_.bytes - bytes_) return tooLarge();
  bytes_ += bytes;
  return scan(bytes);
}

Status Budget::write(uint64_t written, uint64_t bytes) {
  if (bytes > limits_.outputBytes - written) {
    return Status(ErrorCode::kResourceExhausted,
                  "more than " + std::to_string(limits_.outputBytes) + " bytes are rendered");
  }
  return make(bytes);
}

}  // namespace spolia::engine::jinja
