// From a chat request to a prompt: BOS, the documents' chunks, then as fresh text the system
// messages, the conversation so far and the last message in the question template.
//
// Borrows model and library. One thread.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "engine/http/chat_request.h"
#include "engine/linker/document_library.h"
#include "engine/linker/prompt.h"
#include "engine/model/model.h"

namespace spolia::engine {

// Chooses `count` of the library's documents for a question, best first; names.
using DocumentChoice =
    std::function<Result<std::vector<std::string>>(const std::string& question, size_t count)>;

struct ChatPrompt {
  Prompt prompt;
  std::vector<std::string> documents;  // names, in the prompt's order
};

class ChatPrompts {
 public:
  struct Config {
    std::string questionTemplate;
    uint32_t maxTokens = 64;  // of an answer, where the request does not tell
    DocumentChoice choose;    // for `top_documents`; null: refused
  };

  ChatPrompts(const Model& model, DocumentLibrary& library, Config config);

  // Documents given as text are put into the library first, as "inline/<digest>", so that they are
  // chunks the next time. 404 for a name that is not there; 400, "context_length_exceeded", for a
  // prompt that does not fit the model.
  std::variant<ChatPrompt, ApiError> make(const ChatRequest& request);

  uint32_t maxTokensOf(const ChatRequest& request) const {
    return request.maxTokens.value_or(config_.maxTokens);
  }

 private:
  Status addNamed(ChatPrompt& out, const std::string& name);
  std::optional<ApiError> addDocuments(ChatPrompt& out, const ChatRequest& request);
  std::optional<ApiError> addChosen(ChatPrompt& out, const ChatRequest& request);

  const Model& model_;
  DocumentLibrary& library_;
  const Config config_;
};

// The fresh text behind the documents.
std::string conversationText(const std::vector<ChatMessage>& messages, std::string_view pattern);

}  // namespace spolia::engine
