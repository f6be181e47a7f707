#include "client/cli/commands.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <iostream>
#include <optional>
#include <utility>

#include "client/cli/cli_output.h"
#include "client/cli/local_files.h"
#include "codec/base/duration.h"
#include "codec/codec.h"

namespace spolia::cli {
namespace {

// The protocol's limit of an entry (client/protocol/limits.h).
constexpr size_t kMaxEntryBytes = 256u << 20;
constexpr codec::EntryKind kKinds[] = {codec::EntryKind::kChunk, codec::EntryKind::kEmbedding,
                                       codec::EntryKind::kProfile, codec::EntryKind::kManifest,
                                       codec::EntryKind::kOpaque};

Result<std::unique_ptr<client::BlockingClient>> connect(const Options& options) {
  client::ClientConfig config;
  config.address = options.server;
  config.callTimeout =
      std::chrono::milliseconds(static_cast<int64_t>(options.timeoutSeconds * 1000));
  SPOLIA_ASSIGN_OR_RETURN(config.token, readToken(options.tokenFile));
  return client::BlockingClient::start(config);
}

Result<ChunkId> parseId(const std::string& text) {
  auto bytes = digestFromHex(text);
  if (!bytes.ok()) {
    return Status(ErrorCode::kInvalidArgument, "id \"" + text + "\": expected 64 hex digits");
  }
  ChunkId id;
  id.bytes = *bytes;
  return id;
}

int badUse(const std::string& message) {
  std::cerr << "spolia: " << message << "\n";
  return kUsage;
}

// An id for a value that was given a name only.
ChunkId idOfName(const std::string& kind, const std::string& name) {
  ChunkId id;
  id.bytes = sha256(asBytes("spolia value 1:" + kind + ":" + name));
  return id;
}

// The id the user means: --id or the argument, or that of --name.
Result<ChunkId> wantedId(const Options& options) {
  if (!options.id.empty()) return parseId(options.id);
  if (!options.name.empty()) return idOfName(options.kind, options.name);
  return Status(ErrorCode::kInvalidArgument, "expected an id, or --name");
}

int printReceipt(const Options& options, const codec::ChunkCompletion& done) {
  constexpr const char* kOutcomes[] = {"stored", "exists", "replaced"};
  const char* outcome = kOutcomes[static_cast<size_t>(done.outcome)];
  if (options.json) {
    auto out = toJson(done.info);
    out["outcome"] = outcome;
    printJson(out);
  } else {
    std::cout << done.info.id.hex() << "\n";
    std::cerr << outcome << " " << codec::entryKindName(done.info.kind) << ", " << done.info.bytes
              << " bytes\n";
  }
  return kOk;
}

int putChunk(const Options& options, client::BlockingClient& client, AlignedBuffer bytes,
             uint64_t ttl) {
  auto header = codec::verifyStream(bytes.span());
  if (!header.ok()) {
    return complain(header.status().withContext(
        options.file + ": not a complete stream (another kind of value needs --kind)"));
  }
  const auto mode = options.replace ? codec::PutMode::kReplace : codec::PutMode::kIfAbsent;
  const auto done = client.store(std::move(bytes), {mode, ttl});
  return done.status.ok() ? printReceipt(options, done) : complain(done.status);
}

codec::EntryKind kindOf(const std::string& name) {
  for (codec::EntryKind kind : kKinds) {
    if (codec::entryKindName(kind) == name) return kind;
  }
  return codec::EntryKind::kOpaque;
}

int printVerified(const Options& options, const codec::StreamHeader& header) {
  auto out = toJson(header);
  if (options.json) {
    out["verified"] = true;
    printJson(out);
  } else {
    printFields(out);
    std::cout << "every checksum holds\n";
  }
  return kOk;
}

int statServer(const Options& options, client::BlockingClient& client) {
  auto stats = client.stats();
  if (!stats.ok()) return complain(stats.status());
  options.json ? printJson(toJson(*stats)) : printFields(toJson(*stats));
  return kOk;
}

// Prints the entries of one kind; stops when `left` reaches 0. Gives an exit code.
int listKind(const Options& options, client::BlockingClient& client, codec::EntryKind kind,
             uint64_t& left) {
  std::string cursor;
  do {
    auto page = client.list(kind, cursor, std::min<uint64_t>(left, 1000));
    if (!page.ok()) return complain(page.status());
    for (const codec::EntryInfo& info : page->entries) {
      options.json ? printJson(toJson(info)) : printRow(info);
      if (--left == 0) return kOk;
    }
    cursor = page->next;
  } while (!cursor.empty());
  return kOk;
}

int rmAll(const Options& options) {
  if (!options.id.empty() || !options.name.empty()) {
    return badUse("rm --all: takes no id and no --name");
  }
  auto client = connect(options);
  if (!client.ok()) return complain(client.status());
  std::optional<codec::EntryKind> kind;
  if (!options.kind.empty()) kind = kindOf(options.kind);
  const auto removed = (*client)->removeAll(kind);
  if (!removed.ok()) return complain(removed.status());
  if (options.json) {
    printJson({{"removed", *removed}});
  } else {
    std::cerr << *removed << " entries removed\n";
  }
  return kOk;
}

}  // namespace

int put(const Options& options) {
  auto bytes = readFile(options.file, kMaxEntryBytes);
  if (!bytes.ok()) return complain(bytes.status());
  const bool chunk = options.kind == "chunk";
  if (chunk && (!options.id.empty() || !options.name.empty())) {
    return badUse("put: a chunk's id follows from its content; --id and --name are for values");
  }
  const auto ttl = options.ttl.empty() ? Result<uint64_t>(0) : parseDuration(options.ttl);
  if (!ttl.ok()) return badUse("put --ttl: " + ttl.status().message());
  client::ValueToPut value;
  value.ttlSeconds = *ttl;
  if (!chunk) {
    auto id = wantedId(options);
    if (!id.ok()) return badUse("put --kind " + options.kind + ": " + id.status().message());
    value.id = *id;
  }
  auto client = connect(options);
  if (!client.ok()) return complain(client.status());
  if (chunk) return putChunk(options, **client, std::move(*bytes), *ttl);
  value.kind = kindOf(options.kind);
  value.label = options.name;
  value.bytes = std::move(*bytes);
  value.mode = options.replace ? codec::PutMode::kReplace : codec::PutMode::kIfAbsent;
  const auto done = (*client)->putValue(std::move(value));
  return done.status.ok() ? printReceipt(options, done) : complain(done.status);
}

int get(const Options& options) {
  auto id = wantedId(options);
  if (!id.ok()) return badUse("get: " + id.status().message());
  auto client = connect(options);
  if (!client.ok()) return complain(client.status());
  const auto done = (*client)->getValue(*id);
  if (!done.status.ok()) return complain(done.status.withContext(id->hex()));
  if (done.info.kind == codec::EntryKind::kChunk) {
    auto header = codec::verifyStream(done.bytes.span());
    if (!header.ok()) return complain(header.status().withContext(id->hex()));
  }
  if (Status written = writeFile(options.output, done.bytes.span()); !written.ok()) {
    return complain(written);
  }
  if (options.output == "-") return kOk;
  if (options.json) {
    auto out = toJson(done.info);
    out["file"] = options.output;
    printJson(out);
  } else {
    std::cerr << done.bytes.size() << " bytes in " << options.output << "\n";
  }
  return kOk;
}

int stat(const Options& options) {
  auto client = connect(options);
  if (!client.ok()) return complain(client.status());
  if (options.id.empty() && options.name.empty()) return statServer(options, **client);
  auto id = wantedId(options);
  if (!id.ok()) return badUse("stat: " + id.status().message());
  auto page = (*client)->lookup({&*id, 1});
  if (!page.ok()) return complain(page.status());
  const auto& entry = page->entries[0];
  if (!entry.ok()) return complain(entry.status().withContext(id->hex()));
  options.json ? printJson(toJson(*entry)) : printFields(toJson(*entry));
  return kOk;
}

int ls(const Options& options) {
  auto client = connect(options);
  if (!client.ok()) return complain(client.status());
  uint64_t left = options.limit == 0 ? UINT64_MAX : options.limit;
  for (codec::EntryKind kind : kKinds) {
    if (options.kind != "all" && codec::entryKindName(kind) != options.kind) continue;
    if (const int code = listKind(options, **client, kind, left); code != kOk) return code;
    if (left == 0) break;
  }
  return kOk;
}

int rm(const Options& options) {
  if (options.all) return rmAll(options);
  auto id = wantedId(options);
  if (!id.ok()) return badUse("rm: " + id.status().message());
  auto client = connect(options);
  if (!client.ok()) return complain(client.status());
  const auto done = (*client)->remove(*id);
  if (!done.status.ok()) return complain(done.status.withContext(id->hex()));
  if (options.json) printJson({{"id", id->hex()}, {"removed", true}});
  return kOk;
}

int ping(const Options& options) {
  auto client = connect(options);
  if (!client.ok()) return complain(client.status());
  const auto begin = std::chrono::steady_clock::now();
  auto reply = (*client)->ping();
  if (!reply.ok()) return complain(reply.status());
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
  nlohmann::ordered_json out;
  out["server"] = options.server;
  out["version"] = reply->serverVersion;
  out["epoch"] = reply->epoch;
  out["milliseconds"] = took.count();
  options.json ? printJson(out) : printFields(out);
  return kOk;
}

int verify(const Options& options) {
  if (!options.file.empty() && std::filesystem::exists(options.file)) {
    auto bytes = readFile(options.file, kMaxEntryBytes);
    if (!bytes.ok()) return complain(bytes.status());
    auto header = codec::verifyStream(bytes->span());
    if (!header.ok()) return complain(header.status().withContext(options.file));
    return printVerified(options, *header);
  }
  auto id = parseId(options.file);
  if (!id.ok()) return badUse("verify: \"" + options.file + "\" is neither a file nor an id");
  auto client = connect(options);
  if (!client.ok()) return complain(client.status());
  const auto done = (*client)->getValue(*id);
  if (!done.status.ok()) return complain(done.status.withContext(id->hex()));
  if (done.info.kind != codec::EntryKind::kChunk) {
    return badUse("verify: " + id->hex() + " is no chunk but a value of kind " +
                  std::string(codec::entryKindName(done.info.kind)));
  }
  auto header = codec::verifyStream(done.bytes.span());
  if (header.ok() && header->chunkId != *id) {
    header = Status(ErrorCode::kCorrupt, "the stream is another chunk's");
  }
  if (!header.ok()) return complain(header.status().withContext(id->hex()));
  return printVerified(options, *header);
}

}  // namespace spolia::cli
