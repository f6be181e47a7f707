// The protocol's structs to ours, checked: a server's answer is input like any other. Pure
// functions; any thread.
#pragma once

#include "client/protocol/spolia.capnp.h"
#include "codec/chunk_exchange.h"

namespace spolia::client {

// kCorrupt when the peer sent what the protocol does not allow.
Result<codec::EntryInfo> readInfo(protocol::EntryInfo::Reader in);
Status readFailure(protocol::Failure::Reader in);
codec::PutOutcome readOutcome(protocol::PutOutcome outcome);
protocol::PutMode wireMode(codec::PutMode mode);
Result<codec::EntryPage> readPage(protocol::Session::ListResults::Reader in);
codec::StoreStats readStats(protocol::Stats::Reader in);

}  // namespace spolia::client
