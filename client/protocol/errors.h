// Status <-> text on the wire <-> kj::Exception: the only place that knows how they correspond.
// Pure functions; any thread.
#pragma once

#include <kj/exception.h>

#include <cstdint>

#include "codec/base/result.h"

namespace spolia::protocol {

// A failure as an exception that crosses an RPC connection and becomes the same Status there.
// `status` is a failure.
kj::Exception toException(const Status& status);

// What an exception means to a caller of ours: the Status it was made from (here or by the peer),
// else by its type: DISCONNECTED kUnavailable, OVERLOADED kResourceExhausted (KJ's timeouts are of
// that type too and become kDeadlineExceeded), UNIMPLEMENTED kUnsupported, FAILED kInternal.
Status toStatus(const kj::Exception& exception);

// A code from the wire; kInternal for numbers this build does not know and for 0.
ErrorCode errorCodeFromWire(uint32_t number);

}  // namespace spolia::protocol
