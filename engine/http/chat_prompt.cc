#include "engine/http/chat_prompt.h"

#include <algorithm>
#include <ctime>

namespace spolia::engine {

namespace {

constexpr std::string_view kInlinePrefix = "inline/";

std::string inlineName(const std::string& text) {
  return std::string(kInlinePrefix) + documentVersion(text, 0).hex().substr(0, 32);
}

// Stands for the documents in a conversation that is rendered: a character that templates neither
// strip nor change. What is found again is its origin, which no message can have.
constexpr std::string_view kDocumentsPlace = "\xEE\x80\x80";

std::vector<ChatTurn> turnsOf(const std::vector<ChatMessage>& messages, bool documents) {
  std::vector<ChatTurn> out;
  for (const ChatMessage& message : messages) {
    // Templates know no developers.
    const bool rules = message.role == "developer";
    ChatTurn turn{rules ? "system" : message.role, {}};
    if (documents && &message == &messages.back()) {
      turn.content.append(kDocumentsPlace, jinja::Origin::kPlace);
      turn.content.append("\n\n");
    }
    turn.content.append(message.text, jinja::Origin::kContent);
    out.push_back(std::move(turn));
  }
  return out;
}

bool hasPlace(const jinja::MarkedText& text) {
  return std::ranges::count(text.ranges(), jinja::Origin::kPlace, &jinja::OriginRange::origin) > 0;
}

// What is rendered before and behind the documents; without a place for them they stand in front.
std::pair<jinja::MarkedText, jinja::MarkedText> aroundDocuments(const jinja::MarkedText& text) {
  std::pair<jinja::MarkedText, jinja::MarkedText> out;
  size_t begin = 0;
  bool found = false;
  for (const jinja::OriginRange& range : text.ranges()) {
    if (range.origin != jinja::Origin::kPlace) continue;
    (found ? out.second : out.first).append(text, begin, range.begin);
    begin = range.end;
    found = true;  // further ones are of a message that is written twice
  }
  out.second.append(text, begin, text.size());
  return out;
}

Result<std::vector<codec::TokenId>> tokensOf(const Tokenizer& tokenizer,
                                             const jinja::MarkedText& text) {
  std::vector<TextRange> content;
  for (const jinja::OriginRange& range : text.ranges()) content.push_back({range.begin, range.end});
  return tokenizer.encode(text.bytes(), content);
}

std::tm localTime() {
  const std::time_t now = std::time(nullptr);
  std::tm out{};
  ::localtime_r(&now, &out);
  return out;
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

DocumentLibrary& ChatPrompts::libraryOf(const std::string& name) const {
  return config_.named && !name.starts_with(kInlinePrefix) ? *config_.named : library_;
}

Status ChatPrompts::addNamed(ChatPrompt& out, const std::string& name) {
  DocumentLibrary& library = libraryOf(name);
  SPOLIA_ASSIGN_OR_RETURN(const Manifest manifest, library.manifest(name));
  out.documents.push_back(name);
  const size_t before = out.prompt.segments.size();
  SPOLIA_RETURN_IF_ERROR(appendDocument(out.prompt, model_.tokenizer(), manifest));
  if (&library == &library_ || !config_.onNamedChunk) return {};
  for (size_t i = before; i < out.prompt.segments.size(); ++i) {
    config_.onNamedChunk(out.prompt.segments[i].tokens);
  }
  return {};
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
  const auto tokens = model_.tokenizer().encodeContent(text);
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
  return index_->best(config_.named ? *config_.named : library_, request.messages.back().text,
                      *request.topDocuments,
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

std::optional<ApiError> ChatPrompts::addRendered(ChatPrompt& out,
                                                 const ChatRequest& request) const {
  const bool documents = out.prompt.segments.size() > 1;
  const auto render = [&](bool place) {
    return config_.chatTemplate->render(turnsOf(request.messages, place), request.templateArguments,
                                        localTime());
  };
  Result<jinja::MarkedText> text = render(documents);
  // A template that remakes what it is given has no place for them.
  if (documents && text.ok() && !hasPlace(*text)) text = render(false);
  if (!text.ok()) return badField("messages", "the chat template: " + text.status().message());
  const auto [before, behind] = aroundDocuments(*text);
  Result<std::vector<codec::TokenId>> front = tokensOf(model_.tokenizer(), before);
  Result<std::vector<codec::TokenId>> rest = tokensOf(model_.tokenizer(), behind);
  if (!front.ok()) return apiErrorOf(front.status(), "messages");
  if (!rest.ok()) return apiErrorOf(rest.status(), "messages");
  std::vector<PromptSegment>& segments = out.prompt.segments;
  // BOS stands in front of every prompt, whether or not the template spells it.
  std::vector<codec::TokenId>& first = before.empty() ? *rest : *front;
  if (!first.empty() && first.front() == model_.config().bosToken) first.erase(first.begin());
  if (!front->empty()) {
    segments.insert(segments.begin() + 1, {SegmentKind::kFresh, "conversation", *std::move(front)});
  }
  if (!rest->empty()) segments.push_back({SegmentKind::kFresh, "question", *std::move(rest)});
  return std::nullopt;
}

std::optional<ApiError> ChatPrompts::addConversation(ChatPrompt& out,
                                                     const ChatRequest& request) const {
  if (config_.chatTemplate) return addRendered(out, request);
  const Status added =
      appendText(out.prompt, model_.tokenizer(), {SegmentKind::kFresh, "conversation", {}},
                 conversationText(request.messages, config_.questionTemplate));
  if (!added.ok()) return apiErrorOf(added, "messages");
  return std::nullopt;
}

std::variant<ChatPrompt, ApiError> ChatPrompts::make(const ChatRequest& request) {
  ChatPrompt out;
  out.oneLine = config_.chatTemplate == nullptr;
  out.prompt = promptWithBos(model_.config().bosToken);
  if (auto error = addDocuments(out, request)) return *std::move(error);
  if (auto error = addChosen(out, request)) return *std::move(error);
  if (auto error = addConversation(out, request)) return *std::move(error);
  const uint64_t rows = out.prompt.rows(), answer = maxTokensOf(request);
  if (rows + answer > model_.config().maxPositions) return tooLong("messages", rows, answer);
  return out;
}

}  // namespace spolia::engine
