// The parts every command needs, built from a configuration: model, kernel pool, transformer and
// the source of stored chunks. Owned by main; one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "codec/base/result.h"
#include "codec/lossy/profile.h"
#include "engine/engine_config.h"
#include "engine/kernels/thread_pool.h"
#include "engine/linker/kv_source.h"
#include "engine/model/model.h"
#include "engine/template/chat_template.h"
#include "engine/transformer/forward.h"

namespace spolia::engine {

struct EngineParts {
  EngineConfig config;
  std::unique_ptr<Model> model;
  std::unique_ptr<ThreadPool> pool;
  std::unique_ptr<Transformer> transformer;
  std::unique_ptr<SaltableKvSource> source;
  std::shared_ptr<const codec::Profile> profile;  // null: none was named
};

// The profile of this model that the configuration names; null when it names none. Errors name the
// file: as readProfile(), and kInvalidArgument for a profile of another model.
Result<std::shared_ptr<const codec::Profile>> profileFor(const EngineConfig& config,
                                                         const Model& model);

// The template for conversations that the configuration names, or the model's own; null for "none"
// and where the model has none. Errors as ChatTemplate::load().
Result<std::shared_ptr<const ChatTemplate>> chatTemplateFor(const EngineConfig& config,
                                                            const Model& model);

// Loads the model, then opens the store or connects to the server. Errors name what could not be
// had; nothing is changed then. What is stored through it lives for `ttlSeconds`, 0: without end,
// or as long as the server says.
Result<EngineParts> openEngine(const EngineConfig& config, uint64_t ttlSeconds = 0);

// Cores this process may use.
unsigned usableCores();

// "1.5 MiB".
std::string bytesText(uint64_t bytes);
// One line on where the chunks are: place, backend, size, free space.
std::string storeLine(const codec::StoreStats& stats);
// That line on stderr, or why it cannot be told.
void printStore(KvSource& source);

}  // namespace spolia::engine
