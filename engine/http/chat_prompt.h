// From a chat request to a prompt.
//
// With a chat template: BOS, what the template renders up to the last message, the documents'
// chunks, and the rest from that message on. Control tokens are those that the template spells;
// what a message or a document spells stays text. Without one: BOS, the documents' chunks, then as
// fresh text the system messages, the conversation so far and the last message in the question
// template.
//
// What in the text of a user or system message is a document, after a separator or because the text
// is long (content_cutter.h), stands where it stood, as chunks that are stored like those of
// documents given as text. The text of the prompt stays what it is without.
//
// Borrows model and library. One thread. Names of inline documents are left out of `top_documents`:
// what one request brought is no answer to another's question.
#pragma once

#include <ctime>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "engine/http/chat_request.h"
#include "engine/linker/document_library.h"
#include "engine/linker/link_plan.h"
#include "engine/linker/prompt.h"
#include "engine/model/model.h"
#include "engine/retrieval/content_cutter.h"
#include "engine/retrieval/library_index.h"
#include "engine/template/chat_template.h"
#include "engine/template/placed_text.h"

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
    uint32_t maxTokens = 64;                  // of an answer, where the request does not tell
    DocumentCut cut = {};                     // of messages, for methods that load chunks of texts
    LinkMethod method = LinkMethod::kFirstK;  // where the request does not tell
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
  // Prompts of one conversation, by the texts of its messages.
  Result<jinja::MarkedText> render(const ChatRequest& request,
                                   const std::vector<jinja::MarkedText>& texts, bool documents,
                                   const std::tm& now) const;
  bool cutsMessages(const ChatRequest& request) const;
  Result<std::vector<PromptSegment>> freshSegments(const std::vector<PlacedPart>& parts,
                                                   const std::vector<std::string>& documents) const;
  void addFound(ChatPrompt& out, const std::string& text, PromptSegment fresh);
  std::optional<ApiError> assemble(ChatPrompt& out, const ChatRequest& request,
                                   const jinja::MarkedText& text,
                                   const std::vector<std::string>& documents);
  std::optional<ApiError> addConversation(ChatPrompt& out, const ChatRequest& request);

  const Model& model_;
  DocumentLibrary& library_;
  const Config config_;
  std::optional<LibraryIndex> index_;  // from the first `top_documents` on
};

}  // namespace spolia::engine
