#include "engine/http/chat_api.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

namespace spolia::engine {

namespace {

using OrderedJson = nlohmann::ordered_json;

constexpr const char* kChat = "/v1/chat/completions";
constexpr const char* kCompletions = "/v1/completions";
constexpr const char* kModels = "/v1/models";
constexpr std::string_view kModelPrefix = "/v1/models/";
constexpr const char* kHealth = "/health";
constexpr const char* kMetrics = "/metrics";
constexpr const char* kVersion = "/version";
constexpr const char* kTokenize = TokenService::kTokenize;
constexpr const char* kDetokenize = TokenService::kDetokenize;

// The route a path belongs to, for metrics too: paths of clients' making would fill them. Empty
// where there is none.
std::string routeOf(const std::string& path) {
  for (const char* route :
       {kChat, kCompletions, kModels, kHealth, kMetrics, kVersion, kTokenize, kDetokenize}) {
    if (path == route) return route;
  }
  return path.starts_with(kModelPrefix) ? "/v1/models/{model}" : "";
}

OrderedJson modelJson(const std::string& name, int64_t created) {
  return {{"id", name}, {"object", "model"}, {"created", created}, {"owned_by", "spolia"}};
}

}  // namespace

void ChatApi::handle(HttpRequest request, std::shared_ptr<ReplyChannel> channel) {
  const std::string route = routeOf(request.path);
  std::string keyName;
  if (refused(request, route, keyName, *channel)) return;
  const bool ofTokens = route == kTokenize || route == kDetokenize;
  const bool posted = route == kChat || route == kCompletions || ofTokens;
  const char* allowed = posted ? "POST" : "GET";
  HttpResponse response;
  if (route.empty()) {
    response = errorResponse(ApiError{
        404, "invalid_request_error", "there is no route " + request.path, {}, "unknown_url"});
  } else if (request.method != allowed) {
    response = errorResponse(405, request.method + " is not allowed here, expected " + allowed);
    response.allow = allowed;
  } else if (route == kChat) {
    return answer(parseChatRequest(request.body), route, keyName, std::move(channel));
  } else if (route == kCompletions) {
    return answer(parseCompletionRequest(request.body), route, keyName, std::move(channel));
  } else if (ofTokens) {
    return tokens_.submit(route, std::move(request.body), std::move(channel));
  } else {
    response = answerNow(request.path);
  }
  metrics_.countRequest(route.empty() ? "other" : route, response.status);
  channel->send(std::move(response));
}

HttpResponse ChatApi::answerNow(const std::string& path) const {
  HttpResponse response;
  if (path == kHealth) {
    response.body = OrderedJson({{"status", "ok"}, {"queued", service_.queued()}}).dump();
  } else if (path == kMetrics) {
    response.contentType = "text/plain; version=0.0.4; charset=utf-8";
    const SchedulerStats stats = service_.stats();
    response.body = metrics_.text(
        {service_.queued(), config_.connections ? config_.connections() : size_t{0}, stats.decoding,
         stats.pagesTaken * stats.pageBytes, stats.pagesLimit * stats.pageBytes});
  } else if (path == kVersion) {
    response.body = OrderedJson({{"version", config_.version}}).dump();
  } else if (path == kModels) {
    const OrderedJson list =
        OrderedJson::array({modelJson(config_.modelName, config_.modelCreated)});
    response.body = OrderedJson({{"object", "list"}, {"data", list}}).dump();
  } else if (path.substr(kModelPrefix.size()) == config_.modelName) {
    response.body = modelJson(config_.modelName, config_.modelCreated).dump();
  } else {
    response = errorResponse(modelNotFound(path.substr(kModelPrefix.size()), config_.modelName));
  }
  return response;
}

// Before anything else is looked at: who has no key learns nothing of routes or models.
bool ChatApi::refused(const HttpRequest& request, const std::string& route, std::string& keyName,
                      ReplyChannel& channel) {
  if (!config_.keys || route == kHealth) return false;
  const std::string shown = route.empty() ? "another path" : route;
  if (std::optional<std::string> name = config_.keys->nameOf(request.authorization)) {
    keyName = *std::move(name);
    spdlog::info("{} {}, key {}", request.method, shown, keyName);
    return false;
  }
  spdlog::warn("{} {}, refused: {}", request.method, shown,
               request.authorization.empty() ? "no key" : "a key that is none of ours");
  HttpResponse response = errorResponse(ApiError{
      401,
      "invalid_request_error",
      request.authorization.empty()
          ? "this server needs an API key, expected the header \"Authorization: Bearer KEY\""
          : "the API key is not one of this server's",
      {},
      "invalid_api_key"});
  response.authenticate = "Bearer";
  metrics_.countRequest(route.empty() ? "other" : route, response.status);
  channel.send(std::move(response));
  return true;
}

template <typename Request>
void ChatApi::answer(std::variant<Request, ApiError> request, const std::string& route,
                     const std::string& keyName, std::shared_ptr<ReplyChannel> channel) {
  if (const auto* error = std::get_if<ApiError>(&request)) {
    metrics_.countRequest(route, error->status);
    return channel->send(errorResponse(*error));
  }
  std::get<Request>(request).keyName = keyName;
  service_.submit(std::get<Request>(std::move(request)), std::move(channel));
}

}  // namespace spolia::engine
