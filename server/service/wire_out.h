// Our structs to the protocol's. Pure functions; any thread.
#pragma once

#include "client/protocol/spolia.capnp.h"
#include "codec/chunk_exchange.h"

namespace spolia::service {

void writeInfo(const codec::EntryInfo& info, protocol::EntryInfo::Builder out);
void writeFailure(const Status& status, protocol::Failure::Builder out);

// kInvalidArgument for a number the protocol does not have.
Result<codec::PutMode> putModeOf(protocol::PutMode mode);
Result<codec::EntryKind> entryKindOf(protocol::EntryKind kind);
protocol::PutOutcome wireOutcome(codec::PutOutcome outcome);
// The parts a session's hello names; kInvalidArgument naming the field.
Result<codec::ModelDescriptor> descriptorOf(protocol::ModelHello::Reader hello);

}  // namespace spolia::service
