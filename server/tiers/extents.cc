#include "server/tiers/extents.h"

#include "codec/base/bytes.h"

namespace spolia::tiers {

StoreKey extentKeyOf(const StoreKey& entry, const Extents& extents, uint32_t number) {
  if (number == 0) return entry;
  ByteWriter out;
  out.bytes(entry.span());
  out.u64(extents.nonce);
  out.u32(number);
  return {sha256(out.take())};
}

}  // namespace spolia::tiers
