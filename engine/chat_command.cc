#include "engine/chat_command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <iostream>
#include <sstream>

#include "engine/engine_parts.h"
#include "engine/exit_codes.h"
#include "engine/http/chat_prompt.h"
#include "engine/http/replies/answer_text.h"
#include "engine/scheduler/generation.h"

namespace spolia::engine {

namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kHelp =
    "/docs [PATTERN...]  the documents that answers are taken from: those that match; none "
    "without\n"
    "/reset              forget the conversation\n"
    "/quit               end it; so does Ctrl-D. Ctrl-C ends an answer\n";

std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free, "set by a signal handler");

void onInterrupt(int) {
  if (interrupted.exchange(true)) ::_exit(128 + SIGINT);
}

// Without restarting what it interrupts, so that waiting for a line ends too.
void catchInterrupts() {
  struct sigaction action {};
  action.sa_handler = onInterrupt;
  sigemptyset(&action.sa_mask);
  ::sigaction(SIGINT, &action, nullptr);
}

int failChat(const Status& status) {
  fmt::print(stderr, "spolia-engine chat: {}\n", status.message());
  return exitCodeOf(status.code());
}

class Conversation {
 public:
  Conversation(EngineParts& parts, std::shared_ptr<const ChatTemplate> chatTemplate)
      : parts_(parts),
        library_(*parts.model, *parts.transformer, *parts.source, libraryConfig(parts)),
        prompts_(*parts.model, library_,
                 {std::move(chatTemplate), parts.config.questionTemplate, parts.config.maxTokens}),
        linker_(*parts.model, *parts.transformer, *parts.pool, parts.source.get(),
                linkerConfig(parts)) {}

  // kNotFound when a pattern matches none.
  Status choose(const std::vector<std::string>& patterns);
  // Whether to go on.
  bool take(const std::string& line);

 private:
  static DocumentLibrary::Config libraryConfig(const EngineParts& parts) {
    DocumentLibrary::Config out{parts.config.chunkTokens, parts.config.preset, parts.config.kvType};
    out.profile = parts.profile;
    return out;
  }
  static Linker::Config linkerConfig(const EngineParts& parts) {
    Linker::Config out;
    out.pageType = parts.config.kvType;
    out.lookaheadLayers = parts.config.lookaheadLayers;
    out.prefixPreset = parts.config.prefixPreset;
    out.profile = parts.profile;
    return out;
  }
  bool command(const std::string& line);
  void showDocuments() const;
  void ask(const std::string& question);
  // What was said of the answer, even if it ended early.
  Result<std::string> answer();
  GenerationOptions options(bool oneLine) const;
  static void showCosts(const Answer& answer, double beforeMs);

  EngineParts& parts_;
  DocumentLibrary library_;
  ChatPrompts prompts_;
  Linker linker_;
  ChatRequest request_;
};

Status Conversation::choose(const std::vector<std::string>& patterns) {
  std::vector<std::string> chosen;
  if (!patterns.empty()) {
    SPOLIA_ASSIGN_OR_RETURN(const std::vector<std::string> names, library_.names());
    chosen = matchingNames(names, patterns);
    if (chosen.empty()) {
      return Status(ErrorCode::kNotFound,
                    fmt::format("no document matches, {} are ingested", names.size()));
    }
  }
  request_.documents.clear();
  for (std::string& name : chosen) request_.documents.push_back({std::move(name), std::nullopt});
  return {};
}

void Conversation::showDocuments() const {
  if (request_.documents.empty()) fmt::print(stderr, "no documents\n");
  for (const ChatDocument& document : request_.documents) fmt::print(stderr, "{}\n", document.name);
}

bool Conversation::command(const std::string& line) {
  std::istringstream words(line);
  std::string name;
  words >> name;
  std::vector<std::string> rest;
  for (std::string word; words >> word;) rest.push_back(word);
  if (name == "/quit" || name == "/exit") return false;
  if (name == "/reset") {
    request_.messages.clear();
  } else if (name == "/docs") {
    const Status chosen = choose(rest);
    if (!chosen.ok()) fmt::print(stderr, "{}\n", chosen.message());
    showDocuments();
  } else {
    if (name != "/help") fmt::print(stderr, "there is no command {}\n", name);
    fmt::print(stderr, "{}", kHelp);
  }
  return true;
}

bool Conversation::take(const std::string& line) {
  if (line.find_first_not_of(" \t\r") == std::string::npos) return true;
  if (line.starts_with('/')) return command(line);
  ask(line);
  return true;
}

void Conversation::ask(const std::string& question) {
  request_.messages.push_back({"user", question});
  const Result<std::string> said = answer();
  if (said.ok()) return request_.messages.push_back({"assistant", *said});
  request_.messages.pop_back();
  fmt::print(stderr, "{}\n", said.status().message());
}

GenerationOptions Conversation::options(bool oneLine) const {
  GenerationOptions out;
  out.link.method = parts_.config.method;
  out.link.k = parts_.config.k;
  out.link.patience = std::chrono::milliseconds(parts_.config.patienceMs);
  out.sequence.maxTokens = parts_.config.maxTokens;
  out.sequence.stopAtNewline = oneLine;
  return out;
}

void Conversation::showCosts(const Answer& answer, double beforeMs) {
  const Provenance& made = answer.provenance;
  const double decodeSeconds = (answer.totalMs - answer.firstTokenMs) / 1000;
  const size_t further = answer.tokens.empty() ? 0 : answer.tokens.size() - 1;
  std::string rate;
  if (further > 0 && decodeSeconds > 0) {
    rate = fmt::format(", {:.1f} a second", static_cast<double>(further) / decodeSeconds);
  }
  fmt::print(stderr, "[{} tokens{}, the first after {:.0f} ms; {} of {} rows cached]\n",
             answer.tokens.size(), rate, beforeMs + answer.firstTokenMs,
             made.rows - made.rowsComputed, made.rows);
}

Result<std::string> Conversation::answer() {
  const auto accepted = Clock::now();
  std::variant<ChatPrompt, ApiError> prompt = prompts_.make(request_);
  if (const auto* error = std::get_if<ApiError>(&prompt)) {
    const bool tooLong = error->code == "context_length_exceeded";
    return Status(ErrorCode::kInvalidArgument,
                  error->message + (tooLong ? "; /reset forgets the conversation" : ""));
  }
  AnswerText text({});
  std::string said;
  const auto say = [&](const std::string& piece) {
    said += piece;
    fmt::print("{}", piece);
    std::fflush(stdout);
  };
  interrupted = false;
  const ChatPrompt& made = std::get<ChatPrompt>(prompt);
  GenerationOptions asked = options(made.oneLine);
  asked.onToken = [&](const ChosenToken& token, double) {
    say(text.feed(parts_.model->tokenizer().tokenBytes(token.token)));
    return !interrupted;
  };
  const double before = std::chrono::duration<double, std::milli>(Clock::now() - accepted).count();
  const Result<Answer> answered =
      answerPrompt(*parts_.model, *parts_.transformer, linker_, made.prompt, asked);
  interrupted = false;
  if (!answered.ok()) return answered.status();
  say(text.finish() + "\n");
  said.pop_back();
  showCosts(*answered, before);
  return said;
}

// The next line; false at the end. On a terminal Ctrl-C only starts a new one.
bool nextLine(bool terminal, std::string& line) {
  while (true) {
    if (terminal) fmt::print(stderr, "> ");
    if (std::getline(std::cin, line)) return true;
    if (!terminal || !interrupted) return false;
    interrupted = false;
    fmt::print(stderr, "\n(/quit or Ctrl-D ends the conversation)\n");
    std::cin.clear();
    std::clearerr(stdin);
  }
}

}  // namespace

int runChat(const EngineConfig& config, const ChatCommandRequest& request) {
  Result<EngineParts> parts = openEngine(config);
  if (!parts.ok()) return failChat(parts.status());
  auto chatTemplate = chatTemplateFor(config, *parts->model);
  if (!chatTemplate.ok()) return failChat(chatTemplate.status());
  Conversation conversation(*parts, *chatTemplate);
  const Status chosen = conversation.choose(request.documents);
  if (!chosen.ok()) return failChat(chosen.withContext("--docs"));
  const bool terminal = ::isatty(STDIN_FILENO) == 1;
  if (terminal) fmt::print(stderr, "{}", kHelp);
  catchInterrupts();
  for (std::string line; nextLine(terminal, line);) {
    if (!conversation.take(line)) break;
  }
  return kExitOk;
}

}  // namespace spolia::engine
