// The C interface's structs to ours, checked, and ours back: what a caller passes is input like any
// other, but that its pointers are what their types say. Pure functions; any thread.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "client/client_config.h"
#include "client/spolia.h"
#include "codec/chunk_exchange.h"

namespace spolia::client {

inline Status invalidArgument(std::string what) {
  return {ErrorCode::kInvalidArgument, std::move(what)};
}

// kInvalidArgument for NULL and for one that is shorter than `least`; kUnsupported for one longer
// than `ours` whose further fields are set.
Status checkStruct(const void* given, size_t least, const char* name, size_t ours);

template <typename T>
Status checkStruct(const T* given, const char* name) {
  return checkStruct(given, sizeof(T), name, sizeof(T));
}

// A copy of a caller's struct that has grown since version 1, when it took so many bytes: what a
// caller of then did not have is 0. Fails as checkStruct does.
template <typename T>
Status takeStruct(const T* given, size_t first, T& out) {
  SPOLIA_RETURN_IF_ERROR(checkStruct(given, first, "request", sizeof(T)));
  std::memcpy(&out, given, std::min<size_t>(given->struct_size, sizeof(T)));
  return {};
}

// As much of `from` as the caller's struct, whose struct_size is set, has room for.
template <typename T>
void giveStruct(T from, T* to) {
  from.struct_size = to->struct_size;
  std::memcpy(to, &from, std::min<size_t>(to->struct_size, sizeof(T)));
}

// The code, for the C function to return; the message is put into `error`, which may be NULL.
int32_t giveError(const Status& status, spolia_error* error);
// `text` into a fixed field, cut off at a character and ended by 0.
void giveText(std::string_view text, std::span<char> field);

template <typename Tag>
Digest<Tag> readId(const spolia_id& id) {
  Digest<Tag> out;
  std::memcpy(out.bytes.data(), id.bytes, sizeof id.bytes);
  return out;
}
template <typename Tag>
spolia_id giveId(const Digest<Tag>& id) {
  spolia_id out;
  std::memcpy(out.bytes, id.bytes.data(), sizeof out.bytes);
  return out;
}

Result<ModelName> readModel(const spolia_model* model);
Result<ClientConfig> readOptions(const spolia_options* options);
Result<codec::ChunkIdentity> readChunk(const spolia_chunk* chunk,
                                       const ModelFingerprint& fingerprint);
Result<std::vector<codec::LayerShape>> readLayers(const spolia_layer* layers, uint32_t count);

// The memory, checked as far as it does not depend on what lies in it.
Result<codec::KvTarget> readKv(const spolia_kv* kv);
// Whether a box of `layers` and `tokens` (neither is 0) lies inside `size` bytes from the base.
Status checkExtent(const codec::KvTarget& kv, uint64_t size,
                   std::span<const codec::LayerShape> layers, uint32_t tokens);

spolia_entry giveEntry(const ChunkId& id, const Result<codec::EntryInfo>& info);

}  // namespace spolia::client
