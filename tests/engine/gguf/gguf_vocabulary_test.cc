// Vocabularies of both kinds give the ids that the published files of the same tokenizer give.
#include "engine/gguf/gguf_vocabulary.h"

#include <nlohmann/json.hpp>

#include "engine/gguf/split_rules.h"
#include "engine/model/json_file.h"
#include "engine/model/sentencepiece.h"
#include "tests/engine/gguf/small_model.h"
#include "tests/engine/model/model_dir.h"

namespace spolia::engine {
namespace {

using nlohmann::json;
using test::GgufWriter;
using test::smallVocabulary;
using Ids = std::vector<codec::TokenId>;

Result<Tokenizer> tokenizerOf(const GgufWriter& writer) {
  const Bytes bytes = writer.make();
  const auto file = parseGguf(bytes, "x.gguf");
  if (!file.ok()) return file.status();
  return readGgufTokenizer(GgufFields(*file, "x.gguf"));
}

constexpr std::string_view kTexts[] = {
    "The store keeps 12345 stones, it's HE'LL  two\n\n three.", " leading, trailing ",
    "na\xC3\xAFve e\xCC\x81 \xE4\xBD\xA0\xE5\xA5\xBD 2024 \xF0\x9F\x99\x82!",
    "x\t\ty\r\n\r\nz <|bos|>a<|eos|> b"};

// The golden tokenizer.json with another way to cut, and the same as a GGUF file.
json publishedFile() {
  return json::parse(readAll(goldenDir("tokenizer") / "base_tokenizer.json"));
}

GgufWriter asGguf(const json& published, const char* pre) {
  std::vector<std::string> tokens;
  std::vector<int32_t> types;
  const auto put = [&](size_t id, const std::string& token, int32_t type) {
    if (id >= tokens.size()) tokens.resize(id + 1), types.resize(id + 1, 5);
    tokens[id] = token, types[id] = type;
  };
  for (const auto& [token, id] : published["model"]["vocab"].items()) put(id, token, 1);
  for (const json& added : published["added_tokens"]) {
    put(added["id"], added["content"], added["special"].get<bool>() ? 3 : 4);
  }
  std::vector<std::string> merges;
  for (const json& merge : published["model"]["merges"]) {
    merges.push_back(merge.is_string()
                         ? merge.get<std::string>()
                         : merge[0].get<std::string>() + " " + merge[1].get<std::string>());
  }
  GgufWriter out;
  out.add("tokenizer.ggml.model", "gpt2").add("tokenizer.ggml.pre", pre);
  out.add("tokenizer.ggml.tokens", tokens).add("tokenizer.ggml.token_type", types);
  return out.add("tokenizer.ggml.merges", merges);
}

TEST(GgufVocabulary, ByteLevelAsTheTokenizerJson) {
  for (const char* pre : {"gpt-2", "llama-bpe", "qwen2", "smollm", "tekken"}) {
    json published = publishedFile();
    const SplitRule* rule = splitRuleOf(pre);
    ASSERT_NE(rule, nullptr);
    published["pre_tokenizer"] = preTokenizerOf(*rule, BlankInFront::kNo);
    published["model"]["ignore_merges"] = rule->ignoreMerges;
    published["normalizer"] = rule->nfc ? json{{"type", "NFC"}} : json();
    const auto expected = Tokenizer::parse(published.dump(), "tokenizer.json");
    ASSERT_TRUE(expected.ok()) << expected.status().toString();
    const auto found = tokenizerOf(asGguf(published, pre));
    ASSERT_TRUE(found.ok()) << found.status().toString();
    EXPECT_EQ(found->vocabSize(), expected->vocabSize());
    for (const std::string_view text : kTexts) {
      const auto ids = found->encode(text);
      ASSERT_TRUE(ids.ok());
      EXPECT_EQ(*ids, *expected->encode(text)) << pre << ": " << text;
      EXPECT_EQ(found->decode(*ids), expected->decode(*ids)) << pre;
      EXPECT_EQ(found->decode(*ids, SpecialTokens::kSkip),
                expected->decode(*ids, SpecialTokens::kSkip));
    }
  }
}

// What a pattern cuts, by tokens that would merge across the cut.
TEST(GgufVocabulary, PatternsCut) {
  const auto idsBy = [](const char* pre, std::string_view text) {
    GgufWriter writer;
    writer.add("tokenizer.ggml.model", "gpt2").add("tokenizer.ggml.pre", pre);
    writer.add("tokenizer.ggml.tokens",
               std::vector<std::string>{"1", "2", "12", "121", "1212", "a", "1a", "+", "++"});
    writer.add("tokenizer.ggml.token_type", std::vector<int32_t>(9, 1));
    writer.add("tokenizer.ggml.merges",
               std::vector<std::string>{"1 2", "12 1", "121 2", "1 a", "+ +"});
    auto tokenizer = tokenizerOf(writer);
    EXPECT_TRUE(tokenizer.ok()) << tokenizer.status().toString();
    return *tokenizer->encode(text);
  };
  EXPECT_EQ(idsBy("gpt-2", "1212a"), (Ids{2, 2, 5})) << "all digits of a number at once";
  EXPECT_EQ(idsBy("llama-bpe", "1212a"), (Ids{3, 1, 5})) << "three digits at once";
  EXPECT_EQ(idsBy("qwen2", "1212a"), (Ids{0, 1, 0, 1, 5})) << "each digit alone";
  EXPECT_EQ(idsBy("smollm", "1212a"), (Ids{0, 1, 0, 1, 5}));
  EXPECT_EQ(idsBy("tekken", "1212a"), (Ids{0, 1, 0, 1, 5}));
  EXPECT_EQ(idsBy("default", "1212a"), (Ids{3, 1, 5}));
  EXPECT_EQ(idsBy("default", "++"), (Ids{8}));
}

TEST(GgufVocabulary, BlankInFront) {
  GgufWriter writer;
  writer.add("tokenizer.ggml.model", "gpt2").add("tokenizer.ggml.pre", "gpt-2");
  writer.add("tokenizer.ggml.tokens", std::vector<std::string>{"a", "\xC4\xA0"});
  writer.add("tokenizer.ggml.token_type", std::vector<int32_t>{1, 1});
  writer.add("tokenizer.ggml.merges", std::vector<std::string>{});
  EXPECT_EQ(*tokenizerOf(writer)->encode("a"), (Ids{0}));
  writer.add("tokenizer.ggml.add_space_prefix", true);
  EXPECT_EQ(*tokenizerOf(writer)->encode("a"), (Ids{1, 0}));
}

TEST(GgufVocabulary, ControlTokensAreFoundAndUnusedOnesAreNot) {
  const auto tokenizer = tokenizerOf(smallVocabulary());
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().toString();
  EXPECT_EQ(*tokenizer->encode("<bos>ab<eos>"), (Ids{0, 3, 4}));
  EXPECT_EQ(tokenizer->decode(Ids{0, 3, 4}, SpecialTokens::kSkip), "ab");
  EXPECT_EQ(tokenizer->find("<pad>"), std::nullopt);
}

TEST(GgufVocabulary, MergesOfNoTokensArePassedOver) {
  GgufWriter writer = smallVocabulary();
  writer.set("tokenizer.ggml.merges", std::vector<std::string>{"b a", "a x", "a b"});
  EXPECT_EQ(*tokenizerOf(writer)->encode("ab"), (Ids{3}));
}

TEST(GgufVocabulary, PiecesAsTheTokenizerModel) {
  const std::string bytes = readAll(goldenDir("tokenizer") / "made_up.model");
  const auto model = parseSentencePiece(bytes, "made_up.model");
  ASSERT_TRUE(model.ok()) << model.status().toString();
  std::vector<std::string> tokens;
  std::vector<int32_t> types;
  std::vector<float> scores;
  for (const Piece& piece : model->pieces) {
    tokens.push_back(piece.text);
    types.push_back(static_cast<int32_t>(piece.kind));
    scores.push_back(piece.score);
  }
  GgufWriter writer;
  writer.add("tokenizer.ggml.model", "llama").add("tokenizer.ggml.tokens", tokens);
  writer.add("tokenizer.ggml.token_type", types).add("tokenizer.ggml.scores", scores);
  writer.add("tokenizer.ggml.add_space_prefix", model->addsBlankInFront);
  const auto found = tokenizerOf(writer);
  ASSERT_TRUE(found.ok()) << found.status().toString();
  const auto expected = Tokenizer::parseSentencePiece(bytes, "made_up.model");
  for (const std::string_view text : kTexts) {
    EXPECT_EQ(*found->encode(text), *expected->encode(text)) << text;
  }

  writer.set("tokenizer.ggml.scores", std::vector<float>(3));
  expectError(tokenizerOf(writer), {"tokenizer.ggml.scores is an array of 3 x f32", "as many as"});
  writer.set("tokenizer.ggml.scores", scores);
  tokens[5] = tokens[4];
  writer.set("tokenizer.ggml.tokens", tokens);
  expectError(tokenizerOf(writer), {"x.gguf: tokenizer.ggml.tokens", "not there yet"});
  writer.add("tokenizer.ggml.remove_extra_whitespaces", true);
  expectError(tokenizerOf(writer), {"tokenizer.ggml.remove_extra_whitespaces is true", "false"});
}

TEST(GgufVocabulary, ErrorsNameTheKey) {
  const auto with = [](const char* key, const auto& value) {
    return tokenizerOf(smallVocabulary().set(key, value));
  };
  EXPECT_EQ(with("tokenizer.ggml.pre", "mystery").status().code(), ErrorCode::kUnsupported);
  expectError(with("tokenizer.ggml.pre", "mystery"),
              {"x.gguf: tokenizer.ggml.pre is \"mystery\"", "\"llama-bpe\""});
  expectError(with("tokenizer.ggml.model", "bert"), {"tokenizer.ggml.model is \"bert\"", "gpt2"});
  expectError(with("tokenizer.ggml.token_type", std::vector<int32_t>{1, 1}),
              {"tokenizer.ggml.token_type is an array of 2 x i32", "tokenizer.ggml.tokens, 6"});
  expectError(with("tokenizer.ggml.token_type", std::vector<int32_t>{3, 1, 1, 7, 3, 5}),
              {"tokenizer.ggml.token_type[3] is \"7\"", "1 to 6"});
  expectError(with("tokenizer.ggml.tokens",
                   std::vector<std::string>{"<bos>", "a", "b", "ab", "a", "<pad>"}),
              {"tokenizer.ggml.tokens[4] is \"a\"", "not there yet"});
  expectError(with("tokenizer.ggml.tokens",
                   std::vector<std::string>{"<bos>", "a", "\xff", "ab", "c", "<pad>"}),
              {"tokenizer.ggml.tokens[2]", "UTF-8"});
  expectError(with("tokenizer.ggml.merges", std::vector<std::string>{"a b", "ab"}),
              {"tokenizer.ggml.merges[1] is \"ab\"", "two tokens"});
  for (const char* key : {"tokenizer.ggml.tokens", "tokenizer.ggml.token_type",
                          "tokenizer.ggml.merges", "tokenizer.ggml.pre", "tokenizer.ggml.model"}) {
    expectError(tokenizerOf(smallVocabulary().remove(key)),
                {std::string("x.gguf: ") + key + " is missing"});
  }
}

TEST(GgufVocabulary, DigestIsOfAllThatDecides) {
  const auto digestOf = [](const GgufWriter& writer) {
    const Bytes bytes = writer.make();
    const auto file = parseGguf(bytes, "x.gguf");
    EXPECT_TRUE(file.ok());
    return ggufTokenizerDigest(GgufFields(*file, "x.gguf"));
  };
  const Sha256Digest plain = digestOf(smallVocabulary());
  EXPECT_EQ(digestOf(smallVocabulary().add("general.name", "x")), plain);
  EXPECT_NE(digestOf(smallVocabulary().set("tokenizer.ggml.pre", "qwen2")), plain);
  EXPECT_NE(digestOf(smallVocabulary().add("tokenizer.ggml.add_space_prefix", true)), plain);
  EXPECT_NE(digestOf(smallVocabulary().set("tokenizer.ggml.merges", std::vector<std::string>{})),
            plain);
}

}  // namespace
}  // namespace spolia::engine
