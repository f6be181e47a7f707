// The tokenizer of a GGUF file. Pure functions; any thread.
#pragma once

#include "codec/base/digest.h"
#include "codec/base/result.h"
#include "engine/gguf/gguf_fields.h"
#include "engine/model/tokenizer.h"

namespace spolia::engine {

// tokenizer.ggml.model "llama" (pieces with scores, as SentencePiece's BPE) or "gpt2" (byte-level
// BPE with merges, cut as tokenizer.ggml.pre names it). Control and user-defined tokens are found
// in the text itself. Errors name file and key: kUnsupported for other models and other ways to
// cut, kInvalidArgument for what is missing, does not fit or stands there twice.
//
// What a tokenizer.json says and these files do not (flags of added tokens) has its defaults. A
// merge of what is no token is passed over, as llama.cpp does.
Result<Tokenizer> readGgufTokenizer(const GgufFields& fields);

// SHA-256 of all that readGgufTokenizer() makes the tokenizer of.
Sha256Digest ggufTokenizerDigest(const GgufFields& fields);

}  // namespace spolia::engine
