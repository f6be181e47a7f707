// Limits of the protocol (spolia.capnp). The server enforces them; a client that keeps to them is
// never refused for size. Sizes are bytes.
#pragma once

#include <cstddef>
#include <cstdint>

namespace spolia::protocol {

inline constexpr uint32_t kProtocolVersion = 1;
inline constexpr uint16_t kDefaultPort = 7433;

// One RPC message, as declared in its first words; Cap'n Proto allocates what a message declares.
inline constexpr size_t kMaxMessageBytes = 4u << 20;
inline constexpr uint32_t kMaxSegments = 64;

// Payload of a streamed part. Larger parts gain nothing on loopback (2.6 GB/s at 1 MiB, 2.2 at
// 256 KiB) and delay others on the same connection.
inline constexpr size_t kSliceBytes = 512u << 10;
// Unacknowledged bytes of one stream: several slices, so that a sender does not wait for each.
inline constexpr size_t kStreamWindowBytes = 4u << 20;

// As much as a connection may have in memory by default.
inline constexpr uint64_t kMaxStreamBytes = 256u << 20;
// A stream header that goes through `open` or `fetch`; leaves room for the rest of a message.
inline constexpr size_t kMaxHeaderOnWire = 2u << 20;
inline constexpr uint32_t kMaxFramesInAnswer = 1u << 16;
inline constexpr uint32_t kMaxLookupIds = 4096;
inline constexpr uint32_t kMaxFetchSpecs = 1024;
inline constexpr uint32_t kMaxListEntries = 1000;
inline constexpr uint32_t kMaxCallsInFlight = 1024;
inline constexpr uint32_t kMaxLabelBytes = 512;
inline constexpr uint32_t kMaxTokenBytes = 512;
inline constexpr uint32_t kMaxSaltBytes = 512;
inline constexpr uint32_t kMaxModelName = 128;
inline constexpr uint32_t kMaxNumericsBytes = 32;
inline constexpr uint32_t kMaxAuthFailures = 3;

}  // namespace spolia::protocol
