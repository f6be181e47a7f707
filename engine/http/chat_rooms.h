// Where the chunks of a request are: in the room that all share, or in one of its API key and cache
// salt alone, which sees what was ingested for everybody beside what its own requests stored.
//
// Borrows what it is made of. of() from one thread; a room's library and prompts from that one too,
// its linker as the scheduler and the storing thread use it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "engine/http/chat_prompt.h"
#include "engine/kernels/thread_pool.h"
#include "engine/linker/document_library.h"
#include "engine/linker/embedded_kv_source.h"
#include "engine/linker/linker.h"
#include "engine/transformer/forward.h"

namespace spolia::engine {

struct ChatRoom {
  ChatRoom(const Model& model, const Transformer& transformer, ThreadPool& pool, KvSource& source,
           const DocumentLibrary::Config& libraryConfig, ChatPrompts::Config promptConfig,
           const Linker::Config& linkerConfig)
      : library(model, transformer, source, libraryConfig),
        prompts(model, library, std::move(promptConfig)),
        linker(model, transformer, pool, &source, linkerConfig) {}

  std::unique_ptr<SaltedSource> own;  // null: the source of all
  std::string salt;                   // of pages in memory too
  DocumentLibrary library;
  ChatPrompts prompts;
  Linker linker;
};

class ChatRooms {
 public:
  struct Config {
    ChatPrompts::Config prompts;
    DocumentLibrary::Config library;
    Linker::Config linker;
    // What requests with a cache salt store in; empty: they are refused.
    std::function<std::unique_ptr<KvSource>(const std::string& salt)> saltedSource = {};
  };

  ChatRooms(const Model& model, const Transformer& transformer, ThreadPool& pool, KvSource& source,
            Config config);

  // The room of all.
  ChatRoom& shared() { return *shared_; }
  const ChatRoom& shared() const { return *shared_; }
  // That of a request with this key and salt; without a salt that of all. Null: no salts here. It
  // lives as long as somebody holds it; the last 64 are kept.
  std::shared_ptr<ChatRoom> of(const std::string& keyName, const std::string& cacheSalt);

 private:
  struct Kept {
    std::shared_ptr<ChatRoom> room;
    uint64_t lastUsed = 0;
  };

  std::shared_ptr<ChatRoom> make(const std::string& salt);

  const Model& model_;
  const Transformer& transformer_;
  ThreadPool& pool_;
  KvSource& source_;
  const Config config_;
  const std::shared_ptr<ChatRoom> shared_;
  std::map<std::string, Kept> salted_;  // by key name and salt
  uint64_t used_ = 0;
};

}  // namespace spolia::engine
