// ChatApi: which request gets which answer. OpenAI's routes and those for operators.
//
// Borrows services and metrics. handle() runs on the HTTP server's thread and does not block.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "engine/http/api_keys.h"
#include "engine/http/api_metrics.h"
#include "engine/http/chat_service.h"
#include "engine/http/http_types.h"
#include "engine/http/token_service.h"

namespace spolia::engine {

class ChatApi {
 public:
  struct Config {
    std::string modelName;
    int64_t modelCreated = 0;  // Unix time of the weights
    std::string version;       // of this program
    std::function<size_t()> connections;
    // Without one of these keys only /health is answered; nothing: everybody may ask for all.
    std::optional<ApiKeys> keys = std::nullopt;
  };

  ChatApi(ChatService& service, TokenService& tokens, ApiMetrics& metrics, Config config)
      : service_(service), tokens_(tokens), metrics_(metrics), config_(std::move(config)) {}

  void handle(HttpRequest request, std::shared_ptr<ReplyChannel> channel);

 private:
  HttpResponse answerNow(const std::string& path) const;
  template <typename Request>
  void answer(std::variant<Request, ApiError> request, const std::string& route,
              const std::string& keyName, std::shared_ptr<ReplyChannel> channel);
  // Answers a request that may not be answered; whether it was one. `keyName` is that of its key.
  bool refused(const HttpRequest& request, const std::string& route, std::string& keyName,
               ReplyChannel& channel);

  ChatService& service_;
  TokenService& tokens_;
  ApiMetrics& metrics_;
  const Config config_;
};

}  // namespace spolia::engine
