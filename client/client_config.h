// ClientConfig: what a client needs to know of its server. A value type.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "codec/chunk_identity.h"

namespace spolia::client {

// The model whose chunks a session is for (see Spolia.authenticate in spolia.capnp).
struct ModelName {
  std::string name;
  codec::ModelDescriptor descriptor;
};

struct ClientConfig {
  std::string address;  // see client/address.h
  std::string token;    // empty: none
  std::optional<ModelName> model;
  // Not empty: what is stored and found is apart from the tenant's other entries (Session.salted).
  std::string salt;
  // To be connected and authenticated.
  std::chrono::milliseconds connectTimeout{3000};
  // From the request to the answer, waiting in line included.
  std::chrono::milliseconds callTimeout{30000};
  // How long a fetch may wait for the server's disk: chunks that are not read by then are
  // kDeadlineExceeded, the others come. Zero: as long as the call.
  std::chrono::milliseconds fetchBudget{0};
  // Calls and uploads at a time; more wait in line.
  uint32_t callsInFlight = 128;
  uint32_t uploadsInFlight = 8;

  // kInvalidArgument naming the field.
  Status validate() const;
};

}  // namespace spolia::client
