#include "client/wire_in.h"

#include "client/protocol/errors.h"
#include "client/protocol/wire_bytes.h"

namespace spolia::client {

Result<codec::EntryInfo> readInfo(protocol::EntryInfo::Reader in) {
  codec::EntryInfo info;
  auto id = protocol::digestOf<ChunkIdTag>(in.getId(), "id");
  const auto kind = static_cast<uint16_t>(in.getKind());
  const uint8_t preset = in.getPreset();
  if (!id.ok() || kind == 0 || kind > static_cast<uint16_t>(codec::EntryKind::kOpaque) ||
      preset > static_cast<uint8_t>(codec::Preset::kSmall)) {
    return Status(ErrorCode::kCorrupt, "the server described an entry wrongly");
  }
  info.id = *id;
  info.kind = static_cast<codec::EntryKind>(kind);
  info.bytes = in.getBytes();
  info.tokens = in.getTokens();
  info.preset = static_cast<codec::Preset>(preset);
  info.levels = in.getLevels();
  info.label = protocol::textOf(in.getLabel());
  info.expiresAt = in.getExpiresAt();
  return info;
}

Status readFailure(protocol::Failure::Reader in) {
  return {protocol::errorCodeFromWire(in.getCode()), protocol::textOf(in.getMessage())};
}

codec::PutOutcome readOutcome(protocol::PutOutcome outcome) {
  switch (outcome) {
    case protocol::PutOutcome::EXISTS:
      return codec::PutOutcome::kExists;
    case protocol::PutOutcome::REPLACED:
      return codec::PutOutcome::kReplaced;
    case protocol::PutOutcome::STORED:
      break;
  }
  return codec::PutOutcome::kStored;
}

protocol::PutMode wireMode(codec::PutMode mode) {
  switch (mode) {
    case codec::PutMode::kIfFiner:
      return protocol::PutMode::IF_FINER;
    case codec::PutMode::kReplace:
      return protocol::PutMode::REPLACE;
    case codec::PutMode::kIfAbsent:
      break;
  }
  return protocol::PutMode::IF_ABSENT;
}

Result<codec::EntryPage> readPage(protocol::Session::ListResults::Reader in) {
  codec::EntryPage page;
  for (auto entry : in.getEntries()) {
    SPOLIA_ASSIGN_OR_RETURN(auto info, readInfo(entry));
    page.entries.push_back(std::move(info));
  }
  page.next = std::string(asText(protocol::bytesOf(in.getNext())));
  return page;
}

codec::StoreStats readStats(protocol::Stats::Reader in) {
  codec::StoreStats stats;
  stats.location = protocol::textOf(in.getLocation());
  stats.entries = in.getEntries();
  stats.usedBytes = in.getUsedBytes();
  stats.capacityBytes = in.getCapacityBytes();
  stats.freeDiskBytes = in.getFreeDiskBytes();
  stats.hits = in.getHits();
  stats.misses = in.getMisses();
  stats.corruptBlocks = in.getCorruptBlocks();
  stats.differingPuts = in.getDifferingPuts();
  stats.bytesRead = in.getBytesRead();
  stats.bytesWritten = in.getBytesWritten();
  stats.ioBackend = protocol::textOf(in.getIoBackend());
  stats.readOnly = protocol::textOf(in.getReadOnly());
  stats.indexBytes = in.getIndexBytes();
  stats.evicted = in.getEvicted();
  stats.expired = in.getExpired();
  stats.leased = in.getLeased();
  stats.cleanedSegments = in.getCleanedSegments();
  stats.movedBytes = in.getMovedBytes();
  stats.scrubbedEntries = in.getScrubbedEntries();
  stats.memoryCapacityBytes = in.getMemoryCapacityBytes();
  stats.memoryUsedBytes = in.getMemoryUsedBytes();
  stats.memoryHits = in.getMemoryHits();
  stats.memoryServedBytes = in.getMemoryServedBytes();
  stats.memoryAdmittedBytes = in.getMemoryAdmittedBytes();
  stats.memoryAheadBytes = in.getMemoryAheadBytes();
  stats.memoryEvictedBytes = in.getMemoryEvictedBytes();
  for (auto point : in.getCapacity()) {
    stats.capacity.push_back(
        {point.getCapacityBytes(), point.getHitShare(), point.getSavedShare()});
  }
  for (auto usage : in.getTenants()) {
    stats.tenants.push_back({protocol::textOf(usage.getTenant()), usage.getEntries(),
                             usage.getUsedBytes(), usage.getQuotaBytes(), usage.getEvicted()});
  }
  return stats;
}

}  // namespace spolia::client
