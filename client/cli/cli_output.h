// What the commands of `spolia` print, in both forms. One thread.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "client/cli/commands.h"
#include "client/client.h"
#include "codec/codec.h"

namespace spolia::cli {

// Prints "spolia: message" to stderr and gives the exit code for that failure.
int complain(const Status& status);

nlohmann::ordered_json toJson(const codec::EntryInfo& info);
nlohmann::ordered_json toJson(const codec::StoreStats& stats);
nlohmann::ordered_json toJson(const codec::StreamHeader& header);

// One JSON value on a line of its own.
void printJson(const nlohmann::ordered_json& value);
// "key: value" lines of an object.
void printFields(const nlohmann::ordered_json& object);
// A line of `ls`.
void printRow(const codec::EntryInfo& info);

}  // namespace spolia::cli
