#include "codec/chunk_exchange.h"

namespace spolia::codec {

std::string_view entryKindName(EntryKind kind) {
  switch (kind) {
    case EntryKind::kChunk:
      return "chunk";
    case EntryKind::kEmbedding:
      return "embedding";
    case EntryKind::kProfile:
      return "profile";
    case EntryKind::kManifest:
      return "manifest";
    case EntryKind::kOpaque:
      return "opaque";
  }
  return "unknown";
}

}  // namespace spolia::codec
