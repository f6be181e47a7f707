// Rates of the entropy coder and of presets on one core, with a memcpy beside them;
// codec_figures.py puts them together. Prints one JSON object: of each thing measured the rates of
// all rounds, in symbols (one byte), values (fp16) or bytes a second. Rounds alternate.
//
//   codec_bench [--rounds N] [--copy-mib N] [--tokens N] [--profile FILE]... [--only PREFIX]...
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "bench/codec/profiled_kv.h"
#include "bench/process_figures.h"
#include "codec/codec.h"
#include "codec/entropy/rans_scalar.h"
#include "codec/entropy/rans_simd_decoder.h"
#include "codec/entropy/rans_simd_encoder.h"
#include "codec/entropy/simd_targets.h"
#include "engine/profile/profile_file.h"
#include "tests/codec/codec_samples.h"

namespace spolia::bench {
namespace {

using namespace codec;

constexpr uint32_t kLayers = 8;
constexpr LayerShape kShape{8, 128};
// Of one plane of a frame of that shape.
constexpr size_t kBlockSymbols = 256 * 1024;

struct Options {
  int rounds = 11;
  size_t copyMib = 256;
  uint32_t tokens = 1024;
  std::vector<std::string> profiles;
  std::vector<std::string> only;

  bool wants(const std::string& name) const {
    return only.empty() || std::any_of(only.begin(), only.end(), [&](const std::string& prefix) {
             return name.starts_with(prefix);
           });
  }
  // Something that begins so.
  bool wantsSome(const std::string& name) const {
    return wants(name) || std::any_of(only.begin(), only.end(), [&](const std::string& prefix) {
             return prefix.starts_with(name);
           });
  }
};

// Something whose rate is measured: `work` handles `amount`.
struct Measured {
  double amount;
  std::function<void()> work;
};
using Contest = std::map<std::string, Measured>;

// What `high` makes of a plane looks like this: a bell over most of the byte.
std::vector<uint8_t> bell() {
  std::mt19937 random(1);
  std::normal_distribution<float> normal(128, 24);
  std::vector<uint8_t> out(kBlockSymbols);
  for (uint8_t& s : out) s = static_cast<uint8_t>(std::clamp(normal(random), 1.0f, 255.0f));
  return out;
}

struct RansBlock {
  std::vector<uint8_t> symbols = bell();
  FrequencyTable table = normalise(countSymbols(symbols));
  Bytes payload;
  std::vector<uint8_t> out = std::vector<uint8_t>(symbols.size());
  RansDecoder scalar;
  RansBlockDecoder simd;

  RansBlock() {
    ByteWriter writer;
    ransEncode(symbols, table, writer);
    payload = writer.take();
  }
  template <typename Decoder>
  void decode(Decoder& decoder) {
    SPOLIA_CHECK(decoder.start(payload, table).ok());
    decoder.decode(out);
    SPOLIA_CHECK(decoder.finished());
  }
};

void addRans(RansBlock& block, Contest& contest) {
  const auto count = static_cast<double>(block.symbols.size());
  contest["rans_decode_scalar"] = {count, [&] { block.decode(block.scalar); }};
  contest["rans_encode_scalar"] = {count, [&] {
                                     ByteWriter out;
                                     ransEncode(block.symbols, block.table, out);
                                   }};
  for (const std::string& target : simdTargets()) {
    contest["rans_decode_" + target] = {count, [&block, target] {
                                          const ForcedSimdTarget forced(target);
                                          block.decode(block.simd);
                                        }};
    contest["rans_encode_" + target] = {count, [&block, target] {
                                          const ForcedSimdTarget forced(target);
                                          ByteWriter out;
                                          ransSimdEncode(block.symbols, block.table, out);
                                        }};
  }
}

struct HighStream {
  SampleKv kv;
  SampleKv out;
  ChunkIdentity identity;
  Bytes stream;
  EncodeScratch encoding;
  DecodeScratch decoding;

  explicit HighStream(uint32_t tokens)
      : kv(kLayers, kShape, tokens, ElementType::kF16),
        out(kLayers, kShape, tokens, ElementType::kF16),
        identity(sampleIdentity(tokens)) {
    kv.fill(1);
    encode();
  }
  void encode() { stream = encodeStream(identity, kv.layers, kv.view(), {}, &encoding).value(); }
  void decode() {
    const StreamHeader header = parseHeader(stream).value();
    SPOLIA_CHECK(decodeStream(stream, header, {}, out.target(), nullptr, &decoding).ok());
  }
};

// One preset with a profile, whole, on one core and by halves of the tokens on two.
struct ProfiledStream {
  ProfiledKv kv;
  EncodeOptions options;
  Bytes stream;
  EncodeScratch encoding;
  DecodeScratch decoding[2];  // by thread

  ProfiledStream(const std::shared_ptr<const Profile>& profile, uint8_t preset, uint32_t tokens)
      : kv(profile, preset, tokens) {
    options.preset = static_cast<Preset>(preset);
    options.profile = profile.get();
    encode();
  }
  void encode() {
    stream =
        encodeStream(kv.identity, kv.profile->data().layers, kv.view(), options, &encoding).value();
  }
  void decode() { decode(0, UINT32_MAX, decoding[0]); }
  void decode(uint32_t begin, uint32_t end, DecodeScratch& scratch) {
    const StreamHeader header = parseHeader(stream).value();
    KvRange range;
    range.tokenBegin = begin;
    range.tokenEnd = end;
    KvTarget target = kv.target();
    target.base += begin * target.tokenStride;
    SPOLIA_CHECK(decodeStream(stream, header, range, target, kv.profile.get(), &scratch).ok());
  }
  void decodeByTwo() {
    const uint32_t half = kv.identity.rows() / 2;
    std::thread other([&] { decode(0, half, decoding[1]); });
    decode(half, UINT32_MAX, decoding[0]);
    other.join();
  }
};

void addProfiled(const std::string& name, ProfiledStream& stream, Contest& contest) {
  const auto values = static_cast<double>(stream.kv.storedCount());
  contest[name + "_encode"] = {values, [&] { stream.encode(); }};
  contest[name + "_decode"] = {values, [&] { stream.decode(); }};
  contest[name + "_decode_two_threads"] = {values, [&] { stream.decodeByTwo(); }};
}

double secondsOf(const std::function<void()>& work) {
  const double start = now();
  work();
  return now() - start;
}

int run(const Options& options) {
  const auto block = std::make_unique<RansBlock>();
  HighStream high(options.tokens);
  std::vector<std::byte> from(options.copyMib << 20, std::byte{1});
  std::vector<std::byte> to(from.size(), std::byte{2});
  Contest contest;
  addRans(*block, contest);
  const auto values = static_cast<double>(high.kv.count());
  contest["high_encode"] = {values, [&] { high.encode(); }};
  contest["high_decode"] = {values, [&] { high.decode(); }};
  std::vector<std::unique_ptr<ProfiledStream>> profiled;
  if (options.wantsSome("balanced")) {  // takes long to make
    profiled.push_back(std::make_unique<ProfiledStream>(benchProfile(), 2, options.tokens));
    addProfiled("balanced", *profiled.back(), contest);
  }
  for (const std::string& path : options.profiles) {
    const auto profile = engine::readProfile(path).value();
    const uint8_t preset = profile->data().transforms.front().preset;
    profiled.push_back(std::make_unique<ProfiledStream>(profile, preset, options.tokens));
    addProfiled("given_" + std::string(presetName(static_cast<Preset>(preset))), *profiled.back(),
                contest);
  }
  std::erase_if(contest, [&](const auto& each) { return !options.wants(each.first); });
  contest["memcpy"] = {static_cast<double>(from.size()), [&] {
                         std::memcpy(to.data(), from.data(), from.size());
                         from[to.size() / 2] ^= to[1];  // so that it is not left out
                       }};
  nlohmann::json rates;
  for (int round = 0; round <= options.rounds; ++round) {
    for (const auto& [name, measured] : contest) {
      const double seconds = secondsOf(measured.work);
      if (round > 0) rates[name].push_back(measured.amount / seconds);  // the first one warms up
    }
  }
  rates["targets"] = simdTargets();
  rates["high_bytes"] = high.stream.size();
  rates["high_values"] = high.kv.count();
  std::puts(rates.dump().c_str());
  return 0;
}

}  // namespace
}  // namespace spolia::bench

int main(int argc, char** argv) {
  spolia::bench::Options options;
  CLI::App app("Rates of the codec");
  app.add_option("--rounds", options.rounds);
  app.add_option("--copy-mib", options.copyMib);
  app.add_option("--tokens", options.tokens);
  app.add_option("--profile", options.profiles, "rates of its preset too");
  app.add_option("--only", options.only,
                 "what to measure beside memcpy: balanced, given, high, rans; also longer");
  CLI11_PARSE(app, argc, argv);
  return spolia::bench::run(options);
}
