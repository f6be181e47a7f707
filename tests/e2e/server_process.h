// Real programs run by tests: a spoliad that is started and waited for by its "ready" line, and
// commands that run to their end. One thread each.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "client/client_config.h"
#include "codec/base/check.h"
#include "tests/support/temporary_directory.h"

namespace spolia::test {

inline std::string programPath(const std::string& name) {
  return std::string(SPOLIA_BINARY_DIR) + "/" + name;
}
inline std::string spoliaProgram() {
  return programPath("client/spolia");
}
inline std::string spoliadProgram() {
  return programPath("server/spoliad");
}

// A child with its output in files; not waited for until end().
class Child {
 public:
  Child(const std::vector<std::string>& command, std::filesystem::path out,
        std::filesystem::path err)
      : out_(std::move(out)), err_(std::move(err)) {
    int pipe[2];
    SPOLIA_CHECK(::pipe2(pipe, O_CLOEXEC) == 0);
    pid_ = ::fork();
    SPOLIA_CHECK(pid_ >= 0);
    if (pid_ == 0) {
      ::dup2(::open("/dev/null", O_RDONLY), STDIN_FILENO);
      ::dup2(pipe[1], STDOUT_FILENO);
      ::dup2(::open(err_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), STDERR_FILENO);
      std::vector<char*> argv;
      for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
      argv.push_back(nullptr);
      ::execv(argv[0], argv.data());
      ::_exit(127);
    }
    ::close(pipe[1]);
    stdout_ = pipe[0];
  }
  ~Child() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      end();
    }
    ::close(stdout_);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  // Lines of stdout up to and including one that is `last`, or up to the end.
  std::string readUntil(const std::string& last) {
    std::string line;
    char c;
    while (::read(stdout_, &c, 1) == 1) {
      text_ += c;
      if (c != '\n') {
        line += c;
      } else if (line == last) {
        break;
      } else {
        line.clear();
      }
    }
    return text_;
  }
  void signal(int number) { ::kill(pid_, number); }
  // Waits; the exit status, or 128 + the signal that ended it.
  int end() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  std::string errors() const {
    std::ifstream in(err_);
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
  }

 private:
  std::filesystem::path out_, err_;
  pid_t pid_ = -1;
  int stdout_ = -1;
  std::string text_;
};

struct Outcome {
  int code = 0;
  std::string out;
  std::string err;
};

inline Outcome runCommand(const std::vector<std::string>& command) {
  TemporaryDirectory files;
  Child child(command, files.path() / "out", files.path() / "err");
  Outcome outcome;
  outcome.out = child.readUntil("\x01");
  outcome.code = child.end();
  outcome.err = child.errors();
  return outcome;
}

inline void writeText(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
  std::filesystem::permissions(path, std::filesystem::perms(0600));
}

inline std::string readText(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

// A spoliad on loopback and on a unix socket, with a store of small segments in `directory`.
class ServerProcess {
 public:
  explicit ServerProcess(const std::filesystem::path& directory,
                         const std::vector<std::string>& flags = {})
      : socket_(directory / "s.sock") {
    writeText(directory / "server.toml",
              "[store]\ncapacity = \"128 MiB\"\nsegment = \"16 MiB\"\n"
              "[limits]\nhandshake_seconds = 2\nmessage_seconds = 2\nstall_seconds = 2\n");
    std::vector<std::string> command = {spoliadProgram(),
                                        "--config",
                                        (directory / "server.toml").string(),
                                        "--store",
                                        (directory / "store").string(),
                                        "--listen",
                                        "127.0.0.1:0",
                                        "--unix",
                                        socket_.string()};
    command.insert(command.end(), flags.begin(), flags.end());
    child_ = std::make_unique<Child>(command, directory / "out", directory / "err");
    const std::string said = child_->readUntil("ready");
    const size_t at = said.find("spolia://");
    if (at != std::string::npos) tcp_ = said.substr(at, said.find('\n', at) - at);
    ready_ = said.ends_with("ready\n");
  }

  bool ready() const { return ready_; }
  std::string tcp() const { return tcp_; }
  uint16_t port() const {
    return static_cast<uint16_t>(std::stoi(tcp_.substr(tcp_.rfind(':') + 1)));
  }
  std::string unixAddress() const { return "spolia+unix://" + socket_.string(); }
  std::filesystem::path socket() const { return socket_; }
  // Ends it; its exit status.
  int stop(int number = SIGTERM) {
    child_->signal(number);
    return child_->end();
  }
  int end() { return child_->end(); }
  std::string errors() const { return child_->errors(); }

  client::ClientConfig config() const {
    client::ClientConfig config;
    config.address = tcp_;
    return config;
  }

 private:
  std::filesystem::path socket_;
  std::unique_ptr<Child> child_;
  std::string tcp_;
  bool ready_ = false;
};

}  // namespace spolia::test
