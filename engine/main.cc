// spolia-engine: questions over documents, answered out of cached chunks. Arguments only; what the
// commands do stands in their own files.
#include <fmt/format.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

#include "engine/ask_command.h"
#include "engine/chat_command.h"
#include "engine/docs_command.h"
#include "engine/engine_config.h"
#include "engine/eval_command.h"
#include "engine/exit_codes.h"
#include "engine/ingest_command.h"
#include "engine/profile_command.h"
#include "engine/serve_command.h"

namespace spolia::engine {
namespace {

// Flags of all commands together; each command reads its own.
struct Arguments {
  std::string configFile;
  std::vector<Setting> settings;
  std::vector<std::string> names;  // paths, patterns or documents
  std::string question;
  std::string methods;
  EvalRequest eval;
  ProfileRequest profile;
  bool json = false;
  bool table = false;
};

// A flag that sets a configuration key; the configuration judges its value.
void addSetting(CLI::App& app, Arguments& arguments, const std::string& flag,
                const std::string& key, const std::string& help) {
  app.add_option_function<std::string>(
         flag,
         [&arguments, flag, key](const std::string& value) {
           arguments.settings.push_back({key, value, flag.substr(flag.find("--"))});
         },
         help + " (" + key + ")")
      ->type_name("");
}

void addCommonFlags(CLI::App& app, Arguments& arguments) {
  app.add_option("--config", arguments.configFile,
                 "TOML file of settings (SPOLIA_ENGINE_CONFIG); flags and SPOLIA_ENGINE_* "
                 "variables win over it");
  addSetting(app, arguments, "--model", "model.directory",
             "Hugging Face directory or GGUF file of the model");
  addSetting(app, arguments, "--profile", "model.profile",
             "the model's profile, for the presets balanced and small");
  addSetting(app, arguments, "--cache", "store.cache",
             "cache server, spolia://host:port, instead of a store in this process");
  addSetting(app, arguments, "--token-file", "store.token_file", "credential for the server");
  addSetting(app, arguments, "--store", "store.directory", "directory of the store");
  addSetting(app, arguments, "--capacity", "store.capacity", "cap on the store, e.g. \"8 GiB\"");
  addSetting(app, arguments, "--threads", "compute.threads", "threads, 0 for all cores");
  addSetting(app, arguments, "--kv-type", "compute.kv_type", "KV pages: f32, f16 or bf16");
  addSetting(app, arguments, "--numerics", "compute.numerics",
             "f32 or int8: what products are computed with");
  addSetting(app, arguments, "--rounding", "compute.rounding", "fast or invariant");
  app.add_flag("--json", arguments.json, "machine-readable output");
}

void addIngestFlags(CLI::App& app, Arguments& arguments) {
  addSetting(app, arguments, "--chunk-tokens", "ingest.chunk_tokens", "most tokens of a chunk");
  addSetting(app, arguments, "--preset", "ingest.preset",
             "lossless, high, balanced or small, the last two smaller with a profile");
  addSetting(app, arguments, "--ttl", "ingest.ttl",
             "how long these documents live from now on, as in 12h or 30d (without end)");
  addSetting(app, arguments, "--compile-mode", "ingest.compile_mode",
             "bos (all methods but lego0) or lego0 (that method); a document may have both");
  app.add_option("paths", arguments.names, "files (.txt, .md) and directories")->required();
}

void addAskFlags(CLI::App& app, Arguments& arguments) {
  app.add_option("--docs", arguments.names,
                 "documents whose names match a shell pattern ('*' also matches '/'); all without")
      ->type_name("PATTERN");
  addSetting(app, arguments, "--top", "ask.top_documents",
             "only the N of them that are likeliest for the question, 0 for all");
  app.add_option(
      "--method", arguments.methods,
      "full, reuse, first-k, lego0 or prefix; several, with commas between, are asked in turn "
      "(link.method)");
  addSetting(app, arguments, "-k,--first-rows", "link.k", "rows first-k computes of each chunk");
  addSetting(app, arguments, "--patience-ms", "link.patience_ms",
             "how long loading may hold up an answer");
  addSetting(app, arguments, "--max-tokens", "ask.max_tokens", "most tokens of the answer");
  addSetting(app, arguments, "--template", "ask.template", "prompt around {question}");
  app.add_flag("--table", arguments.table, "answers with their costs, as a table");
  app.add_option("question", arguments.question, "what to ask")->required();
}

void addChatFlags(CLI::App& app, Arguments& arguments) {
  app.add_option("--docs", arguments.names,
                 "documents whose names match a shell pattern ('*' also matches '/'); none without")
      ->type_name("PATTERN");
  addSetting(app, arguments, "--method", "link.method", "how chunks are put together");
  addSetting(app, arguments, "-k,--first-rows", "link.k", "rows first-k computes of each chunk");
  addSetting(app, arguments, "--patience-ms", "link.patience_ms",
             "how long loading may hold up an answer");
  addSetting(app, arguments, "--max-tokens", "ask.max_tokens", "most tokens of an answer");
  addSetting(app, arguments, "--chat-template", "model.chat_template",
             "Jinja file in place of the model's own, or none");
  addSetting(app, arguments, "--template", "ask.template",
             "prompt around {question}, without a chat template");
}

void addServeFlags(CLI::App& app, Arguments& arguments) {
  addSetting(app, arguments, "--listen", "serve.listen", "ADDRESS:PORT, port 0 for any");
  addSetting(
      app, arguments, "--api-keys", "serve.api_keys",
      "file of keys, one a line as NAME:KEY or NAME:SHA256, of which each request needs one");
  app.add_flag_callback(
      "--no-auth",
      [&arguments] {
        arguments.settings.push_back({"serve.auth", "none", "--no-auth"});
      },
      "listen beyond loopback without keys (serve.auth)");
  addSetting(app, arguments, "--chat-template", "model.chat_template",
             "Jinja file in place of the model's own, or none");
  addSetting(app, arguments, "--queue", "serve.queue", "requests that may wait");
  addSetting(app, arguments, "--chunk-tokens", "ingest.chunk_tokens",
             "most tokens of a chunk of documents given as text");
  addSetting(app, arguments, "--preset", "ingest.preset", "how those are encoded");
  addSetting(app, arguments, "--document-separator", "serve.document_separator",
             "what stands between documents in the text of a message");
  addSetting(app, arguments, "--chunk-messages-over", "serve.chunk_messages_over",
             "bytes; longer messages are cut into chunks, 0 for none");
  addSetting(app, arguments, "--method", "link.method", "where a request does not tell");
  addSetting(app, arguments, "-k,--first-rows", "link.k", "rows first-k computes of each chunk");
  addSetting(app, arguments, "--max-tokens", "ask.max_tokens", "where a request does not tell");
  addSetting(app, arguments, "--template", "ask.template", "prompt around {question}");
}

void addEvalFlags(CLI::App& app, Arguments& arguments) {
  EvalRequest& eval = arguments.eval;
  eval.methods = {"full", "reuse", "first-k"};
  eval.presets = {"high"};
  app.add_option("worlds", eval.worlds, "file of worlds as JSON lines, \"-\" for stdin")
      ->required();
  app.add_option("--methods", eval.methods, "with commas between; first-k:N for another k")
      ->delimiter(',');
  app.add_option("--presets", eval.presets,
                 "how chunks are encoded, with commas between; small:N, balanced:N for steps N "
                 "quarter octaves wider than the profile's")
      ->delimiter(',');
  addSetting(app, arguments, "-k,--first-rows", "link.k", "rows first-k computes of each chunk");
  addSetting(app, arguments, "--max-tokens", "ask.max_tokens", "most tokens of an answer");
  addSetting(app, arguments, "--template", "ask.template", "prompt around {question}");
  app.add_option("--plot", eval.plot, "PNG of accuracy over rows recomputed to write");
  app.add_option("--answers", eval.answers, "every answer, as JSON lines");
}

void addProfileFlags(CLI::App& app, Arguments& arguments) {
  ProfileRequest& profile = arguments.profile;
  app.add_option("text", profile.text, "UTF-8 text, pages separated by form feeds")->required();
  app.add_option("--out", profile.out, "file to write")->required();
  app.add_option("--passages", profile.passages, "most passages of the text to learn from");
  app.add_option("--cached", profile.cached, "tokens of a passage that are coded");
  app.add_option("--continued", profile.continued,
                 "and of its continuation, on which the damage is measured");
  app.add_option("--judged", profile.judged,
                 "most passages on which it is measured; fewer are quicker where the vocabulary is "
                 "large")
      ->check(CLI::PositiveNumber);
  app.add_option("--most-kl", profile.mostKl,
                 "damage that the preset's step may do: mean KL divergence in nats (0.0025)")
      ->check(CLI::Range(1e-6, 10.0));
  app.add_option("--preset", profile.preset, "balanced or small");
  app.add_option("--most-bytes", profile.mostBytes,
                 "size it has to keep within; without: a tenth of the weights in fp16");
}

Result<EngineConfig> configOf(const Arguments& arguments) {
  ConfigSources sources;
  sources.file = arguments.configFile;
  if (const char* file = std::getenv("SPOLIA_ENGINE_CONFIG"); sources.file.empty() && file) {
    sources.file = file;
  }
  sources.environment = engineEnvironment();
  sources.flags = arguments.settings;
  return loadEngineConfig(sources);
}

Result<std::vector<LinkMethod>> methodsOf(const std::string& text) {
  std::vector<LinkMethod> out;
  std::istringstream in(text);
  for (std::string name; std::getline(in, name, ',');) {
    const Result<LinkMethod> method = linkMethodFromName(name);
    if (!method.ok()) return method.status().withContext("--method");
    out.push_back(*method);
  }
  return out;
}

int usageError(const Status& status) {
  fmt::print(stderr, "spolia-engine: {}\n", status.message());
  return exitCodeOf(status.code());
}

int runCommand(const std::string& command, const Arguments& arguments) {
  const Result<EngineConfig> config = configOf(arguments);
  if (!config.ok()) return usageError(config.status());
  if (command == "ingest") return runIngest(*config, {arguments.names, arguments.json});
  if (command == "docs") return runDocs(*config, arguments.names, arguments.json);
  if (command == "rm") return runRemove(*config, arguments.names, arguments.json);
  if (command == "chat") return runChat(*config, {arguments.names});
  if (command == "serve") return runServe(*config);
  if (command == "profile") {
    ProfileRequest request = arguments.profile;
    request.json = arguments.json;
    return runProfile(*config, request);
  }
  if (command == "eval") {
    EvalRequest request = arguments.eval;
    request.json = arguments.json;
    return runEval(*config, request);
  }
  Result<std::vector<LinkMethod>> methods = methodsOf(arguments.methods);
  if (!methods.ok()) return usageError(methods.status());
  AskRequest request;
  request.question = arguments.question;
  request.documents = arguments.names;
  request.methods = *std::move(methods);
  request.output = arguments.json    ? AskOutput::kJson
                   : arguments.table ? AskOutput::kTable
                                     : AskOutput::kText;
  return runAsk(*config, request);
}

int runMain(int argc, char** argv) {
  // stdout is for answers.
  spdlog::set_default_logger(spdlog::stderr_color_mt("spolia-engine"));
  Arguments arguments;
  CLI::App app("Answers questions over documents out of cached chunks of attention state.",
               "spolia-engine");
  app.require_subcommand(1);
  app.footer(kExitCodeHelp);
  CLI::App& ingest = *app.add_subcommand("ingest", "computes and stores documents");
  CLI::App& ask = *app.add_subcommand("ask", "answers a question over stored documents");
  CLI::App& chat = *app.add_subcommand("chat", "holds a conversation over stored documents");
  CLI::App& docs = *app.add_subcommand("docs", "lists stored documents");
  CLI::App& remove = *app.add_subcommand("rm", "removes stored documents");
  CLI::App& serve = *app.add_subcommand("serve", "answers OpenAI's API over stored documents");
  CLI::App& eval = *app.add_subcommand("eval", "scores linking methods on worlds with answers");
  CLI::App& profile = *app.add_subcommand("profile", "makes the codec's profile of a model");
  for (CLI::App* command : {&ingest, &ask, &docs, &remove, &eval, &serve, &profile, &chat}) {
    addCommonFlags(*command, arguments);
  }
  addEvalFlags(eval, arguments);
  addProfileFlags(profile, arguments);
  addServeFlags(serve, arguments);
  addChatFlags(chat, arguments);
  addIngestFlags(ingest, arguments);
  addAskFlags(ask, arguments);
  docs.add_option("patterns", arguments.names, "shell patterns of names; all without");
  remove.add_option("names", arguments.names, "names as `docs` lists them")->required();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitOk : kExitUsage;
  }
  return runCommand(app.get_subcommands().front()->get_name(), arguments);
}

}  // namespace
}  // namespace spolia::engine

int main(int argc, char** argv) {
  return spolia::engine::runMain(argc, argv);
}
