// Samples and the judge (engine/profile) under the names that schemes know them by.
#pragma once

#include "engine/profile/judge.h"
#include "engine/profile/kv_sample.h"
#include "engine/profile/passages.h"

namespace spolia::bench {

using engine::Agreement;
using engine::ColumnPlace;
using engine::Judge;
using engine::KvSample;
using engine::KvShape;
using engine::Passage;
using engine::PassageOptions;
using engine::placeOf;
using engine::readPassages;
using engine::sampleMemory;
using engine::shapeOf;

}  // namespace spolia::bench
