// KV as a profile expects it, and a profile of the fixed bench shape: what the rates of `balanced`
// and `small` are measured on. One thread.
#pragma once

#include <memory>
#include <random>
#include <vector>

#include "codec/chunk_identity.h"
#include "codec/lossy/profile.h"

namespace spolia::bench {

// Of 8 layers of 8 KV heads of 128 channels and 32,000 tokens: for `balanced`, a block a head with
// all its components, spread from 4 steps down to a sixteenth; random numbers for everything
// learnt.
std::shared_ptr<const codec::Profile> benchProfile();

// Rows in f16 of a chunk with text-like token ids (few of them make up most), drawn from what the
// transform expects beyond prediction: [token][layer][K, V][head][channel].
struct ProfiledKv {
  ProfiledKv(std::shared_ptr<const codec::Profile> profile, uint8_t preset, uint32_t tokens);

  codec::KvView view() const;
  codec::KvTarget target();  // of the same size, for decoding
  // Values that are in a stream: not those of a first layer that its reader derives.
  size_t storedCount() const;

  std::shared_ptr<const codec::Profile> profile;
  codec::ChunkIdentity identity;
  std::vector<uint16_t> values, decoded;

 private:
  template <typename Byte>
  codec::BasicKvMemory<Byte> memory(Byte* base) const;
};

}  // namespace spolia::bench
