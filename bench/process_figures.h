// What the system knows of this process. Any thread.
#pragma once

#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <fstream>
#include <string>

namespace spolia::bench {

inline double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// User and system, all threads.
inline double cpuSeconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

inline uint64_t residentBytes() {
  std::ifstream in("/proc/self/statm");
  uint64_t pages = 0;
  in >> pages >> pages;
  return pages * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

// Given to the device or to the page cache for it; 0 where the kernel does not count.
inline uint64_t writtenBytes() {
  std::ifstream in("/proc/self/io");
  std::string name;
  for (uint64_t value = 0; in >> name >> value;) {
    if (name == "write_bytes:") return value;
  }
  return 0;
}

}  // namespace spolia::bench
