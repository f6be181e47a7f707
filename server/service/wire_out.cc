#include "server/service/wire_out.h"

#include <cstring>

#include "client/protocol/wire_bytes.h"

namespace spolia::service {

void writeInfo(const codec::EntryInfo& info, protocol::EntryInfo::Builder out) {
  out.setId(protocol::dataOf(info.id.span()));
  out.setKind(static_cast<protocol::EntryKind>(info.kind));
  out.setBytes(info.bytes);
  out.setTokens(info.tokens);
  out.setPreset(static_cast<uint8_t>(info.preset));
  out.setLevels(info.levels);
  out.setLabel(protocol::textReader(info.label));
  out.setExpiresAt(info.expiresAt);
}

void writeFailure(const Status& status, protocol::Failure::Builder out) {
  out.setCode(static_cast<uint16_t>(status.code()));
  out.setMessage(protocol::textReader(status.message()));
}

Result<codec::PutMode> putModeOf(protocol::PutMode mode) {
  switch (mode) {
    case protocol::PutMode::IF_ABSENT:
      return codec::PutMode::kIfAbsent;
    case protocol::PutMode::IF_FINER:
      return codec::PutMode::kIfFiner;
    case protocol::PutMode::REPLACE:
      return codec::PutMode::kReplace;
  }
  return Status(ErrorCode::kInvalidArgument, "mode: expected ifAbsent, ifFiner or replace");
}

Result<codec::EntryKind> entryKindOf(protocol::EntryKind kind) {
  switch (kind) {
    case protocol::EntryKind::CHUNK:
    case protocol::EntryKind::EMBEDDING:
    case protocol::EntryKind::PROFILE:
    case protocol::EntryKind::MANIFEST:
    case protocol::EntryKind::OPAQUE:
      return static_cast<codec::EntryKind>(kind);
    case protocol::EntryKind::NONE:
      break;
  }
  return Status(ErrorCode::kInvalidArgument,
                "kind: expected chunk, embedding, profile, manifest or opaque");
}

protocol::PutOutcome wireOutcome(codec::PutOutcome outcome) {
  switch (outcome) {
    case codec::PutOutcome::kExists:
      return protocol::PutOutcome::EXISTS;
    case codec::PutOutcome::kReplaced:
      return protocol::PutOutcome::REPLACED;
    case codec::PutOutcome::kStored:
      break;
  }
  return protocol::PutOutcome::STORED;
}

Result<codec::ModelDescriptor> descriptorOf(protocol::ModelHello::Reader hello) {
  codec::ModelDescriptor model;
  const auto read = [](capnp::Data::Reader data, Sha256Digest& out, const char* field) -> Status {
    if (data.size() == 0) return {};
    SPOLIA_ASSIGN_OR_RETURN(out, protocol::digestOf<Sha256Tag>(data, field));
    return {};
  };
  SPOLIA_RETURN_IF_ERROR(read(hello.getWeights(), model.weights, "model.weights"));
  SPOLIA_RETURN_IF_ERROR(read(hello.getAdapter(), model.adapter, "model.adapter"));
  SPOLIA_RETURN_IF_ERROR(read(hello.getConfig(), model.config, "model.config"));
  SPOLIA_RETURN_IF_ERROR(read(hello.getTokenizer(), model.tokenizer, "model.tokenizer"));
  SPOLIA_RETURN_IF_ERROR(read(hello.getRope(), model.rope, "model.rope"));
  model.numerics = protocol::textOf(hello.getNumerics());
  return model;
}

}  // namespace spolia::service
