// Ids and texts of this project's tokenizer for golden/engine/tokenizer/compare_tokenizers.mjs:
//   tokenize_lines tokenizer.json|tokenizer.model < LINES
// A line is the hexadecimal bytes of a text, or "ids:" and numbers. Per line, one of JSON: ids, the
// hexadecimal bytes of what they decode to, and whether token by token the same comes out.
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "engine/model/tokenizer.h"
#include "engine/text/byte_level.h"

namespace spolia::engine {
namespace {

std::string fromHex(const std::string& hex) {
  std::string out;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    out += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  }
  return out;
}

std::string toHex(const std::string& bytes) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  for (const char c : bytes) {
    out += kHex[static_cast<uint8_t>(c) >> 4];
    out += kHex[c & 15];
  }
  return out;
}

std::vector<codec::TokenId> idsOf(const std::string& numbers) {
  std::istringstream in(numbers);
  std::vector<codec::TokenId> out;
  for (codec::TokenId id; in >> id;) out.push_back(id);
  return out;
}

int run(const char* file) {
  const auto tokenizer = Tokenizer::load(file);
  if (!tokenizer.ok()) {
    std::cerr << tokenizer.status().toString() << "\n";
    return 1;
  }
  for (std::string line; std::getline(std::cin, line);) {
    const bool given = line.starts_with("ids:");
    const Result<std::vector<codec::TokenId>> ids =
        given ? idsOf(line.substr(4)) : tokenizer->encode(fromHex(line));
    if (!ids.ok()) {
      std::cerr << ids.status().toString() << "\n";
      return 1;
    }
    const std::string text = tokenizer->decode(*ids);
    std::string bytes;
    for (const codec::TokenId id : *ids) bytes += tokenizer->tokenBytes(id);
    const std::string streamed = replaceInvalidUtf8(tokenizer->trimFront(bytes));
    std::cout << nlohmann::json{{"ids", *ids}, {"text", toHex(text)}, {"same", text == streamed}}
              << "\n";
  }
  return 0;
}

}  // namespace
}  // namespace spolia::engine

int main(int argc, char** argv) {
  return argc == 2 ? spolia::engine::run(argv[1]) : 2;
}
