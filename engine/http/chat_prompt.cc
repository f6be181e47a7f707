#include "engine/http/chat_prompt.h"

#include <algorithm>

namespace spolia::engine {

namespace {

constexpr std::string_view kInlinePrefix = "inline/";

std::string inlineName(const std::string& text) {
  return std::string(kInlinePrefix) + documentVersion(text, 0).hex().substr(0, 32);
}

}  // namespace

std::string conversationText(const std::vector<ChatMessage>& messages, std::string_view pattern) {
  std::string out;
  for (const ChatMessage& message : messages) {
    if (message.role == "system" || message.role == "developer") out += message.text + "\n";
  }
  for (size_t i = 0; i + 1 < messages.size(); ++i) {
    if (messages[i].role == "user") out += questionText(pattern, messages[i].text);
    if (messages[i].role == "assistant") out += " " + messages[i].text + "\n";
  }
  return out + questionText(pattern, messages.back().text);
}

ChatPrompts::ChatPrompts(const Model& model, DocumentLibrary& library, Config config)
    : model_(model), library_(library), config_(std::move(config)) {}

Status ChatPrompts::addNamed(ChatPrompt& out, const std::string& name) {
  SPOLIA_ASSIGN_OR_RETURN(const Manifest manifest, library_.manifest(name));
  out.documents.push_back(name);
  return appendDocument(out.prompt, model_.tokenizer(), manifest);
}

ApiError ChatPrompts::tooLong(const std::string& param, uint64_t tokens, uint64_t answer) const {
  ApiError error = badField(param, "the prompt has " + std::to_string(tokens) +
                                       " tokens and the answer may have " + std::to_string(answer) +
                                       ": more than the model's context of " +
                                       std::to_string(model_.config().maxPositions));
  error.code = "context_length_exceeded";
  return error;
}

std::optional<ApiError> ChatPrompts::putInline(const ChatPrompt& out, const std::string& name,
                                               const std::string& text, const std::string& param) {
  const auto tokens = model_.tokenizer().encode(text);
  if (!tokens.ok()) return apiErrorOf(tokens.status(), param);
  const uint64_t rows = out.prompt.rows() + tokens->size();
  if (rows > model_.config().maxPositions) return tooLong(param, rows, 0);
  const Result<PutDocument> put = library_.put(name, text);
  if (!put.ok()) return apiErrorOf(put.status(), param);
  return std::nullopt;
}

std::optional<ApiError> ChatPrompts::addDocuments(ChatPrompt& out, const ChatRequest& request) {
  for (size_t i = 0; i < request.documents.size(); ++i) {
    const ChatDocument& document = request.documents[i];
    const std::string param = "documents[" + std::to_string(i) + "]";
    std::string name = document.name;
    if (document.text) {
      name = inlineName(*document.text);
      if (auto error = putInline(out, name, *document.text, param + ".text")) return error;
    }
    const Status added = addNamed(out, name);
    if (added.code() == ErrorCode::kNotFound) {
      return ApiError{404, "invalid_request_error", "there is no document \"" + name + "\"", param,
                      "document_not_found"};
    }
    if (!added.ok()) return apiErrorOf(added, param);
  }
  return std::nullopt;
}

Result<std::vector<std::string>> ChatPrompts::choose(const ChatRequest& request) {
  if (!index_) {
    SPOLIA_ASSIGN_OR_RETURN(LibraryIndex index, LibraryIndex::create());
    index_.emplace(std::move(index));
  }
  return index_->best(library_, request.messages.back().text, *request.topDocuments,
                      [](const std::string& name) { return !name.starts_with(kInlinePrefix); });
}

std::optional<ApiError> ChatPrompts::addChosen(ChatPrompt& out, const ChatRequest& request) {
  if (!request.topDocuments) return std::nullopt;
  const Result<std::vector<std::string>> names = choose(request);
  if (!names.ok()) return apiErrorOf(names.status(), "top_documents");
  for (const std::string& name : *names) {
    if (std::ranges::count(out.documents, name) > 0) continue;
    const Status added = addNamed(out, name);
    // Removed since it was chosen: one less.
    if (!added.ok() && added.code() != ErrorCode::kNotFound) {
      return apiErrorOf(added, "top_documents");
    }
  }
  return std::nullopt;
}

std::variant<ChatPrompt, ApiError> ChatPrompts::make(const ChatRequest& request) {
  ChatPrompt out;
  out.prompt = promptWithBos(model_.config().bosToken);
  if (auto error = addDocuments(out, request)) return *std::move(error);
  if (auto error = addChosen(out, request)) return *std::move(error);
  const Status added =
      appendText(out.prompt, model_.tokenizer(), {SegmentKind::kFresh, "conversation", {}},
                 conversationText(request.messages, config_.questionTemplate));
  if (!added.ok()) return apiErrorOf(added, "messages");
  const uint64_t rows = out.prompt.rows(), answer = maxTokensOf(request);
  if (rows + answer > model_.config().maxPositions) return tooLong("messages", rows, answer);
  return out;
}

}  // namespace spolia::engine
