// spolia-engine as people run it: documents in, questions answered from cached chunks, with the
// store in its own process and through a spoliad.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>

#include "client/blocking_client.h"
#include "client/library/c_arguments.h"
#include "client/spolia.h"
#include "codec/lossy/profile.h"
#include "tests/codec/golden_kv.h"
#include "tests/e2e/server_process.h"

namespace spolia::test {
namespace {

namespace fs = std::filesystem;

constexpr const char* kQuestion = "What does Helen enjoy?";

// All of a chunk but its derived layers, through the C interface.
void fetchAll(spolia_client* client, const ChunkId& id, const codec::StreamHeader& header,
              const codec::KvTarget& to) {
  spolia_kv kv{};
  kv.struct_size = sizeof kv;
  kv.element = SPOLIA_F32;
  kv.base = to.base;
  kv.size = header.layers.size() * static_cast<uint64_t>(to.layerStride);
  kv.layer_stride = to.layerStride;
  kv.plane_stride = to.planeStride;
  kv.head_stride = to.headStride;
  kv.token_stride = to.tokenStride;
  std::vector<spolia_layer> layers;
  for (const codec::LayerShape& shape : header.layers) {
    layers.push_back({shape.kvHeads, shape.headDim});
  }
  spolia_fetch_request request{};
  request.struct_size = sizeof request;
  request.id = client::giveId(id);
  request.layers = layers.data();
  request.layer_count = static_cast<uint32_t>(layers.size());
  request.kv = &kv;
  request.computes_derived = 1;
  spolia_error error{};
  error.struct_size = sizeof error;
  EXPECT_EQ(spolia_fetch(client, &request, nullptr, &error), SPOLIA_OK) << error.message;
}

// That every chunk, all of them made with this profile, is to the C interface what the codec makes
// of its bytes.
void expectReadableFromC(const ServerProcess& server,
                         const std::shared_ptr<const codec::Profile>& profile) {
  const auto direct = client::BlockingClient::start(server.config()).value();
  const codec::EntryPage page = direct->list(codec::EntryKind::kChunk, "", 1000).value();
  EXPECT_FALSE(page.entries.empty());
  const std::string address = server.tcp();
  spolia_options options{};
  options.struct_size = sizeof options;
  options.address = address.c_str();
  spolia_client* client = nullptr;
  ASSERT_EQ(spolia_open(&options, &client, nullptr), SPOLIA_OK);
  for (const codec::EntryInfo& entry : page.entries) {
    const codec::ChunkCompletion stored = direct->getValue(entry.id);
    const codec::StreamHeader header = codec::verifyStream(stored.bytes.span()).value();
    EXPECT_EQ(header.profile, profile->id());
    codec::GoldenKv expected(header.layers, header.tokens(), codec::ElementType::kF32);
    const Status decoded =
        codec::decodeStream(stored.bytes.span(), header, {}, expected.target(), profile.get());
    EXPECT_TRUE(decoded.ok()) << decoded.toString();
    codec::GoldenKv kv(header.layers, header.tokens(), codec::ElementType::kF32);
    fetchAll(client, entry.id, header, kv.target());
    EXPECT_EQ(kv.dense(), expected.dense());
  }
  spolia_close(client);
}

class EngineCli : public testing::Test {
 protected:
  Outcome engine(std::vector<std::string> words, const std::vector<std::string>& place) {
    words.insert(words.begin(), programPath("engine/spolia-engine"));
    words.insert(words.end(), {"--model", model_});
    words.insert(words.end(), place.begin(), place.end());
    return runCommand(words);
  }
  Outcome engine(const std::vector<std::string>& words) { return engine(words, embedded_); }

  nlohmann::json ingest(const std::vector<std::string>& place) {
    const Outcome outcome =
        engine({"ingest", documents_, "--chunk-tokens", "128", "--json"}, place);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return nlohmann::json::parse(outcome.out);
  }
  nlohmann::json ask(const std::vector<std::string>& place, const std::string& methods) {
    const Outcome outcome = engine(
        {"ask", kQuestion, "--docs", documents_ + "*", "--method", methods, "--json"}, place);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return nlohmann::json::parse(outcome.out).at("results");
  }
  void expectAnswers(const std::vector<std::string>& place) {
    const auto results = ask(place, "full,first-k");
    EXPECT_EQ(results[0]["answer"], "sailing");
    EXPECT_EQ(results[0]["rows_computed"], results[0]["rows"]);
    EXPECT_EQ(results[0]["chunks_hit"], 0);
    EXPECT_EQ(results[1]["answer"], "sailing");
    EXPECT_EQ(results[1]["chunks_hit"], results[1]["chunks"]);
    EXPECT_LT(results[1]["rows_computed"], results[1]["rows"]);
    EXPECT_GT(results[1]["bytes_read"], 0);
  }

  TemporaryDirectory directory_;
  const std::string source_ = SPOLIA_SOURCE_DIR;
  std::string model_ = source_ + "/engine/models/micro";
  const std::string documents_ = source_ + "/conf/demo/";
  const std::vector<std::string> embedded_ = {"--store", (directory_.path() / "store").string(),
                                              "--capacity", "1 GiB"};
};

TEST_F(EngineCli, AnswersFromItsOwnStore) {
  const auto first = ingest(embedded_);
  EXPECT_EQ(first["new"], 12);
  EXPECT_EQ(first["skipped"].size(), 1u);
  const auto second = ingest(embedded_);
  EXPECT_EQ(second["unchanged"], 12);
  EXPECT_EQ(second["chunks_computed"], 0);
  expectAnswers(embedded_);
  const Outcome docs = engine({"docs", "*helen*", "--json"});
  EXPECT_EQ(nlohmann::json::parse(docs.out).size(), 1u) << docs.out;
  EXPECT_NE(docs.err.find("free on disk"), std::string::npos);
}

TEST_F(EngineCli, AnswersThroughAServer) {
  ServerProcess server(directory_.path());
  ASSERT_TRUE(server.ready()) << server.errors();
  const std::vector<std::string> place = {"--cache", server.tcp()};
  EXPECT_EQ(ingest(place)["new"], 12);
  expectAnswers(place);
  expectAnswers({"--cache", server.unixAddress()});
  const Outcome removed =
      engine({"rm", documents_ + "helen-goes-sailing.txt", "no such document"}, place);
  EXPECT_EQ(removed.code, 3);
  EXPECT_NE(removed.out.find("1 chunks"), std::string::npos) << removed.out;
  EXPECT_EQ(ask(place, "first-k")[0]["chunks"], 13);
}

TEST_F(EngineCli, TopTakesTheDocumentsTheQuestionIsAbout) {
  ingest(embedded_);
  const Outcome outcome = engine({"ask", kQuestion, "--top", "1", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto reply = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(reply["documents"].size(), 1u) << reply;
  EXPECT_NE(reply["documents"].dump().find("helen-goes-sailing.txt"), std::string::npos) << reply;
  EXPECT_EQ(reply["results"][0]["answer"], "sailing");
  for (const char* wrong : {"-1", "some"}) {
    const Outcome refused = engine({"ask", kQuestion, "--top", wrong});
    EXPECT_EQ(refused.code, 2) << wrong;
    EXPECT_NE(refused.err.find("--top"), std::string::npos) << refused.err;
  }
}

// Each way to put chunks together, on the same documents.
TEST_F(EngineCli, MethodsThatStoreTheirOwnChunks) {
  ingest(embedded_);
  const auto lego = [&] { return ask(embedded_, "lego0")[0]; };
  EXPECT_EQ(lego()["chunks_hit"], 0) << "chunks behind one BOS row are not lego0's";
  const Outcome stored =
      engine({"ingest", documents_, "--chunk-tokens", "128", "--compile-mode", "lego0", "--json"});
  ASSERT_EQ(stored.code, 0) << stored.err;
  EXPECT_GT(nlohmann::json::parse(stored.out)["chunks_computed"], 0);
  EXPECT_EQ(lego()["chunks_hit"], lego()["chunks"]);
  EXPECT_LT(lego()["rows_computed"], ask(embedded_, "first-k")[0]["rows_computed"]);

  const auto first = ask(embedded_, "prefix")[0], second = ask(embedded_, "prefix")[0];
  EXPECT_EQ(first["answer"], "sailing");
  EXPECT_GT(first["chunks_stored"], 0) << first;
  EXPECT_EQ(second["answer"], "sailing");
  EXPECT_EQ(second["chunks_hit"], first["chunks_stored"]);
  EXPECT_EQ(second["chunks_stored"], 0);
  EXPECT_EQ(second["rows_computed"].get<int>() + 256 * second["chunks_hit"].get<int>(),
            second["rows"].get<int>());
}

// Who stores chunks with a profile stores the profile too: others need no file.
TEST_F(EngineCli, AProfileIsFoundWithItsChunks) {
  const std::string text = (directory_.path() / "text").string();
  std::ofstream out(text);
  for (const auto& file : fs::directory_iterator(documents_)) {
    if (file.path().extension() == ".txt") out << std::ifstream(file.path()).rdbuf() << '\f';
  }
  out.close();
  const std::string profile = (directory_.path() / "profile").string();
  const Outcome made = engine({"profile", text, "--preset", "balanced", "--out", profile,
                               "--cached", "48", "--continued", "8", "--passages", "16"},
                              {});
  ASSERT_EQ(made.code, 0) << made.err;
  fs::create_directory(directory_.path() / "served");
  ServerProcess server(directory_.path() / "served");
  ASSERT_TRUE(server.ready()) << server.errors();
  for (const std::vector<std::string>& place :
       {embedded_, std::vector<std::string>{"--cache", server.tcp()}}) {
    const Outcome ingested = engine({"ingest", documents_, "--chunk-tokens", "128", "--preset",
                                     "balanced", "--profile", profile},
                                    place);
    ASSERT_EQ(ingested.code, 0) << ingested.err;
    const auto results = ask(place, "first-k");
    EXPECT_EQ(results[0]["chunks_hit"], results[0]["chunks"]) << results[0];
    EXPECT_EQ(results[0]["answer"], "sailing");
  }
  expectReadableFromC(server, codec::Profile::parse(asBytes(readText(profile))).value());
}

TEST_F(EngineCli, ChangedDocumentReplacesTheOldOne) {
  const std::string path = (directory_.path() / "notes.md").string();
  writeText(path, "Helen enjoys sailing. The weather is good today.\n");
  ASSERT_EQ(engine({"ingest", path}).code, 0);
  writeText(path, "Helen enjoys chess. The weather is good today.\n");
  const Outcome outcome = engine({"ingest", path, "--json"});
  const auto summary = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(summary["replaced"], 1);
  EXPECT_EQ(summary["chunks_removed"], 1);
  EXPECT_EQ(nlohmann::json::parse(engine({"docs", "--json"}).out).size(), 1u);
}

// A flipped bit in the first record, which is a chunk: a miss that is named, and the same answer.
TEST_F(EngineCli, DamagedChunkIsAMissNotAWrongAnswer) {
  ingest(embedded_);
  size_t damaged = 0;
  for (const auto& entry : fs::recursive_directory_iterator(directory_.path() / "store")) {
    if (!entry.is_regular_file() || entry.file_size() < (16u << 20)) continue;
    std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
    constexpr std::streamoff kInFirstRecord = 20000;
    char byte = 0;
    file.seekg(kInFirstRecord).get(byte);
    file.seekp(kInFirstRecord).put(static_cast<char>(byte ^ 1));
    ++damaged;
  }
  ASSERT_GT(damaged, 0u);
  const auto result = ask(embedded_, "first-k")[0];
  EXPECT_EQ(result["answer"], "sailing");
  EXPECT_EQ(result["chunks_hit"].get<int>(), result["chunks"].get<int>() - 1);
  EXPECT_EQ(result["provenance"][0]["outcome"], "corrupt");
  EXPECT_EQ(result["provenance"][0]["rows_computed"], result["provenance"][0]["rows"]);
}

TEST_F(EngineCli, SecondProcessIsToldWhoHasTheStore) {
  ServerProcess server(directory_.path());
  ASSERT_TRUE(server.ready()) << server.errors();
  const Outcome outcome = engine({"docs"}, {"--store", (directory_.path() / "store").string()});
  EXPECT_EQ(outcome.code, 4);
  EXPECT_TRUE(std::regex_search(outcome.err, std::regex("[0-9]+"))) << outcome.err;
}

TEST_F(EngineCli, OtherModelOfTheSameNameIsRefused) {
  ServerProcess server(directory_.path());
  ASSERT_TRUE(server.ready()) << server.errors();
  const std::vector<std::string> place = {"--cache", server.tcp()};
  ASSERT_EQ(engine({"docs"}, place).code, 0);
  const fs::path other = directory_.path() / "other" / "micro";
  fs::create_directories(other);
  for (const auto& entry : fs::directory_iterator(model_)) fs::copy(entry.path(), other);
  const std::string config = readText(other / "config.json");
  writeText(other / "config.json",
            std::regex_replace(config, std::regex("\"rope_theta\": *[0-9.e+]+"),
                               "\"rope_theta\": 12345.0"));
  model_ = other.string();
  const Outcome outcome = engine({"docs"}, place);
  EXPECT_NE(outcome.code, 0);
  EXPECT_NE(outcome.err.find("rope"), std::string::npos) << outcome.err;
}

TEST_F(EngineCli, BadInputIsNamed) {
  const auto refused = [&](const std::vector<std::string>& words, int code,
                           const std::string& named, const std::vector<std::string>& place) {
    const Outcome outcome = engine(words, place);
    EXPECT_EQ(outcome.code, code) << outcome.err;
    EXPECT_NE(outcome.err.find(named), std::string::npos) << outcome.err;
  };
  refused({"ask", "x"}, 4, "127.0.0.1:1", {"--cache", "spolia://127.0.0.1:1"});
  refused({"ask", "x"}, 3, "no documents", embedded_);
  refused({"ingest", "/no/such.txt"}, 3, "/no/such.txt", embedded_);
  refused({"ask", "x", "--method", "fist-k"}, 2, "first-k", embedded_);
  const std::string file = (directory_.path() / "engine.toml").string();
  writeText(file, "[link]\npatience = 3\n");
  refused({"docs", "--config", file}, 2, "link.patience_ms", embedded_);
  ingest(embedded_);
  refused({"ask", "x", "--max-tokens", "100000"}, 2, "100000", embedded_);
  refused({"ask", "x", "--docs", "*.pdf"}, 3, "--docs", embedded_);
  model_ = (directory_.path() / "nothing").string();
  refused({"docs"}, 3, "nothing", embedded_);
}

// Errors leave the store as it was.
TEST_F(EngineCli, BrokenModelFileIsNamed) {
  const fs::path broken = directory_.path() / "broken";
  fs::create_directories(broken);
  for (const auto& entry : fs::directory_iterator(model_)) fs::copy(entry.path(), broken);
  fs::resize_file(broken / "model.safetensors", 100000);
  model_ = broken.string();
  const Outcome outcome = engine({"ingest", documents_});
  EXPECT_NE(outcome.code, 0);
  EXPECT_NE(outcome.err.find("model.safetensors"), std::string::npos) << outcome.err;
  EXPECT_FALSE(fs::exists(directory_.path() / "store"));
}

}  // namespace
}  // namespace spolia::test
