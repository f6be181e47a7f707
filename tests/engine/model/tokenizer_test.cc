#include "engine/model/tokenizer.h"

#include <random>

#include "engine/text/byte_level.h"
#include "tests/engine/model/model_dir.h"

namespace spolia::engine {
namespace {

using codec::TokenId;
using nlohmann::json;

json baseFile() {
  return json::parse(readAll(goldenDir("tokenizer") / "base_tokenizer.json"));
}

json characterFile() {
  return json::parse(readAll(goldenDir("tokenizer") / "character_tokenizer.json"));
}

// A file with fields replaced; "model" is merged into the model, and in it "vocab", whose null
// takes a token out.
json variantFile(json file, const json& change) {
  for (const auto& [field, value] : change.items()) {
    if (field != "model") {
      file[field] = value;
      continue;
    }
    for (const auto& [name, part] : value.items()) {
      if (name == "vocab") {
        file["model"]["vocab"].merge_patch(part);
      } else {
        file["model"][name] = part;
      }
    }
  }
  return file;
}

Result<Tokenizer> tokenizerOf(const json& file) {
  return Tokenizer::parse(file.dump(), "tokenizer.json");
}

Tokenizer base() {
  auto tokenizer = tokenizerOf(baseFile());
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status().toString();
  return *std::move(tokenizer);
}

// One variant of a file of goldens: ids, and the text that they give.
void expectGoldens(const Tokenizer& tokenizer, const std::vector<std::string>& texts,
                   const json& variant) {
  for (size_t i = 0; i < texts.size(); ++i) {
    const auto ids = tokenizer.encode(texts[i]);
    ASSERT_TRUE(ids.ok()) << ids.status().toString();
    EXPECT_EQ(*ids, variant["ids"][i].get<std::vector<TokenId>>()) << "\"" << texts[i] << "\"";
    const std::string expected = variant["decoded"].value(std::to_string(i), texts[i]);
    EXPECT_EQ(tokenizer.decode(*ids), expected);
    std::string bytes;
    for (const TokenId id : *ids) bytes += tokenizer.tokenBytes(id);
    const std::string streamed = replaceInvalidUtf8(tokenizer.trimFront(bytes));
    EXPECT_TRUE(streamed.starts_with(expected)) << "token by token: " << streamed;
  }
}

// Ids and texts made by the reference implementation; see make_tokenizer_goldens.js.
TEST(Tokenizer, EqualsTheReferenceTokenForToken) {
  const json goldens = json::parse(readAll(goldenDir("tokenizer") / "tokenizer_goldens.json"));
  const auto texts = goldens["texts"].get<std::vector<std::string>>();
  for (const json& variant : goldens["variants"]) {
    SCOPED_TRACE("variant " + variant["name"].get<std::string>());
    const auto tokenizer = tokenizerOf(variantFile(baseFile(), variant["change"]));
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().toString();
    expectGoldens(*tokenizer, texts, variant);
  }
}

// Likewise for vocabularies of characters; see make_character_goldens.mjs.
TEST(Tokenizer, EqualsTheReferenceInCharacters) {
  const json goldens = json::parse(readAll(goldenDir("tokenizer") / "character_goldens.json"));
  const auto texts = goldens["texts"].get<std::vector<std::string>>();
  for (const json& variant : goldens["variants"]) {
    SCOPED_TRACE("variant " + variant["name"].get<std::string>());
    const auto tokenizer = tokenizerOf(variantFile(characterFile(), variant["change"]));
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().toString();
    expectGoldens(*tokenizer, texts, variant);
  }
  const auto sentencePiece = Tokenizer::load(goldenDir("tokenizer") / "made_up.model");
  ASSERT_TRUE(sentencePiece.ok()) << sentencePiece.status().toString();
  ASSERT_EQ(goldens["variants"][0]["name"], "llama");
  expectGoldens(*sentencePiece, texts, goldens["variants"][0]);
}

TEST(Tokenizer, MergesMayBePairs) {
  json file = baseFile();
  for (json& merge : file["model"]["merges"]) {
    const std::string text = merge;
    const size_t blank = text.find(' ');
    merge = {text.substr(0, blank), text.substr(blank + 1)};
  }
  const auto pairs = tokenizerOf(file);
  ASSERT_TRUE(pairs.ok()) << pairs.status().toString();
  const std::string text = "The library stands where the old bridge was, says the keeper.";
  EXPECT_EQ(*pairs->encode(text), *base().encode(text));
}

// A heap is used for long pieces, a scan for short ones: both must merge in the same order.
TEST(Tokenizer, LongPiecesMergeAsShortOnes) {
  json file = baseFile();
  file["pre_tokenizer"]["use_regex"] = false;
  file["pre_tokenizer"]["add_prefix_space"] = false;
  const auto tokenizer = tokenizerOf(file);
  ASSERT_TRUE(tokenizer.ok());
  // No merge crosses a NUL, so the whole is the sum of its parts.
  const std::string parts[] = {"the other", " there then", "thethethe", "lantern", "a", " "};
  std::vector<TokenId> expected;
  std::string whole;
  for (int round = 0; round < 20; ++round) {
    for (const std::string& part : parts) {
      for (const std::string& piece : {part, std::string(1, '\0')}) {
        const auto ids = *tokenizer->encode(piece);
        expected.insert(expected.end(), ids.begin(), ids.end());
        whole += piece;
      }
    }
  }
  EXPECT_EQ(*tokenizer->encode(whole), expected);
}

TEST(Tokenizer, AnyTextReadsBack) {
  json file = baseFile();
  file["pre_tokenizer"]["add_prefix_space"] = false;
  const auto tokenizer = tokenizerOf(file);
  ASSERT_TRUE(tokenizer.ok());
  const unsigned seed = 7;
  std::mt19937 random(seed);
  SCOPED_TRACE("seed " + std::to_string(seed));
  for (int round = 0; round < 300; ++round) {
    std::string text;
    for (unsigned k = random() % 40; k > 0; --k) {
      uint32_t c = random() % (random() % 2 ? 0x80 : 0x110000);
      if (c >= 0xD800 && c < 0xE000) c = ' ';
      // Written by hand, so that the test does not lean on the code under test.
      if (c < 0x80) {
        text += static_cast<char>(c);
      } else if (c < 0x800) {
        text += static_cast<char>(0xC0 | c >> 6);
        text += static_cast<char>(0x80 | (c & 0x3F));
      } else if (c < 0x10000) {
        text += static_cast<char>(0xE0 | c >> 12);
        text += static_cast<char>(0x80 | (c >> 6 & 0x3F));
        text += static_cast<char>(0x80 | (c & 0x3F));
      } else {
        text += static_cast<char>(0xF0 | c >> 18);
        text += static_cast<char>(0x80 | (c >> 12 & 0x3F));
        text += static_cast<char>(0x80 | (c >> 6 & 0x3F));
        text += static_cast<char>(0x80 | (c & 0x3F));
      }
    }
    const auto ids = tokenizer->encode(text);
    ASSERT_TRUE(ids.ok());
    EXPECT_EQ(tokenizer->decode(*ids), text);
  }
}

TEST(Tokenizer, InvalidUtf8CountsAsReplacementCharacters) {
  const Tokenizer tokenizer = base();
  EXPECT_EQ(*tokenizer.encode("a\xFF\xE2\x82z"), *tokenizer.encode("a\uFFFD\uFFFDz"));
  const auto euro = *tokenizer.encode("\u20ac");
  ASSERT_GT(euro.size(), 1u) << "the sign has no token of its own here";
  EXPECT_EQ(tokenizer.decode(std::span(euro).first(euro.size() - 1)), " \uFFFD");
  std::string bytes;
  for (const TokenId id : euro) bytes += tokenizer.tokenBytes(id);
  EXPECT_EQ(bytes, " \u20ac") << "token by token nothing is lost";
}

TEST(Tokenizer, SpecialTokensCanBeLeftOut) {
  const Tokenizer tokenizer = base();
  const auto bos = tokenizer.find("<|bos|>");
  ASSERT_TRUE(bos.has_value());
  const auto ids = *tokenizer.encode("<|bos|> yes");
  EXPECT_EQ(ids[0], *bos);
  EXPECT_EQ(tokenizer.decode(ids), "<|bos|> yes");
  EXPECT_EQ(tokenizer.decode(ids, SpecialTokens::kSkip), " yes");
}

// What a server streams: bytes of characters that come in pieces, and the blank that encoding put
// in front, which belongs to the text only where other text stands before it.
TEST(Tokenizer, TokensGiveTheirBytesOneByOne) {
  const auto tokenizer = tokenizerOf(characterFile());
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().toString();
  const auto ids = *tokenizer->encode("store \u2603");
  ASSERT_GT(ids.size(), 3u) << "the sign has no token of its own here";
  EXPECT_EQ(tokenizer->tokenBytes(ids.back()), "\x83");
  std::string bytes;
  for (const TokenId id : ids) bytes += tokenizer->tokenBytes(id);
  EXPECT_EQ(bytes, " store \u2603");
  EXPECT_EQ(tokenizer->trimFront(bytes), "store \u2603");
  EXPECT_EQ(tokenizer->trimFront("  two"), " two") << "one blank was put in front";
  EXPECT_EQ(tokenizer->trimFront("x"), "x");
  const auto torn = std::span(ids).first(ids.size() - 1);
  EXPECT_EQ(tokenizer->decode(torn), "store \uFFFD") << "one for a part of a character";
  EXPECT_EQ(base().trimFront(" store"), " store") << "byte-level: nothing was put in front";
}

// Without a pre-tokenizer a text is one piece, and "a" merges with "a" all along: quadratic steps
// would take hours here.
TEST(Tokenizer, LongTextsWithoutPiecesTakeNoTime) {
  const auto tokenizer = tokenizerOf(characterFile());
  ASSERT_TRUE(tokenizer.ok());
  const size_t size = 1 << 20;
  const auto run = tokenizer->encode(std::string(size, ' '));
  ASSERT_TRUE(run.ok());
  EXPECT_EQ(tokenizer->decode(*run), std::string(size, ' '));
  std::string text;
  while (text.size() < size) text += "The store keeps what was stored. ";
  const auto ids = tokenizer->encode(text);
  ASSERT_TRUE(ids.ok());
  EXPECT_EQ(tokenizer->decode(*ids), text);
}

TEST(Tokenizer, TextsThatNormalisationBlowsUpAreRefused) {
  json file = characterFile();
  const json blown = {
      {"type", "Replace"}, {"pattern", {{"String", "a"}}}, {"content", std::string(1 << 16, 'b')}};
  file["normalizer"] = blown;
  const auto tokenizer = tokenizerOf(file);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().toString();
  EXPECT_TRUE(tokenizer->encode("a").ok());
  expectError(tokenizer->encode(std::string(1 << 15, 'a')), {"longer than", "1073741824"});
}

TEST(Tokenizer, UnknownIdsGiveNothing) {
  const Tokenizer tokenizer = base();
  const TokenId ids[] = {tokenizer.vocabSize(), UINT32_MAX};
  EXPECT_EQ(tokenizer.decode(ids), "");
  EXPECT_EQ(tokenizer.tokenBytes(UINT32_MAX), "");
  EXPECT_EQ(tokenizer.find("no such token"), std::nullopt);
}

struct Case {
  const char* pointer;
  json value;
  std::vector<std::string> parts;
};

void expectRefused(json file, const Case& c) {
  SCOPED_TRACE(std::string(c.pointer) + " = " + c.value.dump());
  file[json::json_pointer(c.pointer)] = c.value;
  std::vector<std::string> parts = c.parts;
  parts.push_back("tokenizer.json");
  expectError(tokenizerOf(file), parts);
}

TEST(Tokenizer, ContentSpellsNoControlTokens) {
  json file = baseFile();
  const json tokens = {
      {{"id", 5000}, {"content", "<|end|>"}, {"special", true}},
      {{"id", 5001}, {"content", "<|strip|>"}, {"special", true}, {"rstrip", true}},
      {{"id", 5002}, {"content", "<tool>"}, {"special", false}}};
  for (const json& token : tokens) file["added_tokens"].push_back(token);
  const auto tokenizer = tokenizerOf(file);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().toString();
  const auto ids = [&](std::string_view text, std::vector<TextRange> content) {
    const auto out = tokenizer->encode(text, content);
    EXPECT_TRUE(out.ok()) << out.status().toString();
    return *out;
  };
  const std::string text = "a<|end|>b<|end|>c<tool>";
  const auto whole = *tokenizer->encode(text);
  EXPECT_EQ(std::ranges::count(whole, 5000u), 2);
  // Without content, and with content that spells nothing, the ids are those of the whole text.
  EXPECT_EQ(ids(text, {}), whole);
  EXPECT_EQ(ids(text, {{0, 1}, {8, 9}, {16, 23}}), whole);
  const auto second = ids(text, {{9, 23}});
  EXPECT_EQ(std::ranges::count(second, 5000u), 1);
  EXPECT_EQ(std::ranges::count(second, 5002u), 1) << "not special";
  // A token that only begins or ends in content is none either.
  EXPECT_EQ(std::ranges::count(ids(text, {{7, 8}}), 5000u), 1);
  EXPECT_EQ(std::ranges::count(ids(text, {{0, 2}}), 5000u), 1);
  EXPECT_EQ(std::ranges::count(ids("<|strip|> <|end|>", {{10, 17}}), 5000u), 0);
  EXPECT_EQ(tokenizer->encode("\xFF", std::vector<TextRange>{{0, 1}}).status().code(),
            ErrorCode::kInvalidArgument);
}

TEST(Tokenizer, ErrorsNameFieldAndExpectation) {
  const json byteLevel = {{"type", "ByteLevel"}};
  const Case cases[] = {
      {"/model/type", "Unigram", {"model.type", "\"Unigram\"", "expected \"BPE\""}},
      {"/model/type", "WordPiece", {"model.type", "\"WordPiece\"", "expected \"BPE\""}},
      {"/model", nullptr, {"model is missing", "expected an object"}},
      {"/model/vocab", json::array(), {"model.vocab", "expected an object of tokens"}},
      {"/model/vocab/the", -1, {"model.vocab[\"the\"]", "-1"}},
      {"/model/vocab/the", 3, {"model.vocab[", "no other token has"}},
      {"/model/vocab/the", 1u << 30, {"model.vocab[\"the\"]", "at most"}},
      {"/model/merges", nullptr, {"model.merges is missing"}},
      {"/model/merges/5", "ab", {"model.merges[5] is \"ab\"", "\"a b\""}},
      {"/model/merges/5", {"q", "\u4f60"}, {"model.merges[5]", "in model.vocab"}},
      {"/model/merges/5", 3, {"model.merges[5] is 3"}},
      {"/model/byte_fallback", true, {"model.byte_fallback", "expected false"}},
      {"/model/dropout", 0.1, {"model.dropout", "expected null"}},
      {"/model/end_of_word_suffix", "</w>", {"model.end_of_word_suffix", "\"</w>\""}},
      {"/model/unk_token", "<none>", {"model.unk_token", "\"<none>\""}},
      {"/pre_tokenizer", nullptr, {"decoder.type is \"ByteLevel\"", "Replace, Metaspace"}},
      {"/pre_tokenizer", 4, {"pre_tokenizer is 4", "expected an object"}},
      {"/pre_tokenizer",
       {{"type", "Whitespace"}},
       {"pre_tokenizer.type", "\"Whitespace\"", "ByteLevel, Metaspace, Split, Digits"}},
      {"/pre_tokenizer", {{"type", "Digits"}}, {"decoder.type is \"ByteLevel\"", "Replace"}},
      {"/pre_tokenizer",
       {{"type", "Sequence"}, {"pretokenizers", {byteLevel, byteLevel}}},
       {"pretokenizers[1]", "as the last"}},
      {"/pre_tokenizer",
       {{"type", "Sequence"},
        {"pretokenizers",
         {{{"type", "Split"}, {"pattern", {{"Regex", "("}}}, {"behavior", "Isolated"}},
          byteLevel}}},
       {"pretokenizers[0].pattern.Regex", "expected a regular expression"}},
      {"/pre_tokenizer",
       {{"type", "Sequence"},
        {"pretokenizers",
         {{{"type", "Split"}, {"pattern", {{"Regex", "a"}}}, {"behavior", "Odd"}}, byteLevel}}},
       {"pretokenizers[0].behavior", "\"Odd\"", "Isolated"}},
      {"/pre_tokenizer/use_regex", 1, {"pre_tokenizer.use_regex is 1", "true or false"}},
      {"/normalizer", {{"type", "Lowercase"}}, {"normalizer.type", "\"Lowercase\"", "NFC"}},
      {"/normalizer", 4, {"normalizer is 4", "expected null or an object"}},
      {"/decoder", {{"type", "Metaspace"}}, {"decoder.type", "\"Metaspace\"", "ByteLevel"}},
      {"/added_tokens", 4, {"added_tokens is 4", "a list"}},
      {"/added_tokens/1", 4, {"added_tokens[1] is 4", "an object"}},
      {"/added_tokens/1/id", nullptr, {"added_tokens[1].id is missing"}},
      {"/added_tokens/1/content", 7, {"added_tokens[1].content is 7", "a string"}},
      {"/added_tokens/1/id", 44, {"added_tokens", "<|eos|>", "44", "model.vocab"}},
  };
  for (const Case& c : cases) expectRefused(baseFile(), c);
  expectError(Tokenizer::load("/no/such/tokenizer.json"), {"/no/such/tokenizer.json"});
  expectError(Tokenizer::parse("{", "tokenizer.json"), {"tokenizer.json", "expected JSON"});
  expectError(Tokenizer::parse("[]", "tokenizer.json"), {"tokenizer.json", "an object"});
}

TEST(Tokenizer, ErrorsInCharactersNameFieldAndExpectation) {
  const json fallback = {{"type", "ByteFallback"}}, fuse = {{"type", "Fuse"}};
  const json replace = {{"type", "Replace"}, {"pattern", {{"String", "_"}}}, {"content", " "}};
  const json metaspace = {{"type", "Metaspace"}, {"replacement", "_"}};
  auto with = [](json object, const char* field, const json& value) {
    object[field] = value;
    return object;
  };
  auto decoders = [](std::initializer_list<json> list) {
    return json{{"type", "Sequence"}, {"decoders", json(list)}};
  };
  const Case cases[] = {
      {"/pre_tokenizer",
       with(metaspace, "replacement", "ab"),
       {"pre_tokenizer.replacement", "one"}},
      {"/pre_tokenizer", with(metaspace, "replacement", ""), {"pre_tokenizer.replacement", "one"}},
      {"/pre_tokenizer", with(metaspace, "str_rep", "-"), {"pre_tokenizer.str_rep", "\"-\""}},
      {"/pre_tokenizer",
       with(metaspace, "prepend_scheme", "last"),
       {"pre_tokenizer.prepend_scheme is \"last\"", "first or never"}},
      {"/pre_tokenizer",
       with(with(metaspace, "prepend_scheme", "first"), "add_prefix_space", false),
       {"pre_tokenizer.prepend_scheme is \"first\"", "add_prefix_space is false"}},
      {"/pre_tokenizer", with(metaspace, "split", 1), {"pre_tokenizer.split is 1"}},
      {"/normalizer", {{"type", "Prepend"}}, {"normalizer.prepend is missing"}},
      {"/normalizer",
       {{"type", "Prepend"}, {"prepend", std::string(2000, 'x')}},
       {"normalizer.prepend", "at most 1024 bytes"}},
      {"/normalizer/normalizers/1/pattern", "x", {"normalizers[1].pattern is \"x\""}},
      {"/normalizer/normalizers/1/pattern", {{"String", ""}}, {"[1].pattern.String is \"\""}},
      {"/normalizer/normalizers/1/pattern",
       {{"Regex", "("}},
       {"normalizers[1].pattern.Regex", "a regular expression"}},
      {"/normalizer/normalizers/0/type", "Nmt", {"normalizers[0].type is \"Nmt\"", "Prepend"}},
      {"/normalizer/normalizers/0", 7, {"normalizers[0] is 7"}},
      {"/normalizer/normalizers", 7, {"normalizer.normalizers is 7", "a list"}},
      {"/decoder", nullptr, {"decoder is missing", "an object"}},
      {"/decoder", {{"type", "WordPiece"}}, {"decoder.type is \"WordPiece\"", "ByteFallback"}},
      {"/decoder", decoders({fallback, replace}), {"decoders[1].type is \"Replace\"", "Fuse"}},
      {"/decoder", decoders({fuse, fallback}), {"decoders[1].type is \"ByteFallback\"", "Strip"}},
      {"/decoder", decoders({{{"type", "Strip"}, {"content", " "}}}), {"[0].start is missing"}},
      {"/decoder",
       decoders({{{"type", "Strip"}, {"content", "ab"}, {"start", 1}, {"stop", 0}}}),
       {"[0].content is \"ab\"", "one character"}},
      {"/decoder", decoders({with(replace, "content", 3)}), {"decoders[0].content is 3"}},
      {"/decoder/decoders", 5, {"decoder.decoders is 5", "a list"}},
      {"/model/type", "WordLevel", {"model.type is \"WordLevel\"", "expected \"BPE\""}},
      {"/model/byte_fallback", 1, {"model.byte_fallback is 1", "true or false"}},
  };
  for (const Case& c : cases) expectRefused(characterFile(), c);
}

// The kind of the model is what says that a file is of another sort, whatever else stands in it.
TEST(Tokenizer, OtherKindsAreRefusedByName) {
  for (const char* kind : {"WordPiece", "Unigram", "WordLevel"}) {
    const json file = {{"model", {{"type", kind}, {"vocab", json::array()}}},
                       {"pre_tokenizer", {{"type", "BertPreTokenizer"}}},
                       {"normalizer", {{"type", "BertNormalizer"}}},
                       {"decoder", {{"type", kind}}}};
    const auto refused = tokenizerOf(file);
    EXPECT_EQ(refused.status().code(), ErrorCode::kUnsupported);
    expectError(refused, {"tokenizer.json: model.type is \"" + std::string(kind) + "\""});
  }
}

TEST(Tokenizer, HopelessPatternsFailInsteadOfHanging) {
  json file = baseFile();
  file["pre_tokenizer"] = {
      {"type", "Sequence"},
      {"pretokenizers",
       {{{"type", "Split"}, {"pattern", {{"Regex", "(a+)+$"}}}, {"behavior", "Isolated"}},
        {{"type", "ByteLevel"}}}}};
  const auto tokenizer = tokenizerOf(file);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().toString();
  EXPECT_EQ(tokenizer->encode(std::string(50, 'a') + "!").status().code(),
            ErrorCode::kResourceExhausted);
}

// A file small enough to be damaged everywhere often.
json smallFile() {
  json file = baseFile();
  json& vocab = file["model"]["vocab"];
  for (auto it = vocab.begin(); it != vocab.end();) {
    it = it.value() >= 2 + 256 + 12 ? vocab.erase(it) : std::next(it);
  }
  json merges = json::array();
  for (size_t i = 0; i < 12; ++i) {
    const std::string merge = file["model"]["merges"][i];
    std::string whole = merge;
    whole.erase(whole.find(' '), 1);
    if (vocab.contains(whole)) merges.push_back(merge);
  }
  file["model"]["merges"] = merges;
  file["normalizer"] = {{"type", "NFC"}};
  file["pre_tokenizer"] = {{"type", "Sequence"},
                           {"pretokenizers",
                            {{{"type", "Split"},
                              {"pattern", {{"Regex", "\\s+(?!\\S)|[a-e]{1,3}|\\d"}}},
                              {"behavior", "MergedWithNext"}},
                             {{"type", "ByteLevel"}, {"add_prefix_space", true}}}}};
  return file;
}

// Fields before "vocab" in the file are damaged more often than the long vocabulary.
void expectToSurvive(const std::string& good, unsigned seed) {
  std::mt19937 random(seed);
  SCOPED_TRACE("seed " + std::to_string(seed));
  ASSERT_TRUE(Tokenizer::parse(good, "t").ok()) << Tokenizer::parse(good, "t").status().toString();
  const size_t vocabulary = good.find("\"vocab\"");
  constexpr std::string_view kBytes = "{}[]()*+?\\|.\",:0123456789-eEsSpu\xff ";
  int accepted = 0;
  for (int round = 0; round < 4000; ++round) {
    std::string file = good;
    for (unsigned edits = 1 + random() % 3; edits > 0; --edits) {
      const size_t at = random() % (round % 4 ? vocabulary : file.size());
      switch (random() % 4) {
        case 0:
          file[at] = static_cast<char>(random());
          break;
        case 1:
          file[at] = kBytes[random() % kBytes.size()];
          break;
        case 2:
          file.erase(at, 1 + random() % 12);
          break;
        default:
          file.insert(at, 1 + random() % 3, kBytes[random() % kBytes.size()]);
      }
    }
    const auto tokenizer = Tokenizer::parse(file, "tokenizer.json");
    if (!tokenizer.ok()) {
      EXPECT_NE(tokenizer.status().message().find("tokenizer.json"), std::string::npos)
          << tokenizer.status().toString();
      continue;
    }
    ++accepted;
    const auto ids = tokenizer->encode("The <|bos|> bad  cab\tdeed 12 e\u0301\xff<|eos|> ");
    if (ids.ok()) tokenizer->decode(*ids);
  }
  EXPECT_GT(accepted, 0);
}

TEST(Tokenizer, SurvivesMutations) {
  expectToSurvive(smallFile().dump(), 99);
  // Little but what stands before the vocabulary.
  json file = characterFile();
  json& vocab = file["model"]["vocab"];
  for (auto it = vocab.begin(); it != vocab.end();) {
    it = it.value() >= 300 ? vocab.erase(it) : std::next(it);
  }
  file["model"]["merges"] = json::array();
  file["pre_tokenizer"] = {{"type", "Metaspace"}, {"prepend_scheme", "first"}, {"split", true}};
  expectToSurvive(file.dump(), 98);
}

}  // namespace
}  // namespace spolia::engine
