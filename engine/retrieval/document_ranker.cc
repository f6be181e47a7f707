#include "engine/retrieval/document_ranker.h"

#include <sqlite3.h>

#include <algorithm>
#include <cctype>

namespace spolia::engine {

namespace {

struct StatementCloser {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Statement = std::unique_ptr<sqlite3_stmt, StatementCloser>;

Status failure(sqlite3* database) {
  const bool memory = sqlite3_errcode(database) == SQLITE_NOMEM;
  return Status(memory ? ErrorCode::kOutOfSpace : ErrorCode::kInternal,
                std::string("ranking documents: ") + sqlite3_errmsg(database));
}

Result<Statement> prepare(sqlite3* database, const char* sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(database, sql, -1, &statement, nullptr) != SQLITE_OK) {
    return failure(database);
  }
  return Statement(statement);
}

Status bindText(sqlite3* database, const Statement& statement, int index, std::string_view text) {
  // An empty view may be null, which would bind NULL.
  const char* data = text.empty() ? "" : text.data();
  if (sqlite3_bind_text64(statement.get(), index, data, text.size(), SQLITE_STATIC, SQLITE_UTF8) !=
      SQLITE_OK) {
    return failure(database);
  }
  return Status();
}

// Runs the statement with these texts bound; the first column of every row.
Result<std::vector<std::string>> run(sqlite3* database, const char* sql,
                                     const std::vector<std::string_view>& texts) {
  SPOLIA_ASSIGN_OR_RETURN(const Statement statement, prepare(database, sql));
  for (size_t i = 0; i < texts.size(); ++i) {
    SPOLIA_RETURN_IF_ERROR(bindText(database, statement, static_cast<int>(i + 1), texts[i]));
  }
  std::vector<std::string> out;
  int step = sqlite3_step(statement.get());
  for (; step == SQLITE_ROW; step = sqlite3_step(statement.get())) {
    const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement.get(), 0));
    const int size = sqlite3_column_bytes(statement.get(), 0);
    out.emplace_back(text ? text : "", static_cast<size_t>(size));
  }
  if (step != SQLITE_DONE) return failure(database);
  return out;
}

// The question's words, each a quoted string of FTS5's syntax, any of them. Bytes past ASCII belong
// to words: what they are is the tokenizer's to say.
std::string queryOf(std::string_view question) {
  std::vector<std::string> words;
  std::string word;
  const auto finish = [&] {
    if (!word.empty() && std::ranges::count(words, word) == 0) words.push_back(word);
    word.clear();
  };
  for (const char c : question) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x80) {
      word += c;
    } else if (std::isalnum(byte)) {
      word += static_cast<char>(std::tolower(byte));
    } else {
      finish();
    }
  }
  finish();
  std::string out;
  for (const std::string& each : words) out += (out.empty() ? "\"" : " OR \"") + each + "\"";
  return out;
}

}  // namespace

void DocumentRanker::Closer::operator()(sqlite3* database) const {
  sqlite3_close_v2(database);
}

Result<DocumentRanker> DocumentRanker::create() {
  sqlite3* database = nullptr;
  const int opened =
      sqlite3_open_v2(":memory:", &database,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  DocumentRanker out(database);
  if (opened != SQLITE_OK) return Status(ErrorCode::kOutOfSpace, "ranking documents: no memory");
  const char* tables =
      "CREATE TABLE names(id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL);"
      "CREATE VIRTUAL TABLE texts USING fts5(text, tokenize = 'unicode61');";
  if (sqlite3_exec(database, tables, nullptr, nullptr, nullptr) != SQLITE_OK) {
    return Status(
        ErrorCode::kUnsupported,
        std::string("ranking documents needs SQLite with FTS5: ") + sqlite3_errmsg(database));
  }
  return out;
}

Status DocumentRanker::put(const std::string& name, std::string_view text) {
  SPOLIA_RETURN_IF_ERROR(remove(name));
  sqlite3* database = database_.get();
  SPOLIA_RETURN_IF_ERROR(run(database, "INSERT INTO names(name) VALUES (?1)", {name}).status());
  return run(database, "INSERT INTO texts(rowid, text) SELECT id, ?2 FROM names WHERE name = ?1",
             {name, text})
      .status();
}

Status DocumentRanker::remove(const std::string& name) {
  sqlite3* database = database_.get();
  SPOLIA_RETURN_IF_ERROR(run(database,
                             "DELETE FROM texts WHERE rowid IN (SELECT id FROM names WHERE name = "
                             "?1)",
                             {name})
                             .status());
  return run(database, "DELETE FROM names WHERE name = ?1", {name}).status();
}

Result<std::vector<std::string>> DocumentRanker::best(std::string_view question,
                                                      size_t count) const {
  sqlite3* database = database_.get();
  std::vector<std::string> out;
  const std::string query = queryOf(question);
  if (!query.empty()) {
    SPOLIA_ASSIGN_OR_RETURN(
        out, run(database,
                 "SELECT name FROM texts JOIN names ON id = texts.rowid WHERE texts MATCH ?1 "
                 "ORDER BY bm25(texts), name",
                 {query}));
  }
  if (out.size() < count) {
    SPOLIA_ASSIGN_OR_RETURN(const std::vector<std::string> all,
                            run(database, "SELECT name FROM names ORDER BY name", {}));
    for (const std::string& name : all) {
      if (out.size() == count) break;
      if (std::ranges::count(out, name) == 0) out.push_back(name);
    }
  }
  out.resize(std::min(out.size(), count));
  return out;
}

}  // namespace spolia::engine
