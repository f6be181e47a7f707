#include "engine/http/chat_rooms.h"

#include <algorithm>
#include <span>
#include <utility>

namespace spolia::engine {

namespace {

constexpr size_t kMostRooms = 64;

}  // namespace

ChatRooms::ChatRooms(const Model& model, const Transformer& transformer, ThreadPool& pool,
                     KvSource& source, Config config)
    : model_(model),
      transformer_(transformer),
      pool_(pool),
      source_(source),
      config_(std::move(config)),
      shared_(std::make_shared<ChatRoom>(model, transformer, pool, source, config_.library,
                                         config_.prompts, config_.linker)) {}

std::shared_ptr<ChatRoom> ChatRooms::make(const std::string& salt) {
  auto own = std::make_unique<SaltedSource>(config_.saltedSource(salt), source_);
  ChatPrompts::Config prompts = config_.prompts;
  prompts.named = &shared_->library;
  // What was ingested for everybody is read where it is, in either mode.
  prompts.onNamedChunk = [this, source = own.get()](std::span<const codec::TokenId> tokens) {
    for (const auto mode : {codec::CompileMode::kBos, codec::CompileMode::kLego0}) {
      source->share(codec::chunkIdOf(textChunkIdentity(model_.fingerprint(), tokens, mode)));
    }
  };
  auto room = std::make_shared<ChatRoom>(model_, transformer_, pool_, *own, config_.library,
                                         std::move(prompts), config_.linker);
  room->own = std::move(own);
  room->salt = salt;
  return room;
}

std::shared_ptr<ChatRoom> ChatRooms::of(const std::string& keyName, const std::string& cacheSalt) {
  if (cacheSalt.empty()) return shared_;
  if (!config_.saltedSource) return nullptr;
  const std::string salt = keyName + "\n" + cacheSalt;
  Kept& kept = salted_[salt];
  if (!kept.room) kept.room = make(salt);
  kept.lastUsed = ++used_;
  std::shared_ptr<ChatRoom> found = kept.room;
  if (salted_.size() > kMostRooms) {
    salted_.erase(std::ranges::min_element(
        salted_, {}, [](const auto& entry) { return entry.second.lastUsed; }));
  }
  return found;
}

}  // namespace spolia::engine
