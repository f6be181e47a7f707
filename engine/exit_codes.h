// Exit codes of spolia-engine, so that scripts can tell failures apart.
#pragma once

#include "codec/base/result.h"

namespace spolia::engine {

enum ExitCode : int {
  kExitOk = 0,
  kExitFailure = 1,      // I/O error, damaged bytes, a defect of ours
  kExitUsage = 2,        // bad flag, configuration or model
  kExitNotFound = 3,     // no such document, file or chunk
  kExitUnavailable = 4,  // server unreachable, store locked, too late
  kExitFull = 5,         // disk, cap or another limit reached
  kExitUnsupported = 6,  // of a version or kind this build does not know
  kExitDenied = 7,       // the credential does not allow it
};

inline constexpr const char* kExitCodeHelp =
    "Exit codes: 0 done; 1 failure; 2 bad flag, configuration or model; 3 not found; 4 server "
    "unreachable or store locked; 5 disk or limit full; 6 unsupported version or kind; 7 denied.";

constexpr ExitCode exitCodeOf(ErrorCode code) {
  switch (code) {
    case ErrorCode::kOk:
      return kExitOk;
    case ErrorCode::kInvalidArgument:
      return kExitUsage;
    case ErrorCode::kNotFound:
      return kExitNotFound;
    case ErrorCode::kUnavailable:
    case ErrorCode::kDeadlineExceeded:
      return kExitUnavailable;
    case ErrorCode::kOutOfSpace:
    case ErrorCode::kResourceExhausted:
      return kExitFull;
    case ErrorCode::kUnsupported:
      return kExitUnsupported;
    case ErrorCode::kPermissionDenied:
      return kExitDenied;
    default:
      return kExitFailure;
  }
}

}  // namespace spolia::engine
