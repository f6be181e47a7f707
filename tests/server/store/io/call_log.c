/* Preloaded into a program: writes a line for each call that renames a file or makes a file or
 * directory durable, when it has gone well, to the file named by SPOLIA_CALL_LOG:
 *   THREAD rename FROM TO | THREAD fsync PATH */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static void note(const char* format, ...) {
  static int log = -1;
  if (log < 0) {
    const char* path = getenv("SPOLIA_CALL_LOG");
    if (path == NULL) return;
    log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  }
  char line[4096];
  va_list arguments;
  va_start(arguments, format);
  const int length = vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  if (log < 0 || syscall(SYS_write, log, line, (size_t)length) != length) abort();
}

int rename(const char* from, const char* to) {
  int (*real)(const char*, const char*) = dlsym(RTLD_NEXT, "rename");
  const int result = real(from, to);
  if (result == 0) note("%ld rename %s %s\n", syscall(SYS_gettid), from, to);
  return result;
}

int fsync(int fd) {
  int (*real)(int) = dlsym(RTLD_NEXT, "fsync");
  const int result = real(fd);
  char link[64], path[2048];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t length = readlink(link, path, sizeof path - 1);
  if (result == 0 && length > 0) note("%ld fsync %.*s\n", syscall(SYS_gettid), (int)length, path);
  return result;
}
