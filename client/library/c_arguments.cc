#include "client/library/c_arguments.h"

#include <algorithm>
#include <cstring>

#include "client/protocol/limits.h"

namespace spolia::client {
namespace {

// Longer structs than this are taken for garbage in struct_size.
constexpr size_t kLongestStruct = 4096;

Status required(const void* pointer, const char* name) {
  return pointer != nullptr ? Status() : invalidArgument(std::string(name) + ": is NULL");
}

// The text, or an error when it is not ended within `most` characters.
Result<std::string> readText(const char* text, size_t most, const char* name) {
  if (text == nullptr) return std::string();
  const size_t length = ::strnlen(text, most + 1);
  if (length > most) {
    return invalidArgument(std::string(name) + ": longer than " + std::to_string(most));
  }
  return std::string(text, length);
}

// offset + stride * (count - 1), or nothing when it does not fit.
bool advance(uint64_t& offset, ptrdiff_t stride, uint64_t count) {
  uint64_t step = 0;
  return !__builtin_mul_overflow(static_cast<uint64_t>(stride), count - 1, &step) &&
         !__builtin_add_overflow(offset, step, &offset);
}

}  // namespace

Status checkStruct(const void* given, size_t least, const char* name, size_t ours) {
  SPOLIA_RETURN_IF_ERROR(required(given, name));
  uint32_t size = 0;
  std::memcpy(&size, given, sizeof size);
  if (size < least || size > kLongestStruct) {
    return invalidArgument(std::string(name) + ".struct_size: " + std::to_string(size) +
                           ", expected " + std::to_string(ours));
  }
  if (size <= ours) return {};
  const auto* bytes = static_cast<const char*>(given);
  if (std::any_of(bytes + ours, bytes + size, [](char byte) { return byte != 0; })) {
    return {ErrorCode::kUnsupported, std::string(name) + ": has fields that this library lacks"};
  }
  return {};
}

void giveText(std::string_view text, std::span<char> field) {
  size_t length = std::min(text.size(), field.size() - 1);
  // Not in the middle of a UTF-8 sequence.
  while (length > 0 && length < text.size() && (text[length] & 0xc0) == 0x80) --length;
  std::memcpy(field.data(), text.data(), length);
  std::fill(field.begin() + static_cast<ptrdiff_t>(length), field.end(), '\0');
}

int32_t giveError(const Status& status, spolia_error* error) {
  const auto code = static_cast<int32_t>(status.code());
  if (error == nullptr || error->struct_size < offsetof(spolia_error, message)) return code;
  error->code = code;
  const size_t room =
      std::min<size_t>(error->struct_size, sizeof *error) - offsetof(spolia_error, message);
  if (room > 0) giveText(status.message(), {error->message, room});
  return code;
}

Result<ModelName> readModel(const spolia_model* model) {
  SPOLIA_RETURN_IF_ERROR(checkStruct(model, "model"));
  SPOLIA_RETURN_IF_ERROR(required(model->name, "model.name"));
  SPOLIA_RETURN_IF_ERROR(required(model->numerics, "model.numerics"));
  ModelName out;
  SPOLIA_ASSIGN_OR_RETURN(out.name, readText(model->name, protocol::kMaxModelName, "model.name"));
  SPOLIA_ASSIGN_OR_RETURN(out.descriptor.numerics,
                          readText(model->numerics, protocol::kMaxNumericsBytes, "model.numerics"));
  if (out.name.empty()) return invalidArgument("model.name: is empty");
  out.descriptor.weights = readId<Sha256Tag>(model->weights);
  out.descriptor.adapter = readId<Sha256Tag>(model->adapter);
  out.descriptor.config = readId<Sha256Tag>(model->config);
  out.descriptor.tokenizer = readId<Sha256Tag>(model->tokenizer);
  out.descriptor.rope = readId<Sha256Tag>(model->rope);
  return out;
}

Result<ClientConfig> readOptions(const spolia_options* options) {
  SPOLIA_RETURN_IF_ERROR(checkStruct(options, "options"));
  SPOLIA_RETURN_IF_ERROR(required(options->address, "options.address"));
  ClientConfig config;
  SPOLIA_ASSIGN_OR_RETURN(config.address, readText(options->address, 4096, "options.address"));
  SPOLIA_ASSIGN_OR_RETURN(config.token,
                          readText(options->token, protocol::kMaxTokenBytes, "options.token"));
  if (options->model != nullptr) {
    SPOLIA_ASSIGN_OR_RETURN(config.model, readModel(options->model));
  }
  if (options->connect_timeout_ms != 0) {
    config.connectTimeout = std::chrono::milliseconds(options->connect_timeout_ms);
  }
  if (options->call_timeout_ms != 0) {
    config.callTimeout = std::chrono::milliseconds(options->call_timeout_ms);
  }
  return config;
}

Result<codec::ChunkIdentity> readChunk(const spolia_chunk* chunk,
                                       const ModelFingerprint& fingerprint) {
  SPOLIA_RETURN_IF_ERROR(checkStruct(chunk, "chunk"));
  const bool text = chunk->tokens != nullptr;
  const uint32_t rows = text ? chunk->token_count : chunk->image_rows;
  if (rows == 0 || rows > codec::kMaxChunkTokens || chunk->compile > SPOLIA_PREFIX) {
    return invalidArgument("chunk: expected 1 to 65536 tokens or image rows, and a compile mode");
  }
  if (text ? chunk->image_rows != 0 : chunk->token_count != 0) {
    return invalidArgument("chunk: has fields of both a text and an image");
  }
  if (chunk->parent != nullptr && chunk->compile != SPOLIA_PREFIX) {
    return invalidArgument("chunk.parent: only with compile mode SPOLIA_PREFIX");
  }
  codec::ChunkIdentity identity;
  identity.fingerprint = fingerprint;
  identity.mode = static_cast<codec::CompileMode>(chunk->compile);
  if (chunk->parent != nullptr) identity.parent = readId<ChunkIdTag>(*chunk->parent);
  if (text) {
    identity.tokens.assign(chunk->tokens, chunk->tokens + rows);
    return identity;
  }
  identity.modality = codec::Modality::kImage;
  identity.imageBytes = readId<Sha256Tag>(chunk->image_bytes);
  identity.imagePreprocessing = readId<Sha256Tag>(chunk->image_preprocessing);
  identity.imageRows = rows;
  return identity;
}

Result<std::vector<codec::LayerShape>> readLayers(const spolia_layer* layers, uint32_t count) {
  SPOLIA_RETURN_IF_ERROR(required(layers, "layers"));
  constexpr uint32_t kMostLayers = 1024;
  if (count == 0 || count > kMostLayers) {
    return invalidArgument("layer_count: expected 1 to 1024");
  }
  std::vector<codec::LayerShape> out;
  for (uint32_t i = 0; i < count; ++i) {
    if (layers[i].kv_heads == 0 || layers[i].head_dim == 0) {
      return invalidArgument("layers[" + std::to_string(i) + "]: is empty");
    }
    out.push_back({layers[i].kv_heads, layers[i].head_dim});
  }
  return out;
}

Result<codec::KvTarget> readKv(const spolia_kv* kv) {
  SPOLIA_RETURN_IF_ERROR(checkStruct(kv, "kv"));
  SPOLIA_RETURN_IF_ERROR(required(kv->base, "kv.base"));
  if (kv->element > SPOLIA_BF16) return invalidArgument("kv.element: is none of spolia_element");
  codec::KvTarget out;
  out.type = static_cast<codec::ElementType>(kv->element);
  const auto unit = static_cast<int64_t>(codec::elementSize(out.type));
  for (const int64_t stride :
       {kv->layer_stride, kv->plane_stride, kv->head_stride, kv->token_stride}) {
    if (stride < 0 || stride % unit != 0) {
      return invalidArgument("kv: expected strides that are multiples of the element size");
    }
  }
  if (reinterpret_cast<uintptr_t>(kv->base) % static_cast<uintptr_t>(unit) != 0) {
    return invalidArgument("kv.base: is not aligned to the element size");
  }
  out.base = static_cast<std::byte*>(kv->base);
  out.layerStride = kv->layer_stride;
  out.planeStride = kv->plane_stride;
  out.headStride = kv->head_stride;
  out.tokenStride = kv->token_stride;
  return out;
}

Status checkExtent(const codec::KvTarget& kv, uint64_t size,
                   std::span<const codec::LayerShape> layers, uint32_t tokens) {
  for (size_t layer = 0; layer < layers.size(); ++layer) {
    const codec::LayerShape shape = layers[layer];
    uint64_t end = uint64_t{shape.headDim} * codec::elementSize(kv.type);
    if (!advance(end, kv.layerStride, layer + 1) || !advance(end, kv.planeStride, 2) ||
        !advance(end, kv.headStride, shape.kvHeads) || !advance(end, kv.tokenStride, tokens) ||
        end > size) {
      return invalidArgument("kv.size: " + std::to_string(size) + " bytes do not hold layer " +
                             std::to_string(layer) + " of " + std::to_string(tokens) + " tokens");
    }
  }
  return {};
}

spolia_entry giveEntry(const ChunkId& id, const Result<codec::EntryInfo>& info) {
  spolia_entry out{};
  out.id = giveId(id);
  out.code = static_cast<int32_t>(info.status().code());
  if (!info.ok()) return out;
  out.kind = static_cast<uint32_t>(info->kind);
  out.bytes = info->bytes;
  out.tokens = info->tokens;
  out.preset = static_cast<uint32_t>(info->preset);
  out.levels = info->levels;
  return out;
}

}  // namespace spolia::client
