#include "client/cli/cli_output.h"

#include <iomanip>
#include <iostream>

#include "codec/base/duration.h"

namespace spolia::cli {

int complain(const Status& status) {
  std::cerr << "spolia: " << status.message() << "\n";
  switch (status.code()) {
    case ErrorCode::kNotFound:
      return kMissing;
    case ErrorCode::kUnavailable:
    case ErrorCode::kDeadlineExceeded:
      return kUnreachable;
    case ErrorCode::kCorrupt:
      return kCorrupt;
    case ErrorCode::kPermissionDenied:
      return kDenied;
    default:
      return kFailed;
  }
}

nlohmann::ordered_json toJson(const codec::EntryInfo& info) {
  nlohmann::ordered_json out;
  out["id"] = info.id.hex();
  out["kind"] = codec::entryKindName(info.kind);
  out["bytes"] = info.bytes;
  if (info.kind == codec::EntryKind::kChunk) {
    out["tokens"] = info.tokens;
    out["preset"] = codec::presetName(info.preset);
    out["levels"] = info.levels;
  }
  if (!info.label.empty()) out["label"] = info.label;
  if (info.expiresAt != 0) out["expires"] = formatUtc(info.expiresAt);
  return out;
}

nlohmann::ordered_json toJson(const codec::StoreStats& stats) {
  nlohmann::ordered_json out;
  out["location"] = stats.location;
  out["entries"] = stats.entries;
  out["used_bytes"] = stats.usedBytes;
  out["capacity_bytes"] = stats.capacityBytes;
  out["free_disk_bytes"] = stats.freeDiskBytes;
  out["hits"] = stats.hits;
  out["misses"] = stats.misses;
  out["corrupt_blocks"] = stats.corruptBlocks;
  out["differing_puts"] = stats.differingPuts;
  out["bytes_read"] = stats.bytesRead;
  out["bytes_written"] = stats.bytesWritten;
  out["io"] = stats.ioBackend;
  if (!stats.readOnly.empty()) out["read_only"] = stats.readOnly;
  out["index_bytes"] = stats.indexBytes;
  out["evicted"] = stats.evicted;
  out["expired"] = stats.expired;
  out["leased"] = stats.leased;
  out["cleaned_segments"] = stats.cleanedSegments;
  out["moved_bytes"] = stats.movedBytes;
  out["scrubbed_entries"] = stats.scrubbedEntries;
  out["memory_capacity_bytes"] = stats.memoryCapacityBytes;
  out["memory_used_bytes"] = stats.memoryUsedBytes;
  out["memory_hits"] = stats.memoryHits;
  out["memory_served_bytes"] = stats.memoryServedBytes;
  out["memory_admitted_bytes"] = stats.memoryAdmittedBytes;
  out["memory_ahead_bytes"] = stats.memoryAheadBytes;
  out["memory_evicted_bytes"] = stats.memoryEvictedBytes;
  for (const codec::CapacityPoint& point : stats.capacity) {
    out["capacity_curve"].push_back({{"capacity_bytes", point.capacityBytes},
                                     {"hit_share", point.hitShare},
                                     {"saved_share", point.savedShare}});
  }
  for (const codec::TenantUsage& usage : stats.tenants) {
    out["tenants"].push_back({{"tenant", usage.tenant},
                              {"entries", usage.entries},
                              {"used_bytes", usage.usedBytes},
                              {"quota_bytes", usage.quotaBytes},
                              {"evicted", usage.evicted}});
  }
  return out;
}

nlohmann::ordered_json toJson(const codec::StreamHeader& header) {
  nlohmann::ordered_json out;
  out["id"] = header.chunkId.hex();
  out["fingerprint"] = header.identity.fingerprint.hex();
  out["tokens"] = header.tokens();
  out["layers"] = header.layers.size();
  out["element_type"] = codec::elementTypeName(header.elementType);
  out["preset"] = codec::presetName(header.preset);
  out["levels"] = header.levels;
  out["frames"] = header.frames.size();
  out["header_bytes"] = header.headerBytes;
  out["bytes"] = header.streamBytes;
  return out;
}

void printJson(const nlohmann::ordered_json& value) {
  // Labels are bytes of users: what is not UTF-8 is replaced, not thrown over.
  std::cout << value.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) << "\n";
}

void printFields(const nlohmann::ordered_json& object) {
  for (const auto& [key, value] : object.items()) {
    std::cout << key << ": " << (value.is_string() ? value.get<std::string>() : value.dump())
              << "\n";
  }
}

void printRow(const codec::EntryInfo& info) {
  std::cout << info.id.hex() << "  " << std::left << std::setw(9) << codec::entryKindName(info.kind)
            << std::right << std::setw(12) << info.bytes;
  if (info.kind == codec::EntryKind::kChunk) {
    std::cout << "  " << info.tokens << " tokens, " << codec::presetName(info.preset);
  }
  if (info.expiresAt != 0) std::cout << "  until " << formatUtc(info.expiresAt);
  if (!info.label.empty()) {
    // Labels come from others: control characters must not reach a terminal.
    std::cout << "  ";
    for (char c : info.label) {
      const auto byte = static_cast<unsigned char>(c);
      std::cout << (byte < 0x20 || byte == 0x7f ? '?' : c);
    }
  }
  std::cout << "\n";
}

}  // namespace spolia::cli
