#include "engine/http/api_error.h"

#include <nlohmann/json.hpp>

namespace spolia::engine {

namespace {

nlohmann::ordered_json orNull(const std::string& text) {
  return text.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(text);
}

std::string errorText(const ApiError& error) {
  const nlohmann::ordered_json object = {{"error",
                                          {{"message", error.message},
                                           {"type", error.type},
                                           {"param", orNull(error.param)},
                                           {"code", orNull(error.code)}}}};
  return object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

ApiError badField(std::string param, std::string message) {
  return {400, "invalid_request_error", std::move(message), std::move(param), {}};
}

ApiError apiErrorOf(const Status& failure, std::string param) {
  ApiError out{500, "server_error", failure.message(), std::move(param), {}};
  switch (failure.code()) {
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kUnsupported:
      out.status = 400;
      out.type = "invalid_request_error";
      break;
    case ErrorCode::kNotFound:
      out.status = 404;
      out.type = "invalid_request_error";
      out.code = "not_found";
      break;
    case ErrorCode::kUnavailable:
    case ErrorCode::kDeadlineExceeded:
    case ErrorCode::kOutOfSpace:
    case ErrorCode::kResourceExhausted:
      out.status = 503;
      break;
    default:
      break;
  }
  return out;
}

ApiError modelNotFound(const std::string& asked, const std::string& served) {
  return {404, "invalid_request_error",
          "there is no model \"" + asked + "\"; this server has \"" + served + "\"", "model",
          "model_not_found"};
}

ApiError contextExceeded(const std::string& param, uint64_t tokens, uint64_t answer,
                         uint64_t context) {
  ApiError error =
      badField(param, "the prompt has " + std::to_string(tokens) +
                          " tokens and the answer may have " + std::to_string(answer) +
                          ": more than the model's context of " + std::to_string(context));
  error.code = "context_length_exceeded";
  return error;
}

ApiError serverStopping() {
  return {503, "server_error", "this server is stopping", {}, "stopping"};
}

HttpResponse errorResponse(const ApiError& error) {
  HttpResponse out;
  out.status = error.status;
  out.body = errorText(error);
  return out;
}

HttpResponse errorResponse(unsigned status, const std::string& message) {
  const bool server = status >= 500;
  return errorResponse(
      ApiError{status, server ? "server_error" : "invalid_request_error", message, {}, {}});
}

std::string errorEvent(const ApiError& error) {
  return "data: " + errorText(error) + "\n\n";
}

}  // namespace spolia::engine
