// Status and Result<T>: how every part of Spolia that does not already speak kj::Promise reports
// failure. Values; any thread. Both are nodiscard: an outcome that is not looked at does not
// compile cleanly.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "codec/base/check.h"

namespace spolia {

// The closed list of failure classes. The numbers travel on the wire: never renumber, only append.
enum class ErrorCode : int {
  kOk = 0,
  kInvalidArgument = 1,     // the caller's input is wrong; the message names field, file or flag
  kNotFound = 2,            // expected absence: a miss
  kAlreadyExists = 3,       // something else is there already
  kCorrupt = 4,             // bytes failed a check; they were not handed out
  kUnsupported = 5,         // well-formed, but of a version or kind this build does not know
  kOutOfSpace = 6,          // the disk or the configured cap is full
  kIoError = 7,             // the operating system reported a failure
  kUnavailable = 8,         // the peer or the store cannot be reached now; trying later may help
  kPermissionDenied = 9,    // the credential does not allow this
  kDeadlineExceeded = 10,   // not done in the time allowed
  kResourceExhausted = 11,  // a limit on memory, sessions or bytes in flight
  kCancelled = 12,          // given up by the caller
  kInternal = 13,           // a defect of ours
};

// Stable lower_snake_case name ("not_found"); "unknown" for a number not in the list.
std::string_view errorCodeName(ErrorCode code);

class [[nodiscard]] Status {
 public:
  // Success.
  Status() = default;
  // Failure; `code` is not kOk. The message is for people: one line, no trailing period.
  Status(ErrorCode code, std::string message) : code_(code), message_(std::move(message)) {
    SPOLIA_DCHECK(code != ErrorCode::kOk);
  }

  bool ok() const { return code_ == ErrorCode::kOk; }
  ErrorCode code() const { return code_; }
  const std::string& message() const { return message_; }
  // "not_found: no chunk 3f..." or "ok".
  std::string toString() const;
  // The same failure with "context: " put in front of the message; success stays success.
  Status withContext(std::string_view context) const;
  // Says that a failure here is of no consequence; the reason stands beside the call.
  void ignore() const {}

 private:
  ErrorCode code_ = ErrorCode::kOk;
  std::string message_;
};

// A value or the Status that explains its absence.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  // `status` is a failure.
  Result(Status status) : state_(std::in_place_index<1>, std::move(status)) {
    SPOLIA_CHECK(!std::get<1>(state_).ok());
  }
  Result(ErrorCode code, std::string message) : Result(Status(code, std::move(message))) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  // The value; only when ok().
  T& value() & { return checked(); }
  const T& value() const& { return const_cast<Result*>(this)->checked(); }
  T&& value() && { return std::move(checked()); }
  T& operator*() & { return checked(); }
  const T& operator*() const& { return const_cast<Result*>(this)->checked(); }
  T&& operator*() && { return std::move(checked()); }
  T* operator->() { return &checked(); }
  const T* operator->() const { return &const_cast<Result*>(this)->checked(); }

  // The failure, or success when ok().
  Status status() const { return ok() ? Status() : std::get<1>(state_); }

 private:
  T& checked() {
    SPOLIA_CHECK(ok());
    return std::get<0>(state_);
  }

  std::variant<T, Status> state_;
};

}  // namespace spolia

// Returns the failure of `expr` (a Status) to the caller.
#define SPOLIA_RETURN_IF_ERROR(expr)                        \
  do {                                                      \
    if (::spolia::Status status_ = (expr); !status_.ok()) { \
      return status_;                                       \
    }                                                       \
  } while (false)

#define SPOLIA_CONCAT_INNER(a, b) a##b
#define SPOLIA_CONCAT(a, b) SPOLIA_CONCAT_INNER(a, b)

// SPOLIA_ASSIGN_OR_RETURN(auto x, makeX()): declares x from a Result, or returns its failure.
#define SPOLIA_ASSIGN_OR_RETURN(declaration, expr) \
  SPOLIA_ASSIGN_OR_RETURN_IMPL(SPOLIA_CONCAT(result_, __LINE__), declaration, expr)
#define SPOLIA_ASSIGN_OR_RETURN_IMPL(result, declaration, expr) \
  auto result = (expr);                                         \
  if (!result.ok()) return result.status();                     \
  declaration = std::move(result).value()
