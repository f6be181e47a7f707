#include "engine/http/chat_prompt.h"

#include <algorithm>
#include <ctime>
#include <iterator>
#include <utility>

namespace spolia::engine {

namespace {

constexpr std::string_view kInlinePrefix = "inline/";

std::string inlineName(const std::string& text) {
  return std::string(kInlinePrefix) + documentVersion(text, 0).hex().substr(0, 32);
}

using MessageTexts = std::vector<jinja::MarkedText>;

MessageTexts wholeTexts(const std::vector<ChatMessage>& messages) {
  MessageTexts out;
  for (const ChatMessage& message : messages) {
    out.emplace_back(message.text, jinja::Origin::kContent);
  }
  return out;
}

// Messages with a place for each document in them.
struct CutMessages {
  MessageTexts texts;
  std::vector<std::string> documents;  // the one at place i + 1
};

CutMessages cutMessages(const std::vector<ChatMessage>& messages, const DocumentCut& cut) {
  CutMessages out;
  for (const ChatMessage& message : messages) {
    jinja::MarkedText& text = out.texts.emplace_back();
    // What a model said comes again in its own conversation only.
    const bool said = message.role == "assistant";
    for (const TextPart& part : documentsIn(message.text, said ? DocumentCut{{}, 0} : cut)) {
      if (part.document && out.documents.size() + 1 < kMostPlaces) {
        out.documents.emplace_back(part.text);
        appendPlace(text, out.documents.size());
      } else {
        text.append(part.text, jinja::Origin::kContent);
      }
    }
  }
  return out;
}

std::vector<ChatTurn> turnsOf(const std::vector<ChatMessage>& messages, const MessageTexts& texts,
                              bool documents) {
  std::vector<ChatTurn> out;
  for (size_t i = 0; i < messages.size(); ++i) {
    // Templates know no developers.
    const bool rules = messages[i].role == "developer";
    ChatTurn turn{rules ? "system" : messages[i].role, {}};
    if (documents && i + 1 == messages.size()) {
      appendPlace(turn.content, kDocumentsPlace);
      turn.content.append("\n\n");
    }
    turn.content.append(texts[i]);
    out.push_back(std::move(turn));
  }
  return out;
}

// questionText() of a question with places.
void appendQuestion(jinja::MarkedText& out, std::string_view pattern,
                    const jinja::MarkedText& question) {
  constexpr std::string_view kPlace = "{question}";
  for (size_t at = 0; (at = pattern.find(kPlace)) != std::string_view::npos;) {
    out.append(pattern.substr(0, at));
    out.append(question);
    pattern.remove_prefix(at + kPlace.size());
  }
  out.append(pattern);
}

jinja::MarkedText inQuestionTemplate(const std::vector<ChatTurn>& turns, std::string_view pattern) {
  jinja::MarkedText out;
  for (const ChatTurn& turn : turns) {
    if (turn.role != "system") continue;
    out.append(turn.content);
    out.append("\n");
  }
  for (size_t i = 0; i + 1 < turns.size(); ++i) {
    if (turns[i].role == "user") appendQuestion(out, pattern, turns[i].content);
    if (turns[i].role != "assistant") continue;
    out.append(" ");
    out.append(turns[i].content);
    out.append("\n");
  }
  appendQuestion(out, pattern, turns.back().content);
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
  return contextExceeded(param, tokens, answer, model_.config().maxPositions);
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

Result<jinja::MarkedText> ChatPrompts::render(const ChatRequest& request, const MessageTexts& texts,
                                              bool documents, const std::tm& now) const {
  const auto turns = [&](bool place) { return turnsOf(request.messages, texts, place); };
  const auto& arguments = request.templateArguments;
  if (documents && config_.chatTemplate) {
    Result<jinja::MarkedText> text = config_.chatTemplate->render(turns(true), arguments, now);
    if (!text.ok() || hasPlace(*text, kDocumentsPlace)) return text;
    // A template that remakes what it is given has no place for them: they stand in front.
  }
  jinja::MarkedText out;
  if (documents) appendPlace(out, kDocumentsPlace);
  if (config_.chatTemplate) {
    SPOLIA_ASSIGN_OR_RETURN(const jinja::MarkedText text,
                            config_.chatTemplate->render(turns(false), arguments, now));
    out.append(text);
  } else {
    out.append(inQuestionTemplate(turns(false), config_.questionTemplate));
  }
  return out;
}

bool ChatPrompts::cutsMessages(const ChatRequest& request) const {
  // The other methods do not load what is stored of documents' texts.
  const LinkMethod method = request.method.value_or(config_.method);
  return method == LinkMethod::kFirstK || method == LinkMethod::kReuse;
}

Result<std::vector<PromptSegment>> ChatPrompts::freshSegments(
    const std::vector<PlacedPart>& parts, const std::vector<std::string>& documents) const {
  const Tokenizer& tokenizer = model_.tokenizer();
  std::vector<PromptSegment> out;
  bool front = config_.chatTemplate != nullptr;
  for (const PlacedPart& part : parts) {
    PromptSegment segment{SegmentKind::kFresh, "conversation", {}};
    if (part.place && *part.place != kDocumentsPlace) {
      SPOLIA_ASSIGN_OR_RETURN(segment.tokens, tokenizer.encodeContent(documents[*part.place - 1]));
    } else if (!part.place) {
      SPOLIA_ASSIGN_OR_RETURN(segment.tokens, config_.chatTemplate
                                                  ? tokensOf(tokenizer, part.text)
                                                  : tokenizer.encode(part.text.bytes()));
      // BOS stands in front of every prompt, whether or not the template spells it.
      std::vector<codec::TokenId>& tokens = segment.tokens;
      if (std::exchange(front, false) && !tokens.empty() &&
          tokens.front() == model_.config().bosToken) {
        tokens.erase(tokens.begin());
      }
    }
    out.push_back(std::move(segment));
  }
  return out;
}

void ChatPrompts::addFound(ChatPrompt& out, const std::string& text, PromptSegment fresh) {
  const std::string name = inlineName(text);
  const size_t segments = out.prompt.segments.size(), names = out.documents.size();
  // A store that is full or away costs time, not the answer: the text is computed like any other.
  if (library_.put(name, text).ok() && addNamed(out, name).ok()) return;
  out.prompt.segments.resize(segments);
  out.documents.resize(names);
  out.prompt.segments.push_back(std::move(fresh));
}

std::optional<ApiError> ChatPrompts::assemble(ChatPrompt& out, const ChatRequest& request,
                                              const jinja::MarkedText& text,
                                              const std::vector<std::string>& documents) {
  std::vector<PlacedPart> parts = partsOf(text);
  // A template that changes characters may have made marks of ours others.
  std::erase_if(parts, [&](const PlacedPart& part) { return part.place > documents.size(); });
  Result<std::vector<PromptSegment>> fresh = freshSegments(parts, documents);
  if (!fresh.ok()) return apiErrorOf(fresh.status(), "messages");
  uint64_t rows = out.prompt.rows();
  for (const PromptSegment& segment : *fresh) rows += segment.tokens.size();
  const uint64_t answer = maxTokensOf(request);
  if (rows + answer > model_.config().maxPositions) return tooLong("messages", rows, answer);

  ChatPrompt given = std::exchange(out, {});
  out.oneLine = given.oneLine;
  std::vector<PromptSegment>& segments = out.prompt.segments;
  const auto bos = given.prompt.segments.begin();
  segments.push_back(std::move(*bos));
  given.prompt.segments.erase(bos);
  for (size_t i = 0; i < parts.size(); ++i) {
    PromptSegment& segment = (*fresh)[i];
    if (!parts[i].place) {
      if (!segment.tokens.empty()) segments.push_back(std::move(segment));
    } else if (*parts[i].place != kDocumentsPlace) {
      addFound(out, documents[*parts[i].place - 1], std::move(segment));
    } else {
      std::ranges::move(given.prompt.segments, std::back_inserter(segments));
      std::ranges::move(given.documents, std::back_inserter(out.documents));
    }
  }
  return std::nullopt;
}

std::optional<ApiError> ChatPrompts::addConversation(ChatPrompt& out, const ChatRequest& request) {
  const bool documents = out.prompt.segments.size() > 1;
  const std::tm now = localTime();
  Result<jinja::MarkedText> text = render(request, wholeTexts(request.messages), documents, now);
  if (!text.ok()) return badField("messages", "the chat template: " + text.status().message());
  if (!cutsMessages(request)) return assemble(out, request, *text, {});
  const CutMessages cut = cutMessages(request.messages, config_.cut);
  if (cut.documents.empty()) return assemble(out, request, *text, {});
  const Result<jinja::MarkedText> placed = render(request, cut.texts, documents, now);
  // A template that looks at what messages say, or remakes it, is given them whole.
  const bool same = placed.ok() && filled(*placed, cut.documents) == filled(*text, {});
  return same ? assemble(out, request, *placed, cut.documents) : assemble(out, request, *text, {});
}

std::variant<ChatPrompt, ApiError> ChatPrompts::make(const ChatRequest& request) {
  ChatPrompt out;
  out.oneLine = config_.chatTemplate == nullptr;
  out.prompt = promptWithBos(model_.config().bosToken);
  if (auto error = addDocuments(out, request)) return *std::move(error);
  if (auto error = addChosen(out, request)) return *std::move(error);
  if (auto error = addConversation(out, request)) return *std::move(error);
  // Chunks of a document may have a few tokens more than its text.
  const uint64_t rows = out.prompt.rows(), answer = maxTokensOf(request);
  if (rows + answer > model_.config().maxPositions) return tooLong("messages", rows, answer);
  return out;
}

}  // namespace spolia::engine
