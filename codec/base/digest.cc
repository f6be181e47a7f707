#include "codec/base/digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

namespace spolia {
namespace {

// EVP_sha256() fetches on every use in OpenSSL 3; one explicit fetch is kept for the process.
const EVP_MD* sha256Method() {
  static const EVP_MD* method = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  SPOLIA_CHECK(method != nullptr);
  return method;
}

int nibble(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::string toHex(std::span<const std::byte> bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (std::byte b : bytes) {
    out.push_back(kDigits[std::to_integer<unsigned>(b) >> 4]);
    out.push_back(kDigits[std::to_integer<unsigned>(b) & 15]);
  }
  return out;
}

Result<std::array<std::byte, 32>> digestFromHex(std::string_view hex) {
  std::array<std::byte, 32> out;
  if (hex.size() != 64) {
    return Status(ErrorCode::kInvalidArgument,
                  "expected 64 hex digits, got " + std::to_string(hex.size()) + " characters");
  }
  for (size_t i = 0; i < 32; ++i) {
    const int high = nibble(hex[2 * i]);
    const int low = nibble(hex[2 * i + 1]);
    if (high < 0 || low < 0) {
      return Status(ErrorCode::kInvalidArgument,
                    "not a hex digit at character " + std::to_string(2 * i));
    }
    out[i] = static_cast<std::byte>(high << 4 | low);
  }
  return out;
}

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  SPOLIA_CHECK(context_ != nullptr);
  SPOLIA_CHECK(EVP_DigestInit_ex(static_cast<EVP_MD_CTX*>(context_), sha256Method(), nullptr) == 1);
}

Sha256::~Sha256() {
  EVP_MD_CTX_free(static_cast<EVP_MD_CTX*>(context_));
}

Sha256& Sha256::update(std::span<const std::byte> data) {
  SPOLIA_CHECK(EVP_DigestUpdate(static_cast<EVP_MD_CTX*>(context_), data.data(), data.size()) == 1);
  return *this;
}

std::array<std::byte, 32> Sha256::finish() {
  std::array<std::byte, 32> out;
  SPOLIA_CHECK(EVP_DigestFinal_ex(static_cast<EVP_MD_CTX*>(context_),
                                  reinterpret_cast<unsigned char*>(out.data()), nullptr) == 1);
  return out;
}

std::array<std::byte, 32> sha256(std::span<const std::byte> data) {
  return Sha256().update(data).finish();
}

std::array<std::byte, 32> hmacSha256(std::span<const std::byte> secret,
                                     std::span<const std::byte> data) {
  std::array<std::byte, 32> out;
  unsigned int length = 0;
  SPOLIA_CHECK(HMAC(sha256Method(), secret.data(), static_cast<int>(secret.size()),
                    reinterpret_cast<const unsigned char*>(data.data()), data.size(),
                    reinterpret_cast<unsigned char*>(out.data()), &length) != nullptr);
  SPOLIA_CHECK(length == out.size());
  return out;
}

bool constantTimeEqual(std::span<const std::byte> a, std::span<const std::byte> b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

void fillRandom(std::span<std::byte> out) {
  SPOLIA_CHECK(
      RAND_bytes(reinterpret_cast<unsigned char*>(out.data()), static_cast<int>(out.size())) == 1);
}

}  // namespace spolia
