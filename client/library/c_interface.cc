// The functions of client/spolia.h: arguments checked, work handed on, nothing thrown.
#include <algorithm>
#include <cstddef>
#include <cstring>
#include <iterator>
#include <memory>

#include "client/library/c_arguments.h"
#include "client/library/library_client.h"
#include "client/protocol/limits.h"
#include "client/spolia.h"

struct spolia_client {
  std::unique_ptr<spolia::client::LibraryClient> parts;
};
struct spolia_queue {
  std::shared_ptr<spolia::client::RequestQueue> parts;
};

namespace spolia::client {
namespace {

constexpr size_t kMostIds = 1u << 20;
constexpr uint32_t kMostWorkers = 64;

template <typename T>
Status present(const T* pointer, const char* name) {
  return pointer != nullptr ? Status() : invalidArgument(std::string(name) + ": is NULL");
}

// Every function's body runs in here.
template <typename Body>
int32_t run(spolia_error* error, const Body& body) noexcept {
  return giveError(guarded(body), error);
}

// What a result says, as the function's own outcome.
Status outcomeOf(const spolia_result& from, spolia_result* to) {
  if (to != nullptr) *to = from;
  if (from.code == SPOLIA_OK) return {};
  return {static_cast<ErrorCode>(from.code), from.message};
}

Result<std::vector<ChunkId>> readIds(const spolia_id* ids, size_t count, size_t most) {
  if (count == 0 || count > most) {
    return invalidArgument("count: expected 1 to " + std::to_string(most) + " ids");
  }
  SPOLIA_RETURN_IF_ERROR(present(ids, "ids"));
  std::vector<ChunkId> out;
  for (size_t i = 0; i < count; ++i) out.push_back(readId<ChunkIdTag>(ids[i]));
  return out;
}

Status lookupAll(QueuedClient& net, std::span<const ChunkId> ids, spolia_entry* entries,
                 uint32_t& prefix) {
  for (size_t at = 0; at < ids.size(); at += protocol::kMaxLookupIds) {
    const auto part = ids.subspan(at, std::min<size_t>(ids.size() - at, protocol::kMaxLookupIds));
    SPOLIA_ASSIGN_OR_RETURN(const LookupPage page, net.lookup(part));
    if (prefix == at) prefix += page.prefix;
    for (size_t i = 0; entries != nullptr && i < part.size(); ++i) {
      entries[at + i] = giveEntry(part[i], page.entries[i]);
    }
  }
  return {};
}

spolia_chunk_info infoOf(const codec::StreamHeader& header) {
  spolia_chunk_info out{};
  out.tokens = header.tokens();
  out.layers = static_cast<uint32_t>(header.layers.size());
  out.preset = static_cast<uint32_t>(header.preset);
  out.levels = header.levels;
  out.k_form = static_cast<uint32_t>(header.kForm);
  out.first_position = header.firstPosition;
  out.element = static_cast<uint32_t>(header.elementType);
  out.compile = static_cast<uint32_t>(header.identity.mode);
  out.has_parent = header.identity.parent ? 1 : 0;
  out.fingerprint = giveId(header.identity.fingerprint);
  if (header.identity.parent) out.parent = giveId(*header.identity.parent);
  out.bytes = header.streamBytes;
  out.derived_layers = header.derivedLayers;
  return out;
}

// What callers of version 1 have of the structs that are written to.
constexpr size_t kFirstChunkInfo = offsetof(spolia_chunk_info, derived_layers);
constexpr size_t kFirstStoreInfo = offsetof(spolia_store_info, differing_puts);

spolia_store_info infoOf(const codec::StoreStats& stats) {
  spolia_store_info out{};
  out.entries = stats.entries;
  out.used_bytes = stats.usedBytes;
  out.capacity_bytes = stats.capacityBytes;
  out.free_disk_bytes = stats.freeDiskBytes;
  out.hits = stats.hits;
  out.misses = stats.misses;
  out.corrupt_blocks = stats.corruptBlocks;
  out.bytes_read = stats.bytesRead;
  out.bytes_written = stats.bytesWritten;
  out.differing_puts = stats.differingPuts;
  out.late_reads = stats.lateReads;
  out.index_bytes = stats.indexBytes;
  out.evicted = stats.evicted;
  out.expired = stats.expired;
  out.leased = stats.leased;
  out.cleaned_segments = stats.cleanedSegments;
  out.moved_bytes = stats.movedBytes;
  out.scrubbed_entries = stats.scrubbedEntries;
  out.memory_capacity_bytes = stats.memoryCapacityBytes;
  out.memory_used_bytes = stats.memoryUsedBytes;
  out.memory_hits = stats.memoryHits;
  out.memory_served_bytes = stats.memoryServedBytes;
  out.memory_admitted_bytes = stats.memoryAdmittedBytes;
  out.memory_ahead_bytes = stats.memoryAheadBytes;
  out.memory_evicted_bytes = stats.memoryEvictedBytes;
  for (const codec::CapacityPoint& point : stats.capacity) {
    if (out.capacity_count == std::size(out.capacity)) break;
    out.capacity[out.capacity_count++] = {point.capacityBytes, point.hitShare, point.savedShare};
  }
  giveText(stats.ioBackend, out.io_backend);
  giveText(stats.ioMissing, out.io_missing);
  giveText(stats.readOnly, out.read_only);
  return out;
}

Status listPage(QueuedClient& net, uint32_t kind, spolia_cursor& cursor,
                std::span<spolia_entry> room, size_t& count) {
  if (kind < SPOLIA_CHUNK || kind > SPOLIA_OPAQUE) {
    return invalidArgument("kind: is none of spolia_kind");
  }
  if (room.empty() || room.size() > protocol::kMaxListEntries) {
    return invalidArgument("room: expected 1 to 1000 entries");
  }
  if (cursor.size > sizeof cursor.bytes) return invalidArgument("cursor: none that was given out");
  const std::string from(reinterpret_cast<const char*>(cursor.bytes), cursor.size);
  SPOLIA_ASSIGN_OR_RETURN(const codec::EntryPage page,
                          net.list(static_cast<codec::EntryKind>(kind), from, room.size()));
  if (page.entries.size() > room.size() || page.next.size() > sizeof cursor.bytes) {
    return {ErrorCode::kCorrupt, "the server's listing is longer than asked"};
  }
  for (size_t i = 0; i < page.entries.size(); ++i) {
    room[i] = giveEntry(page.entries[i].id, page.entries[i]);
  }
  count = page.entries.size();
  cursor.size = static_cast<uint32_t>(page.next.size());
  std::memcpy(cursor.bytes, page.next.data(), page.next.size());
  return {};
}

Status needModel(const LibraryClient& client, const spolia_chunk* chunk) {
  if (chunk == nullptr || client.hasModel()) return {};
  return invalidArgument("chunk: the handle was opened without a model");
}

}  // namespace

// The same functions as in the header, for C linkage knows no namespaces.
extern "C" {

uint32_t spolia_abi_version(void) {
  return SPOLIA_ABI_VERSION;
}

const char* spolia_version(void) {
  return SPOLIA_VERSION;
}

const char* spolia_code_name(int32_t code) {
  // The names are literals.
  return errorCodeName(static_cast<ErrorCode>(code)).data();
}

int32_t spolia_open(const spolia_options* options, spolia_client** out, spolia_error* error) {
  return run(error, [&]() -> Status {
    SPOLIA_RETURN_IF_ERROR(present(out, "out"));
    *out = nullptr;
    SPOLIA_ASSIGN_OR_RETURN(const ClientConfig config, readOptions(options));
    const uint32_t workers = options->codec_threads == 0 ? 1 : options->codec_threads;
    if (workers > kMostWorkers) return invalidArgument("options.codec_threads: more than 64");
    SPOLIA_ASSIGN_OR_RETURN(auto parts, LibraryClient::open(config, workers));
    *out = new spolia_client{std::move(parts)};
    return {};
  });
}

void spolia_close(spolia_client* client) {
  run(nullptr, [&] {
    delete client;
    return Status();
  });
}

int32_t spolia_ping(spolia_client* client, spolia_server_info* out, spolia_error* error) {
  return run(error, [&]() -> Status {
    SPOLIA_RETURN_IF_ERROR(present(client, "client"));
    if (out != nullptr) SPOLIA_RETURN_IF_ERROR(checkStruct(out, "out"));
    SPOLIA_ASSIGN_OR_RETURN(const PingReply reply, client->parts->net().ping());
    if (out == nullptr) return {};
    spolia_server_info info{};
    info.epoch = reply.epoch;
    giveText(reply.serverVersion, info.version);
    giveStruct(info, out);
    return {};
  });
}

int32_t spolia_register_model(spolia_client* client, const spolia_model* model,
                              spolia_error* error) {
  return run(error, [&]() -> Status {
    SPOLIA_RETURN_IF_ERROR(present(client, "client"));
    SPOLIA_ASSIGN_OR_RETURN(const ModelName name, readModel(model));
    return client->parts->registerModel(name);
  });
}

int32_t spolia_sha256(const void* data, size_t size, spolia_id* out) {
  return run(nullptr, [&]() -> Status {
    SPOLIA_RETURN_IF_ERROR(present(out, "out"));
    if (size > 0) SPOLIA_RETURN_IF_ERROR(present(data, "data"));
    const auto digest = sha256({static_cast<const std::byte*>(data), size});
    std::memcpy(out->bytes, digest.data(), sizeof out->bytes);
    return {};
  });
}

int32_t spolia_fingerprint(const spolia_model* model, spolia_id* out, spolia_error* error) {
  return run(error, [&]() -> Status {
    SPOLIA_RETURN_IF_ERROR(present(out, "out"));
    SPOLIA_ASSIGN_OR_RETURN(const ModelName name, readModel(model));
    *out = giveId(codec::fingerprintOf(name.descriptor));
    return {};
  });
}

int32_t spolia_chunk_id(const spolia_id* fingerprint, const spolia_chunk* chunk, spolia_id* out,
                        spolia_error* error) {
  return run(error, [&]() -> Status {
    SPOLIA_RETURN_IF_ERROR(present(fingerprint, "fingerprint"));
    SPOLIA_RETURN_IF_ERROR(present(out, "out"));
    SPOLIA_ASSIGN_OR_RETURN(const auto identity,
                            readChunk(chunk, readId<FingerprintTag>(*fingerprint)));
    *out = giveId(codec::chunkIdOf(identity));
    return {};
  });
}

int32_t spolia_lookup(spolia_client* client, const spolia_id* ids, size_t count,
                      spolia_entry* entries, uint32_t* prefix, spolia_error* error) {
  return run(error, [&]() -> Status {
    SPOLIA_RETURN_IF_ERROR(present(client, "client"));
    uint32_t first = 0;
    if (prefix == nullptr) prefix = &first;
    *prefix = 0;
    if (count == 0) return {};
    SPOLIA_ASSIGN_OR_RETURN(const auto asked, readIds(ids, count, kMostIds));
    return lookupAll(client->parts->net(), asked, entries, *prefix);
  });
}

int32_t spolia_store(spolia_client* client, const spolia_store_request* request,
                     spolia_result* result, spolia_error* error) {
  return run(error, [&]() -> Status {
    SPOLIA_RETURN_IF_ERROR(present(client, "client"));
    auto& parts = *client->parts;
    SPOLIA_ASSIGN_OR_RETURN(const auto order, StoreOrder::read(request, parts.fingerprint()));
    SPOLIA_RETURN_IF_ERROR(needModel(parts, request->chunk));
    return outcomeOf(parts.store(order), result);
  });
}

int32_t spolia_fetch(spolia_client* client, const spolia_fetch_request* request,
                     spolia_result* result, spolia_error* error) {
  return run(error, [&]() -> Status {
    SPOLIA_RETURN_IF_ERROR(present(client, "client"));
    auto& parts = *client->parts;
    SPOLIA_ASSIGN_OR_RETURN(const auto order, FetchOrder::read(request, parts.fingerprint()));
    SPOLIA_RETURN_IF_ERROR(needModel(parts, request->chunk));
    return outcomeOf(parts.fetch(order), result);
  });
}

int32_t spolia_stat(spolia_client* client, const spolia_id* id, spolia_chunk_info* info,
                    spolia_layer* layers, size_t layer_room, uint32_t* tokens, size_t token_room,
                    spolia_error* error) {
  return run(error, [&]() -> Status {
    SPOLIA_RETURN_IF_ERROR(present(client, "client"));
    SPOLIA_RETURN_IF_ERROR(present(id, "id"));
    SPOLIA_RETURN_IF_ERROR(checkStruct(info, kFirstChunkInfo, "info", sizeof *info));
    const auto done = client->parts->openHeader(readId<ChunkIdTag>(*id));
    SPOLIA_RETURN_IF_ERROR(done.status);
    const codec::StreamHeader& header = *done.header;
    giveStruct(infoOf(header), info);
    for (size_t i = 0; layers != nullptr && i < std::min(layer_room, header.layers.size()); ++i) {
      layers[i] = {header.layers[i].kvHeads, header.layers[i].headDim};
    }
    const auto& ids = header.identity.tokens;
    if (tokens != nullptr) std::copy_n(ids.begin(), std::min(token_room, ids.size()), tokens);
    return {};
  });
}

int32_t spolia_remove(spolia_client* client, const spolia_id* id, spolia_error* error) {
  return run(error, [&]() -> Status {
    SPOLIA_RETURN_IF_ERROR(present(client, "client"));
    SPOLIA_RETURN_IF_ERROR(present(id, "id"));
    return client->parts->remove(readId<ChunkIdTag>(*id)).status;
  });
}

int32_t spolia_list(spolia_client* client, uint32_t kind, spolia_cursor* cursor,
                    spolia_entry* entries, size_t room, size_t* count, spolia_error* error) {
  return run(error, [&]() -> Status {
    SPOLIA_RETURN_IF_ERROR(present(client, "client"));
    SPOLIA_RETURN_IF_ERROR(present(cursor, "cursor"));
    SPOLIA_RETURN_IF_ERROR(present(entries, "entries"));
    SPOLIA_RETURN_IF_ERROR(present(count, "count"));
    *count = 0;
    return listPage(client->parts->net(), kind, *cursor, {entries, room}, *count);
  });
}

int32_t spolia_will_fetch(spolia_client* client, const spolia_id* ids, size_t count,
                          spolia_error* error) {
  return run(error, [&]() -> Status {
    SPOLIA_RETURN_IF_ERROR(present(client, "client"));
    SPOLIA_ASSIGN_OR_RETURN(auto wanted, readIds(ids, count, protocol::kMaxLookupIds));
    client->parts->net().submitLookup(
        wanted, [](const Result<LookupPage>&) {}, LookupFor::kFetching);
    return {};
  });
}

int32_t spolia_store_stats(spolia_client* client, spolia_store_info* out, spolia_error* error) {
  return run(error, [&]() -> Status {
    SPOLIA_RETURN_IF_ERROR(present(client, "client"));
    SPOLIA_RETURN_IF_ERROR(checkStruct(out, kFirstStoreInfo, "out", sizeof *out));
    SPOLIA_ASSIGN_OR_RETURN(const codec::StoreStats stats, client->parts->net().stats());
    giveStruct(infoOf(stats), out);
    return {};
  });
}

int32_t spolia_queue_open(spolia_queue** out, spolia_error* error) {
  return run(error, [&]() -> Status {
    SPOLIA_RETURN_IF_ERROR(present(out, "out"));
    *out = nullptr;
    SPOLIA_ASSIGN_OR_RETURN(auto parts, RequestQueue::open());
    *out = new spolia_queue{std::move(parts)};
    return {};
  });
}

void spolia_queue_close(spolia_queue* queue) {
  run(nullptr, [&] {
    if (queue != nullptr) queue->parts->close();
    delete queue;
    return Status();
  });
}

int spolia_queue_fd(const spolia_queue* queue) {
  return queue == nullptr ? -1 : queue->parts->eventFd();
}

int32_t spolia_queue_take(spolia_queue* queue, spolia_result* results, size_t room,
                          int32_t timeout_ms, size_t* count, spolia_error* error) {
  return run(error, [&]() -> Status {
    SPOLIA_RETURN_IF_ERROR(present(queue, "queue"));
    SPOLIA_RETURN_IF_ERROR(present(results, "results"));
    SPOLIA_RETURN_IF_ERROR(present(count, "count"));
    *count = 0;
    if (room == 0) return invalidArgument("room: is 0");
    *count = queue->parts->take({results, room}, timeout_ms);
    return {};
  });
}

int32_t spolia_submit_store(spolia_client* client, const spolia_store_request* request,
                            spolia_queue* queue, uint64_t cookie, uint64_t* ticket,
                            spolia_error* error) {
  return run(error, [&]() -> Status {
    SPOLIA_RETURN_IF_ERROR(present(client, "client"));
    SPOLIA_RETURN_IF_ERROR(present(queue, "queue"));
    auto& parts = *client->parts;
    SPOLIA_ASSIGN_OR_RETURN(auto order, StoreOrder::read(request, parts.fingerprint()));
    SPOLIA_RETURN_IF_ERROR(needModel(parts, request->chunk));
    const uint64_t given = parts.submitStore(std::move(order), {queue->parts, cookie});
    if (ticket != nullptr) *ticket = given;
    return {};
  });
}

int32_t spolia_submit_fetch(spolia_client* client, const spolia_fetch_request* request,
                            spolia_queue* queue, uint64_t cookie, uint64_t* ticket,
                            spolia_error* error) {
  return run(error, [&]() -> Status {
    SPOLIA_RETURN_IF_ERROR(present(client, "client"));
    SPOLIA_RETURN_IF_ERROR(present(queue, "queue"));
    auto& parts = *client->parts;
    SPOLIA_ASSIGN_OR_RETURN(auto order, FetchOrder::read(request, parts.fingerprint()));
    SPOLIA_RETURN_IF_ERROR(needModel(parts, request->chunk));
    const uint64_t given = parts.submitFetch(std::move(order), {queue->parts, cookie});
    if (ticket != nullptr) *ticket = given;
    return {};
  });
}

int32_t spolia_submit_lookup(spolia_client* client, const spolia_id* ids, size_t count,
                             spolia_entry* entries, spolia_queue* queue, uint64_t cookie,
                             uint64_t* ticket, spolia_error* error) {
  return run(error, [&]() -> Status {
    SPOLIA_RETURN_IF_ERROR(present(client, "client"));
    SPOLIA_RETURN_IF_ERROR(present(entries, "entries"));
    SPOLIA_RETURN_IF_ERROR(present(queue, "queue"));
    SPOLIA_ASSIGN_OR_RETURN(auto asked, readIds(ids, count, protocol::kMaxLookupIds));
    const uint64_t given =
        client->parts->submitLookup(std::move(asked), entries, {queue->parts, cookie});
    if (ticket != nullptr) *ticket = given;
    return {};
  });
}

int32_t spolia_cancel(spolia_client* client, uint64_t ticket, spolia_error* error) {
  return run(error, [&]() -> Status {
    SPOLIA_RETURN_IF_ERROR(present(client, "client"));
    return client->parts->cancel(ticket);
  });
}

}  // extern "C"
}  // namespace spolia::client
