#include "client/protocol/errors.h"

#include <charconv>
#include <string_view>

namespace spolia::protocol {
namespace {

constexpr std::string_view kMark = "spolia error ";

kj::Exception::Type typeOf(ErrorCode code) {
  switch (code) {
    case ErrorCode::kUnavailable:
      // Not DISCONNECTED: that type is kept for the transport, where it makes a client reconnect.
    case ErrorCode::kResourceExhausted:
    case ErrorCode::kDeadlineExceeded:
      return kj::Exception::Type::OVERLOADED;
    case ErrorCode::kUnsupported:
      return kj::Exception::Type::UNIMPLEMENTED;
    default:
      return kj::Exception::Type::FAILED;
  }
}

Status byType(kj::Exception::Type type, std::string message) {
  switch (type) {
    case kj::Exception::Type::DISCONNECTED:
      return {ErrorCode::kUnavailable, std::move(message)};
    case kj::Exception::Type::OVERLOADED:
      if (message == "operation timed out") {
        return {ErrorCode::kDeadlineExceeded, std::move(message)};
      }
      return {ErrorCode::kResourceExhausted, std::move(message)};
    case kj::Exception::Type::UNIMPLEMENTED:
      return {ErrorCode::kUnsupported, std::move(message)};
    case kj::Exception::Type::FAILED:
      break;
  }
  return {ErrorCode::kInternal, std::move(message)};
}

}  // namespace

ErrorCode errorCodeFromWire(uint32_t number) {
  if (number == 0 || number > static_cast<uint32_t>(ErrorCode::kInternal)) {
    return ErrorCode::kInternal;
  }
  return static_cast<ErrorCode>(number);
}

kj::Exception toException(const Status& status) {
  SPOLIA_CHECK(!status.ok());
  std::string text(kMark);
  text += std::to_string(static_cast<int>(status.code())) + ": " + status.message();
  return kj::Exception(typeOf(status.code()), __FILE__, __LINE__, kj::heapString(text.c_str()));
}

Status toStatus(const kj::Exception& exception) {
  std::string_view text(exception.getDescription().begin(), exception.getDescription().size());
  // The RPC layer puts "remote exception: " in front.
  const size_t mark = text.find(kMark);
  if (mark != std::string_view::npos) {
    const std::string_view rest = text.substr(mark + kMark.size());
    uint32_t number = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
    const size_t digits = static_cast<size_t>(end - rest.data());
    if (error == std::errc() && rest.substr(digits, 2) == ": ") {
      return {errorCodeFromWire(number), std::string(rest.substr(digits + 2))};
    }
  }
  return byType(exception.getType(), std::string(text));
}

}  // namespace spolia::protocol
