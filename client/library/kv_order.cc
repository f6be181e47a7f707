#include "client/library/kv_order.h"

#include <span>

namespace spolia::client {
namespace {

Status checkForm(uint32_t form, uint32_t firstPosition, bool anyAllowed) {
  const bool known =
      form == SPOLIA_PRE_ROPE || form == SPOLIA_ROTATED || (anyAllowed && form == SPOLIA_K_ANY);
  if (!known) return invalidArgument("k_form: is none of spolia_k_form, or not allowed here");
  if (form != SPOLIA_ROTATED && firstPosition != 0) {
    return invalidArgument("first_position: only rotated keys have one");
  }
  return {};
}

Status checkRange(const codec::KvRange& range, size_t layers) {
  if (range.layerEnd > layers && range.layerEnd != UINT32_MAX) {
    return invalidArgument("layer_end: is greater than layer_count");
  }
  if (range.layerBegin >= std::min<size_t>(range.layerEnd, layers)) {
    return invalidArgument("layer_begin: the range of layers is empty");
  }
  if (range.tokenBegin >= range.tokenEnd) {
    return invalidArgument("token_begin: the range of tokens is empty");
  }
  return {};
}

std::string formText(const codec::StreamHeader& header) {
  return header.kForm == codec::KForm::kPreRope
             ? std::string("before RoPE")
             : "rotated from position " + std::to_string(header.firstPosition) + " on";
}

// Whether the answer has exactly the frames that the range needs: a server that leaves one out must
// not leave values unwritten.
Status checkFrames(const codec::ChunkCompletion& done, const codec::KvRange& range) {
  const std::vector<uint32_t> needed = codec::coveringFrames(*done.header, range);
  const bool same = std::equal(
      needed.begin(), needed.end(), done.frames.begin(), done.frames.end(),
      [](uint32_t index, const codec::FrameSlice& frame) { return index == frame.index; });
  return same ? Status() : Status(ErrorCode::kCorrupt, "the server sent other frames than asked");
}

void describe(const codec::StreamHeader& header, spolia_result& out) {
  out.preset = static_cast<uint32_t>(header.preset);
  out.levels = header.levels;
  out.k_form = static_cast<uint32_t>(header.kForm);
  out.first_position = header.firstPosition;
}

}  // namespace

spolia_result resultOf(const Status& status) {
  spolia_result out{};
  out.code = static_cast<int32_t>(status.code());
  giveText(status.message(), out.message);
  return out;
}

Result<StoreOrder> StoreOrder::read(const spolia_store_request* request,
                                    const ModelFingerprint& fingerprint) {
  spolia_store_request whole{};
  SPOLIA_RETURN_IF_ERROR(takeStruct(request, offsetof(spolia_store_request, ttl_seconds), whole));
  request = &whole;
  SPOLIA_RETURN_IF_ERROR(checkForm(request->k_form, request->first_position, false));
  if (request->preset > SPOLIA_SMALL) return invalidArgument("preset: is none of spolia_preset");
  if (request->put > SPOLIA_REPLACE) return invalidArgument("put: is none of spolia_put");
  StoreOrder order;
  SPOLIA_ASSIGN_OR_RETURN(order.identity, readChunk(request->chunk, fingerprint));
  SPOLIA_ASSIGN_OR_RETURN(order.layers, readLayers(request->layers, request->layer_count));
  SPOLIA_ASSIGN_OR_RETURN(const codec::KvTarget kv, readKv(request->kv));
  SPOLIA_RETURN_IF_ERROR(checkExtent(kv, request->kv->size, order.layers, order.identity.rows()));
  order.kv = {kv.base, kv.layerStride, kv.planeStride, kv.headStride, kv.tokenStride, kv.type};
  order.options.preset = static_cast<codec::Preset>(request->preset);
  order.options.kForm = static_cast<codec::KForm>(request->k_form);
  order.options.firstPosition = request->first_position;
  order.put = {static_cast<codec::PutMode>(request->put), request->ttl_seconds};
  return order;
}

Result<AlignedBuffer> StoreOrder::encode() const {
  SPOLIA_ASSIGN_OR_RETURN(const Bytes stream, codec::encodeStream(identity, layers, kv, options));
  return AlignedBuffer::copyOf(stream);
}

spolia_result StoreOrder::result(const codec::ChunkCompletion& done) const {
  spolia_result out = resultOf(done.status);
  out.id = giveId(codec::chunkIdOf(identity));
  if (!done.status.ok()) return out;
  out.outcome = static_cast<uint32_t>(done.outcome);
  out.bytes = done.info.bytes;
  out.tokens = done.info.tokens;
  out.preset = static_cast<uint32_t>(done.info.preset);
  out.levels = done.info.levels;
  return out;
}

Result<FetchOrder> FetchOrder::read(const spolia_fetch_request* request,
                                    const ModelFingerprint& fingerprint) {
  spolia_fetch_request whole{};
  SPOLIA_RETURN_IF_ERROR(
      takeStruct(request, offsetof(spolia_fetch_request, computes_derived), whole));
  request = &whole;
  SPOLIA_RETURN_IF_ERROR(checkForm(request->k_form, request->first_position, true));
  if (request->computes_derived > 1) return invalidArgument("computes_derived: expected 0 or 1");
  FetchOrder order;
  order.id = readId<ChunkIdTag>(request->id);
  if (request->chunk != nullptr) {
    SPOLIA_ASSIGN_OR_RETURN(order.expected, readChunk(request->chunk, fingerprint));
    order.id = codec::chunkIdOf(order.expected);
  }
  SPOLIA_ASSIGN_OR_RETURN(order.layers, readLayers(request->layers, request->layer_count));
  order.kForm = request->k_form;
  order.firstPosition = request->first_position;
  order.range.layerBegin = request->layer_begin;
  if (request->layer_end != 0) order.range.layerEnd = request->layer_end;
  order.range.tokenBegin = request->token_begin;
  if (request->token_end != 0) order.range.tokenEnd = request->token_end;
  SPOLIA_RETURN_IF_ERROR(checkRange(order.range, order.layers.size()));
  SPOLIA_ASSIGN_OR_RETURN(order.target, readKv(request->kv));
  order.targetBytes = request->kv->size;
  order.computesDerived = request->computes_derived == 1;
  return order;
}

uint32_t FetchOrder::derivedIn(const codec::StreamHeader& header) const {
  return std::max(std::min(header.derivedLayers, range.layerEnd), range.layerBegin) -
         range.layerBegin;
}

codec::KvRange FetchOrder::within(const codec::StreamHeader& header) const {
  codec::KvRange out = range;
  out.layerEnd = std::min(range.layerEnd, static_cast<uint32_t>(header.layers.size()));
  out.tokenEnd = std::min(range.tokenEnd, header.tokens());
  return out;
}

Status FetchOrder::accepts(const codec::StreamHeader& header) const {
  if (expected.rows() != 0 && header.identity != expected) {
    return {ErrorCode::kNotFound, "the chunk of this id has other tokens"};
  }
  const bool formAsked = kForm == SPOLIA_K_ANY || (kForm == static_cast<uint32_t>(header.kForm) &&
                                                   firstPosition == header.firstPosition);
  if (!formAsked) return {ErrorCode::kNotFound, "its keys are stored " + formText(header)};
  if (header.layers != layers) {
    return invalidArgument("layers: the chunk has other shapes, or another number of layers");
  }
  const codec::KvRange box = within(header);
  if (box.tokenBegin >= box.tokenEnd ||
      (range.tokenEnd != UINT32_MAX && range.tokenEnd > header.tokens())) {
    return invalidArgument("token_end: the chunk has " + std::to_string(header.tokens()) +
                           " tokens");
  }
  if (derivedIn(header) > 0 && !computesDerived) {
    return {
        ErrorCode::kNotFound,
        "its first layer is not stored, but follows from tokens and weights: compute it and set "
        "computes_derived, or fetch the layers behind it"};
  }
  const auto shapes = std::span(layers).subspan(box.layerBegin, box.layerEnd - box.layerBegin);
  return checkExtent(target, targetBytes, shapes, box.tokenEnd - box.tokenBegin);
}

Status FetchOrder::check(const codec::ChunkCompletion& done) const {
  SPOLIA_RETURN_IF_ERROR(done.status);
  SPOLIA_RETURN_IF_ERROR(accepts(*done.header));
  return checkFrames(done, within(*done.header));
}

std::optional<Sha256Digest> FetchOrder::profileOf(const codec::ChunkCompletion& done) const {
  const bool named = done.status.ok() && !done.header->profile.isZero() && !done.frames.empty();
  if (!named || !check(done).ok()) return {};
  return done.header->profile;
}

spolia_result FetchOrder::decode(const codec::ChunkCompletion& done,
                                 const Result<Profile>& profile) const {
  Status status = check(done);
  if (status.ok()) status = profile.status();
  if (status.ok()) {
    std::vector<codec::FrameBytes> frames;
    for (size_t i = 0; i < done.frames.size(); ++i) frames.push_back(done.frame(i));
    status = codec::decodeFrames(*done.header, frames, range, target, profile->get());
  }
  spolia_result out = resultOf(status);
  out.id = giveId(id);
  if (done.header != nullptr) {
    describe(*done.header, out);
    out.derived_layers = derivedIn(*done.header);
  }
  if (!status.ok()) return out;
  const codec::KvRange box = within(*done.header);
  out.layers = box.layerEnd - box.layerBegin - out.derived_layers;
  out.tokens = box.tokenEnd - box.tokenBegin;
  out.bytes = done.bytes.size();
  out.tier = static_cast<uint32_t>(done.tier);
  return out;
}

}  // namespace spolia::client
