// From a chat request to a prompt.
//
// With a chat template: BOS, what the template renders up to the last message, the documents'
// chunks, and the rest from that message on. Control tokens are those that the template spells;
// what a message or a document spells stays text. Without one: BOS, the documents' chunks, then as
// fresh text the system messages, the conversation so far and the last message in the question
// template.
//
// Borrows model and library. One thread. Names of inline documents are left out of `top_documents`:
// what one request brought is no answer to another's question.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "engine/http/chat_request.h"
#include "engine/linker/document_library.h"
#include "engine/linker/prompt.h"
#include "engine/model/model.h"
#include "engine/retrieval/library_index.h"
#include "engine/template/chat_template.h"

namespace spolia::engine {

struct ChatPrompt {
  Prompt prompt;
  std::vector<std::string> documents;  // names, in the prompt's order
  bool oneLine = false;                // the question template: an answer ends with its line
};

class ChatPrompts {
 public:
  struct Config {
    std::shared_ptr<const ChatTemplate> chatTemplate;  // null: the question template
    std::string questionTemplate;
    uint32_t maxTokens = 64;  // of an answer, where the request does not tell
    // Where documents are that have names; null: in the library that texts are put into too.
    DocumentLibrary* named = nullptr;
    // Told the tokens of each chunk of such a document.
    std::function<void(std::span<const codec::TokenId>)> onNamedChunk = {};
  };

  ChatPrompts(const Model& model, DocumentLibrary& library, Config config);

  // Documents given as text are put into the library first, as "inline/<digest>", so that they are
  // chunks the next time. 404 for a name that is not there; 400, "context_length_exceeded", for a
  // prompt that does not fit the model, and for a conversation that the chat template refuses.
  // A text that cannot fit is refused before it is computed.
  std::variant<ChatPrompt, ApiError> make(const ChatRequest& request);

  uint32_t maxTokensOf(const ChatRequest& request) const {
    return request.maxTokens.value_or(config_.maxTokens);
  }

 private:
  DocumentLibrary& libraryOf(const std::string& name) const;
  Status addNamed(ChatPrompt& out, const std::string& name);
  std::optional<ApiError> putInline(const ChatPrompt& out, const std::string& name,
                                    const std::string& text, const std::string& param);
  ApiError tooLong(const std::string& param, uint64_t tokens, uint64_t answer) const;
  Result<std::vector<std::string>> choose(const ChatRequest& request);
  std::optional<ApiError> addDocuments(ChatPrompt& out, const ChatRequest& request);
  std::optional<ApiError> addChosen(ChatPrompt& out, const ChatRequest& request);
  std::optional<ApiError> addConversation(ChatPrompt& out, const ChatRequest& request) const;
  std::optional<ApiError> addRendered(ChatPrompt& out, const ChatRequest& request) const;

  const Model& model_;
  DocumentLibrary& library_;
  const Config config_;
  std::optional<LibraryIndex> index_;  // from the first `top_documents` on
};

// The fresh text behind the documents, without a chat template.
std::string conversationText(const std::vector<ChatMessage>& messages, std::string_view pattern);

}  // namespace spolia::engine
