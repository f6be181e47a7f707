// Errors as OpenAI's API tells them. Value types.
#pragma once

#include <cstdint>
#include <string>

#include "codec/base/result.h"
#include "engine/http/http_types.h"

namespace spolia::engine {

struct ApiError {
  unsigned status = 400;
  std::string type = "invalid_request_error";
  std::string message;
  std::string param;  // the field that is wrong; empty: null
  std::string code;   // for programs; empty: null
};

ApiError badField(std::string param, std::string message);
// A failure of the engine while it answered: 404 not found, 400 invalid argument, 413 prompt too
// long and so on; `param` is the field that asked for it.
ApiError apiErrorOf(const Status& failure, std::string param = {});

// 404: a request for a model that is not this server's.
ApiError modelNotFound(const std::string& asked, const std::string& served);

// 400: a prompt of so many tokens, and an answer of up to so many, have no room in the model's
// context.
ApiError contextExceeded(const std::string& param, uint64_t tokens, uint64_t answer,
                         uint64_t context);
// 503: a request that came too late.
ApiError serverStopping();

// {"error": {"message", "type", "param", "code"}}
HttpResponse errorResponse(const ApiError& error);
// For errors of the transport.
HttpResponse errorResponse(unsigned status, const std::string& message);
// The same object as an SSE event, for an answer that had begun.
std::string errorEvent(const ApiError& error);

}  // namespace spolia::engine
