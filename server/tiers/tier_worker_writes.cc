// How a TierWorker stores and removes.
#include <utility>

#include "codec/base/checksum.h"
#include "server/tiers/tier_worker.h"

namespace spolia::tiers {
namespace {

using codec::ChunkCompletion;
using codec::PutMode;
using codec::PutOutcome;
using Kind = TierRequest::Kind;

// Presets are numbered from the finest on.
bool finer(const codec::EntryInfo& candidate, const codec::EntryInfo& present) {
  if (candidate.preset != present.preset) return candidate.preset < present.preset;
  return candidate.levels > present.levels;
}

}  // namespace

Status TierWorker::prepareStore(Operation& operation) {
  TierRequest& request = operation.request;
  SPOLIA_ASSIGN_OR_RETURN(const codec::StreamHeader header,
                          codec::verifyStream(request.bytes.span()));
  request.id = header.chunkId;
  operation.attributes = attributesOf(request.ns, header, request.bytes.span());
  operation.info.id = header.chunkId;
  operation.info.kind = codec::EntryKind::kChunk;
  operation.info.bytes = request.bytes.size();
  operation.info.tokens = header.tokens();
  operation.info.preset = header.preset;
  operation.info.levels = header.levels;
  findParent(operation, header.identity);
  return {};
}

void TierWorker::findParent(Operation& operation, const codec::ChunkIdentity& identity) {
  std::optional<ChainPlace>& chain = operation.attributes.chain;
  if (!chain || !identity.parent) return;
  const auto found = store_.find(storeKeyOf(operation.request.ns, *identity.parent));
  if (!found.ok() || !*found) return;
  const auto parent = readAttributes((*found)->attributes);
  if (parent.ok()) chain = behind(*chain, *parent);
}

Status TierWorker::prepareValue(Operation& operation) {
  const TierRequest& request = operation.request;
  if (request.label.size() > kMaxLabelBytes) {
    return Status(ErrorCode::kInvalidArgument, "label: " + std::to_string(request.label.size()) +
                                                   " bytes, expected at most " +
                                                   std::to_string(kMaxLabelBytes));
  }
  if (request.entryKind == codec::EntryKind::kChunk) {
    return Status(ErrorCode::kInvalidArgument, "kind: chunks are stored as streams");
  }
  operation.attributes.ns = namespaceTagOf(request.ns);
  operation.attributes.id = request.id;
  operation.attributes.contentTag = xxh3(request.bytes.span());
  operation.attributes.label = request.label;
  operation.info.id = request.id;
  operation.info.kind = request.entryKind;
  operation.info.bytes = request.bytes.size();
  operation.info.label = request.label;
  return {};
}

bool TierWorker::claimKey(uint64_t number, Operation& operation) {
  const auto [place, first] = writers_.try_emplace(operation.key);
  operation.writing = first;
  if (!first) place->second.push_back(number);
  return first;
}

void TierWorker::beginWrite(uint64_t number, Operation& operation) {
  TierRequest& request = operation.request;
  auto found = store_.find(operation.key);
  if (!found.ok()) return fail(number, found.status());
  const bool dropped = request.kind == Kind::kDrop;
  if (request.kind == Kind::kRemove || dropped) {
    const std::optional<Extents> present = *found ? extentsOf(**found) : std::nullopt;
    if (dropped && (!present || present != operation.before)) return finish(number, {});
    operation.before = present;
    headers_.erase(operation.key);
    reader_.drop({operation.key, 0, 0, present});
    return store_.submitRemove(operation.key, number, written_);
  }
  const uint64_t expiresAt =
      expiryOf(lifetimes_, operation.info.kind, request.lifetime, store_.clock());
  operation.info.expiresAt = expiresAt;
  if (*found) {
    // An entry whose attributes cannot be read is worth less than the new one.
    const auto present = entryInfoOf(**found);
    const bool replace = !present.ok() || request.mode == PutMode::kReplace ||
                         (request.mode == PutMode::kIfFiner && finer(operation.info, *present));
    if (!replace) {
      const auto attributes = readAttributes((*found)->attributes);
      const bool same = attributes->contentTag == operation.attributes.contentTag;
      if (!same) ++counters_.differingPuts;
      if (!same || !prolongs(expiresAt, (*found)->expiresAt, store_.clock().nowSeconds())) {
        operation.info = *present;
        ChunkCompletion completion;
        completion.outcome = PutOutcome::kExists;
        return finish(number, std::move(completion));
      }
    }
    operation.outcome = replace ? PutOutcome::kReplaced : PutOutcome::kExists;
    operation.before = extentsOf(**found);
  }
  write(number, operation, expiresAt);
}

void TierWorker::write(uint64_t number, Operation& operation, uint64_t expiresAt) {
  store::PutRequest put;
  put.meta.key = operation.key;
  put.meta.kind = static_cast<uint8_t>(operation.info.kind);
  put.meta.expiresAt = expiresAt;
  put.payload = std::move(operation.request.bytes);
  put.policy = store::PutPolicy::kReplace;
  operation.attributes.extents = extents_.extentsFor(put.payload.size());
  if (operation.attributes.extents) {
    return extents_.write(std::move(put), operation.attributes, number);
  }
  put.meta.payloadBytes = put.payload.size();
  put.meta.attributes = writeAttributes(operation.attributes);
  store_.submitPut(std::move(put), number, written_);
}

void TierWorker::onWritten(uint64_t number, Status status) {
  if (!status.ok()) return fail(number, std::move(status));
  const Operation& operation = operations_.at(number);
  if (operation.before) extents_.discard(operation.key, *operation.before);
  ChunkCompletion out;
  out.outcome = operation.outcome;
  finish(number, std::move(out));
}

// What one extent is without the others is of no use.
void TierWorker::onGone(const store::EntryMeta& meta) {
  if (meta.kind == kExtentKind) {
    const auto extent = readExtentAttributes(meta.attributes);
    if (extent.ok()) drop(extent->entry, *extent->value.extents);
  } else if (const auto extents = extentsOf(meta)) {
    extents_.discard(meta.key, *extents);
  }
}

void TierWorker::drop(const StoreKey& entry, const Extents& extents) {
  const uint64_t number = nextNumber_++;
  Operation& operation = operations_[number];
  operation.request.kind = Kind::kDrop;
  operation.key = entry;
  operation.before = extents;
  if (claimKey(number, operation)) beginWrite(number, operation);
}

}  // namespace spolia::tiers
