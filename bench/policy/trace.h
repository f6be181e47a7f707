// Traces: requests over chunks, as a policy simulation replays them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "codec/base/result.h"

namespace spolia::bench {

struct Block {
  uint32_t id = 0;      // dense: 0 .. blocks - 1
  uint32_t tokens = 0;  // the same at every access
};

// Block i's parent is block i - 1 if `chained`; else the blocks stand for themselves.
struct Request {
  uint64_t timeMs = 0;
  uint32_t session = 0;  // requests that belong together: the unit of resampling
  bool chained = false;
  std::vector<Block> blocks;
};

struct Trace {
  std::string name;
  uint32_t blocks = 0;
  std::vector<Request> requests;  // by time
};

// What computing and storing a block costs. Seconds of a block of n tokens behind c others:
// perToken x n + perPair x n x (c + n / 2).
struct CostModel {
  // Prefill of 4096 tokens in 5.3 s on two cores, 39 % of it in attention (engine/DESIGN.md, "Where
  // the time goes"; README.md, `full`).
  double perToken = 7.9e-4;
  double perPair = 2.46e-7;
  uint64_t bytesPerToken = 16384;  // 32 layers, 8 KV heads of 128, fp16, eight times smaller
  uint64_t bytesPerBlock = 4096;   // a record's header

  double seconds(uint64_t tokens, uint64_t context) const {
    const double n = static_cast<double>(tokens), c = static_cast<double>(context);
    return perToken * n + perPair * n * (c + n / 2);
  }
  uint64_t bytes(uint64_t tokens) const { return bytesPerBlock + tokens * bytesPerToken; }
};

// Of all different blocks together.
uint64_t footprintBytes(const Trace& trace, const CostModel& cost);

// The file of Mooncake's conversation trace, or one of the same format: a JSON object a line with
// timestamp (ms), input_length and hash_ids of blocks of 512 tokens, the last one partial.
Result<Trace> readMooncake(const std::string& path);

// Requests each for a few documents of different lengths, popularity by Zipf's law, compiled
// position independently: no parents. Popularity drifts: now and then a document changes rank.
Trace zipfDocuments(uint32_t requests, uint64_t seed);

// A hot set of documents asked for by Zipf's law, between passes over long rows of documents that
// are never asked for again.
Trace scansOverHotSet(uint32_t requests, uint64_t seed);

// Conversations behind a few system prompts: each turn extends the chain of the last by answer and
// question. Most end early; think times are log-normal, and some come back after hours.
Trace conversations(uint32_t requests, uint64_t seed);

}  // namespace spolia::bench
