// StoreOrder and FetchOrder: requests of the C interface as values of ours, and the part of them
// that is computation: encoding the caller's memory, and decoding into it. Each is used by one
// thread at a time; the caller's KV memory outlives encode() and decode().
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "client/library/c_arguments.h"
#include "codec/codec.h"

namespace spolia::client {

// A result with the status's code and message.
spolia_result resultOf(const Status& status);

struct StoreOrder {
  codec::ChunkIdentity identity;
  std::vector<codec::LayerShape> layers;
  codec::KvView kv;
  codec::EncodeOptions options;
  codec::PutOptions put = codec::PutMode::kIfAbsent;

  // kInvalidArgument naming the field.
  static Result<StoreOrder> read(const spolia_store_request* request,
                                 const ModelFingerprint& fingerprint);
  Result<AlignedBuffer> encode() const;
  // Of the server's answer.
  spolia_result result(const codec::ChunkCompletion& done) const;
};

struct FetchOrder {
  ChunkId id;
  codec::ChunkIdentity expected;  // no rows: any
  std::vector<codec::LayerShape> layers;
  uint32_t kForm = 0;
  uint32_t firstPosition = 0;
  codec::KvRange range;
  codec::KvTarget target;
  uint64_t targetBytes = 0;
  bool computesDerived = false;

  static Result<FetchOrder> read(const spolia_fetch_request* request,
                                 const ModelFingerprint& fingerprint);
  // Whether a server's answer is what was asked for, as far as it can be told without decoding.
  Status check(const codec::ChunkCompletion& done) const;
  // The profile that an answer's frames are decoded with; none, also for answers to be refused.
  std::optional<Sha256Digest> profileOf(const codec::ChunkCompletion& done) const;
  // Decodes an answer into the target, with that profile or null; failures, also to get it, are in
  // the result's code.
  using Profile = std::shared_ptr<const codec::Profile>;
  spolia_result decode(const codec::ChunkCompletion& done, const Result<Profile>& profile) const;

 private:
  // Whether the chunk is what was asked for and the range lies in it and its values in the target.
  Status accepts(const codec::StreamHeader& header) const;
  // How many of the range's first layers are derived.
  uint32_t derivedIn(const codec::StreamHeader& header) const;
  // The range in numbers of this chunk.
  codec::KvRange within(const codec::StreamHeader& header) const;
};

}  // namespace spolia::client
