#include "engine/model/sentencepiece.h"

#include <cmath>
#include <cstring>
#include <random>

#include "engine/model/tokenizer.h"
#include "tests/engine/model/model_dir.h"

namespace spolia::engine {
namespace {

using codec::TokenId;
using Tokens = std::vector<std::string>;

std::string varint(uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  return out + static_cast<char>(value);
}

std::string number(uint32_t field, uint64_t value) {
  return varint(field << 3) + varint(value);
}

std::string bytes(uint32_t field, const std::string& value) {
  return varint(field << 3 | 2) + varint(value.size()) + value;
}

std::string score(float value) {
  std::string out(sizeof value, '\0');
  std::memcpy(out.data(), &value, sizeof value);
  return varint(2 << 3 | 5) + out;
}

std::string piece(const std::string& text, float value, uint32_t type = 1) {
  return bytes(1, bytes(1, text) + score(value) + (type == 1 ? "" : number(3, type)));
}

// BPE, identity, no blanks removed.
const std::string kSpecs = bytes(2, number(3, 2)) + bytes(3, bytes(1, "identity") + number(4, 0));
const std::string kUnknown = piece("<unk>", 0, 2);

Result<Tokenizer> modelOf(const std::string& file) {
  return Tokenizer::parseSentencePiece(file, "t.model");
}

std::vector<std::string> tokensOf(const std::string& file, const std::string& text,
                                  const std::vector<std::string>& pieces) {
  const auto tokenizer = modelOf(file);
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status().toString();
  std::vector<std::string> out;
  if (!tokenizer.ok()) return out;
  const auto ids = tokenizer->encode(text);
  for (const TokenId id : *ids) out.push_back(pieces.at(id));
  return out;
}

TEST(SentencePiece, ReadsPiecesKindsAndThePrefix) {
  const std::string file =
      kUnknown + piece("<ctl>", 0, 3) + piece("ab", -1.5f) + piece("<0x41>", 0, 6) + kSpecs;
  const auto model = parseSentencePiece(file, "t.model");
  ASSERT_TRUE(model.ok()) << model.status().toString();
  ASSERT_EQ(model->pieces.size(), 4u);
  EXPECT_EQ(model->pieces[1].kind, PieceKind::kControl);
  EXPECT_EQ(model->pieces[2].text, "ab");
  EXPECT_EQ(model->pieces[2].score, -1.5f);
  EXPECT_EQ(model->pieces[3].kind, PieceKind::kByte);
  EXPECT_TRUE(model->addsBlankInFront);
  // Fields of other numbers are passed over, whatever their wire type.
  const std::string other = number(99, 7) + bytes(98, "x") + varint(97 << 3 | 1) + "12345678";
  EXPECT_EQ(parseSentencePiece(file + other, "t.model")->pieces.size(), 4u);
  // Of a message that comes twice the last one counts.
  const auto last = parseSentencePiece(file + bytes(3, number(4, 0) + number(3, 0)), "t.model");
  ASSERT_TRUE(last.ok());
  EXPECT_FALSE(last->addsBlankInFront);
}

// Scores order merges; ties go to the longer left part.
TEST(SentencePiece, MergesByScoreThenByTheLeftPart) {
  const std::vector<std::string> names = {"<unk>", "a", "b", "c", "ab", "bc", "abc"};
  const auto fileOf = [&](float ab, float bc) {
    std::string file = kUnknown;
    for (const char* letter : {"a", "b", "c"}) file += piece(letter, -9);
    return file + piece("ab", ab) + piece("bc", bc) + piece("abc", -5) + bytes(2, number(3, 2)) +
           bytes(3, number(3, 0) + number(4, 0));
  };
  EXPECT_EQ(tokensOf(fileOf(-1, -2), "abcbc", names), (Tokens{"abc", "bc"}));
  EXPECT_EQ(tokensOf(fileOf(-2, -1), "abab", names), (Tokens{"ab", "ab"}));
  const auto model = parseSentencePiece(fileOf(-1, -1), "t.model");
  ASSERT_TRUE(model.ok());
  const auto merges = mergesOf(*model, "t.model")->merges;
  ASSERT_EQ(merges.size(), 4u);
  EXPECT_EQ(merges[2].left, 4u) << "ab + c before a + bc";
  EXPECT_EQ(merges[3].left, 1u);
}

TEST(SentencePiece, BytesStandInForWhatHasNoPiece) {
  std::string file = kUnknown + piece("\u2581", -1);
  for (int b = 0; b < 256; ++b) {
    char name[8];
    std::snprintf(name, sizeof name, "<0x%02X>", b);
    file += piece(name, 0, 6);
  }
  const auto tokenizer = modelOf(file + kSpecs);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().toString();
  EXPECT_EQ(*tokenizer->encode("\u00e9"), (std::vector<TokenId>{1, 2 + 0xC3, 2 + 0xA9}));
  EXPECT_EQ(tokenizer->decode(*tokenizer->encode("\u00e9 <0x41>")), "\u00e9 <0x41>");
  EXPECT_EQ(tokenizer->tokenBytes(2 + 0xC3), "\xC3");
}

TEST(SentencePiece, OtherModelsAreRefusedByName) {
  const auto spec = [](const std::string& trainer, const std::string& normalizer) {
    return kUnknown + bytes(2, trainer) + bytes(3, normalizer);
  };
  const std::string bpe = number(3, 2), identity = number(4, 0);
  struct Case {
    std::string file;
    std::vector<std::string> parts;
  };
  const Case cases[] = {
      {kUnknown, {"trainer_spec.model_type is UNIGRAM", "expected BPE"}},
      {spec(number(3, 1), identity), {"trainer_spec.model_type is UNIGRAM"}},
      {spec(number(3, 3), identity), {"trainer_spec.model_type is WORD"}},
      {spec(number(3, 4), identity), {"trainer_spec.model_type is CHAR"}},
      {spec(number(3, 9), identity), {"trainer_spec.model_type is 9"}},
      {spec(bpe + number(24, 1), identity), {"trainer_spec.treat_whitespace_as_suffix is true"}},
      {spec(bpe, ""), {"normalizer_spec.remove_extra_whitespaces is true"}},
      {spec(bpe, identity + number(5, 0)), {"normalizer_spec.escape_whitespaces is false"}},
      {spec(bpe, identity + bytes(1, "nmt_nfkc") + bytes(2, "map")),
       {"normalizer_spec.precompiled_charsmap", "\"nmt_nfkc\""}},
      {bytes(1, bytes(1, "x") + number(3, 7)) + kSpecs, {"pieces[0].type is 7"}},
  };
  for (const Case& c : cases) {
    std::vector<std::string> parts = c.parts;
    parts.push_back("t.model");
    const auto refused = modelOf(c.file);
    expectError(refused, parts);
    EXPECT_EQ(refused.status().code(), ErrorCode::kUnsupported);
  }
}

TEST(SentencePiece, ErrorsNameThePieceAndWhatIsWrong) {
  struct Case {
    std::string file;
    std::vector<std::string> parts;
  };
  const Case cases[] = {
      {kSpecs, {"pieces has none of type UNKNOWN"}},
      {kUnknown + piece("u", 0, 2) + kSpecs, {"pieces[1]", "one piece of type UNKNOWN"}},
      {kUnknown + piece("a", 0) + piece("a", -1) + kSpecs,
       {"pieces[2].piece is \"a\"", "not there"}},
      {kUnknown + piece("", 0) + kSpecs, {"pieces[1].piece is \"\"", "1 to 512 bytes"}},
      {kUnknown + piece("\xC3", 0) + kSpecs, {"pieces[1].piece", "UTF-8"}},
      {kUnknown + piece(std::string(513, 'x'), 0) + kSpecs, {"pieces[1].piece", "1 to 512 bytes"}},
      {kUnknown + piece("a", NAN) + kSpecs, {"pieces[1].score is nan"}},
      {kUnknown + piece("a", -INFINITY) + kSpecs, {"pieces[1].score is -inf"}},
      {kUnknown + piece("<0xG0>", 0, 6) + kSpecs, {"pieces[1].piece is \"<0xG0>\"", "a byte"}},
      {number(1, 3) + kSpecs, {"pieces has wire type 0"}},
      {bytes(1, number(1, 3)), {"pieces[0].piece has wire type 0"}},
      {bytes(1, bytes(2, "1234")), {"pieces[0].score has wire type 2"}},
      {kUnknown + bytes(2, bytes(3, "")), {"trainer_spec.model_type has wire type 2"}},
      {kUnknown + bytes(2, number(3, 2)) + bytes(3, bytes(4, "")),
       {"normalizer_spec.remove_extra_whitespaces has wire type 2"}},
      {"{\"model\": {}}", {"expected a SentencePiece model", "wire type"}},
      {std::string(11, '\xff'), {"at its byte", "a whole number"}},
      {varint(1 << 3 | 2) + varint(UINT64_MAX), {"as many bytes as it names"}},
      {bytes(1, varint(1 << 3 | 2) + varint(5) + "abc"), {"pieces[0] breaks", "as many bytes"}},
  };
  for (const Case& c : cases) {
    std::vector<std::string> parts = c.parts;
    parts.push_back("t.model");
    expectError(modelOf(c.file), parts);
  }
}

TEST(SentencePiece, HalfAFileIsRefusedOrWhole) {
  const std::string good = readAll(goldenDir("tokenizer") / "made_up.model");
  ASSERT_TRUE(modelOf(good).ok()) << modelOf(good).status().toString();
  for (size_t size = 0; size < good.size(); size += 1 + size / 40) {
    expectError(modelOf(good.substr(0, size)), {"t.model", "expected"});
  }
}

TEST(SentencePiece, SurvivesMutations) {
  const unsigned seed = 31;
  std::mt19937 random(seed);
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::string good = kUnknown + piece("\u2581", -1) + piece("<sep>", 0, 4) + piece("<0x0A>", 0, 6);
  float value = 0;
  for (const char* text : {"a", "b", "ab", "\u2581a", "\u2581ab", "\u00e9", "b\u00e9"}) {
    good += piece(text, --value);
  }
  good += kSpecs;
  ASSERT_TRUE(modelOf(good).ok()) << modelOf(good).status().toString();
  int accepted = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string file = good;
    for (unsigned edits = 1 + random() % 3; edits > 0; --edits) {
      const size_t at = random() % file.size();
      switch (random() % 4) {
        case 0:
          file[at] = static_cast<char>(random());
          break;
        case 1:
          file[at] = static_cast<char>(file[at] ^ 1 << random() % 8);
          break;
        case 2:
          file.erase(at, 1 + random() % 12);
          break;
        default:
          file.insert(at, 1 + random() % 3, static_cast<char>(random()));
      }
      if (file.empty()) file.assign(1, 'x');
    }
    const auto tokenizer = modelOf(file);
    if (!tokenizer.ok()) {
      EXPECT_NE(tokenizer.status().message().find("t.model"), std::string::npos)
          << tokenizer.status().toString();
      continue;
    }
    ++accepted;
    const auto ids = tokenizer->encode("ab <sep>\u00e9b\n\xff abab");
    ASSERT_TRUE(ids.ok());
    tokenizer->decode(*ids);
  }
  EXPECT_GT(accepted, 1000);
}

}  // namespace
}  // namespace spolia::engine
