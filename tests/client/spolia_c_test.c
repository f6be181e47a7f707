/* The C interface, from C, against a real spoliad (its path is the first argument). */
#define _POSIX_C_SOURCE 200809L

#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "client/spolia.h"

#define CHECK(condition)                                                                  \
  do {                                                                                    \
    if (!(condition)) {                                                                   \
      fprintf(stderr, "%s:%d: %s (%s)\n", __FILE__, __LINE__, #condition, error.message); \
      server_stop(SIGKILL);                                                               \
      exit(1);                                                                            \
    }                                                                                     \
  } while (0)
#define CHECK_CODE(expected, call)                                                        \
  do {                                                                                    \
    const int32_t code_ = (call);                                                         \
    if (code_ != (expected)) {                                                            \
      fprintf(stderr, "%s:%d: %s gave %s, expected %s (%s)\n", __FILE__, __LINE__, #call, \
              spolia_code_name(code_), spolia_code_name(expected), error.message);        \
      server_stop(SIGKILL);                                                               \
      exit(1);                                                                            \
    }                                                                                     \
  } while (0)

enum { LAYERS = 3, HEADS = 2, DIM = 16, TOKENS = 40, ROW = DIM * 4 };

static spolia_error error = {sizeof error, 0, ""};
static const char* program;
static char directory[] = "/tmp/spolia-c-test-XXXXXX";
static char address[128];
static pid_t server;
static const spolia_layer shape[LAYERS] = {{HEADS, DIM}, {HEADS, DIM}, {HEADS, DIM}};

static void server_stop(int signal_number) {
  if (server <= 0) return;
  kill(server, SIGCONT);
  kill(server, signal_number);
  waitpid(server, NULL, 0);
  server = 0;
}

static void server_start(void) {
  char store[96], line[256];
  int out[2];
  FILE* said;
  CHECK(pipe(out) == 0);
  snprintf(store, sizeof store, "%s/store", directory);
  server = fork();
  CHECK(server >= 0);
  if (server == 0) {
    dup2(out[1], STDOUT_FILENO);
    execl(program, program, "--store", store, "--capacity", "600MiB", "--listen", "127.0.0.1:0",
          "--log-level", "error", (char*)NULL);
    _exit(127);
  }
  close(out[1]);
  said = fdopen(out[0], "r");
  while (fgets(line, sizeof line, said) != NULL && strcmp(line, "ready\n") != 0) {
    char* at = strstr(line, "spolia://");
    if (at == NULL) continue;
    at[strcspn(at, "\n")] = '\0';
    snprintf(address, sizeof address, "%s", at);
  }
  CHECK(strcmp(line, "ready\n") == 0);
  fclose(said);
}

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static spolia_model a_model(const char* weights) {
  spolia_model model = {0};
  model.struct_size = sizeof model;
  model.name = "test/model";
  model.numerics = "f32";
  spolia_sha256(weights, strlen(weights), &model.weights);
  return model;
}

static spolia_client* open_at(const char* where, uint32_t call_timeout_ms) {
  const spolia_model model = a_model("weights");
  spolia_options options = {0};
  spolia_client* client = NULL;
  options.struct_size = sizeof options;
  options.address = where;
  options.model = &model;
  options.connect_timeout_ms = 1000;
  options.call_timeout_ms = call_timeout_ms;
  options.codec_threads = 2;
  CHECK_CODE(SPOLIA_OK, spolia_open(&options, &client, &error));
  return client;
}

/* [layer][plane][head][token][channel] of float, whole. */
static const size_t kPacked = (size_t)LAYERS * 2 * HEADS * TOKENS * ROW;
static spolia_kv packed(float* base) {
  spolia_kv kv = {0};
  kv.struct_size = sizeof kv;
  kv.element = SPOLIA_F32;
  kv.base = base;
  kv.size = kPacked;
  kv.token_stride = ROW;
  kv.head_stride = TOKENS * ROW;
  kv.plane_stride = HEADS * kv.head_stride;
  kv.layer_stride = 2 * kv.plane_stride;
  return kv;
}
static size_t packed_at(int layer, int plane, int head, int token) {
  return ((((size_t)layer * 2 + (size_t)plane) * HEADS + (size_t)head) * TOKENS + (size_t)token) *
         DIM;
}

static float* values(uint32_t seed) {
  float* out = malloc(kPacked);
  uint32_t state = seed * 2654435761u + 1;
  for (size_t i = 0; i < kPacked / 4; ++i) {
    state = state * 1664525u + 1013904223u;
    out[i] = (float)(int32_t)state * 1e-9f;
  }
  return out;
}

typedef struct {
  uint32_t tokens[TOKENS];
  spolia_chunk chunk;
} text;
static void make_text(text* out, uint32_t seed) {
  memset(out, 0, sizeof *out);
  for (uint32_t i = 0; i < TOKENS; ++i) out->tokens[i] = seed * 100 + i;
  out->chunk.struct_size = sizeof out->chunk;
  out->chunk.tokens = out->tokens;
  out->chunk.token_count = TOKENS;
}

static spolia_store_request storing(const spolia_chunk* chunk, const spolia_kv* kv) {
  spolia_store_request request = {0};
  request.struct_size = sizeof request;
  request.chunk = chunk;
  request.layers = shape;
  request.layer_count = LAYERS;
  request.kv = kv;
  return request;
}
static spolia_fetch_request fetching(const spolia_chunk* chunk, const spolia_kv* kv) {
  spolia_fetch_request request = {0};
  request.struct_size = sizeof request;
  request.chunk = chunk;
  request.layers = shape;
  request.layer_count = LAYERS;
  request.kv = kv;
  return request;
}

static spolia_id id_of(const spolia_chunk* chunk) {
  const spolia_model model = a_model("weights");
  spolia_id fingerprint, id;
  CHECK_CODE(SPOLIA_OK, spolia_fingerprint(&model, &fingerprint, &error));
  CHECK_CODE(SPOLIA_OK, spolia_chunk_id(&fingerprint, chunk, &id, &error));
  return id;
}

static void store_seed(spolia_client* client, uint32_t seed) {
  text chunk;
  float* kv_values = values(seed);
  const spolia_kv kv = packed(kv_values);
  spolia_store_request request;
  make_text(&chunk, seed);
  request = storing(&chunk.chunk, &kv);
  CHECK_CODE(SPOLIA_OK, spolia_store(client, &request, NULL, &error));
  free(kv_values);
}

static void test_bits_come_back(spolia_client* client) {
  text chunk;
  float* original = values(1);
  float* back = calloc(1, kPacked);
  const spolia_kv from = packed(original), to = packed(back);
  spolia_store_request put;
  spolia_fetch_request get;
  spolia_result result;
  make_text(&chunk, 1);
  const spolia_id id = id_of(&chunk.chunk);
  get = fetching(&chunk.chunk, &to);
  CHECK_CODE(SPOLIA_NOT_FOUND, spolia_fetch(client, &get, &result, &error));
  CHECK(result.code == SPOLIA_NOT_FOUND && error.message[0] != '\0');
  put = storing(&chunk.chunk, &from);
  CHECK_CODE(SPOLIA_OK, spolia_store(client, &put, &result, &error));
  CHECK(result.outcome == SPOLIA_STORED && result.bytes > 0 && result.tokens == TOKENS);
  CHECK(memcmp(&result.id, &id, sizeof id) == 0);
  CHECK_CODE(SPOLIA_OK, spolia_store(client, &put, &result, &error));
  CHECK(result.outcome == SPOLIA_EXISTS);
  CHECK_CODE(SPOLIA_OK, spolia_fetch(client, &get, &result, &error));
  CHECK(memcmp(original, back, kPacked) == 0);
  CHECK(result.layers == LAYERS && result.tokens == TOKENS && result.bytes > 0);
  CHECK(result.preset == SPOLIA_LOSSLESS && result.k_form == SPOLIA_PRE_ROPE);
  free(original);
  free(back);
}

/* Layers 1 and 2, tokens 5 to 19, into [token][layer][head][k or v][channel]: only those values
 * are written. */
static void test_ranges_and_strides(spolia_client* client) {
  enum { L = 2, T = 15 };
  float* original = values(1);
  const size_t floats = (size_t)T * L * HEADS * 2 * DIM;
  float* back = malloc((floats + 2) * sizeof(float));
  spolia_kv to = {0};
  spolia_fetch_request get;
  spolia_result result;
  text chunk;
  for (size_t i = 0; i < floats + 2; ++i) back[i] = 7.5f;
  to.struct_size = sizeof to;
  to.base = back + 1;
  to.size = floats * sizeof(float);
  to.plane_stride = ROW;
  to.head_stride = 2 * ROW;
  to.layer_stride = HEADS * 2 * ROW;
  to.token_stride = L * HEADS * 2 * ROW;
  make_text(&chunk, 1);
  get = fetching(NULL, &to);
  get.id = id_of(&chunk.chunk);
  get.layer_begin = 1;
  get.token_begin = 5;
  get.token_end = 5 + T;
  CHECK_CODE(SPOLIA_OK, spolia_fetch(client, &get, &result, &error));
  CHECK(result.layers == L && result.tokens == T);
  for (int t = 0; t < T; ++t)
    for (int l = 0; l < L; ++l)
      for (int h = 0; h < HEADS; ++h)
        for (int p = 0; p < 2; ++p)
          CHECK(memcmp(back + 1 + (((t * L + l) * HEADS + h) * 2 + p) * DIM,
                       original + packed_at(l + 1, p, h, t + 5), ROW) == 0);
  CHECK(back[0] == 7.5f && back[floats + 1] == 7.5f);
  to.size -= 1;
  CHECK_CODE(SPOLIA_ERROR_INVALID_ARGUMENT, spolia_fetch(client, &get, &result, &error));
  to.size += 1;
  get.token_end = TOKENS + 1;
  CHECK_CODE(SPOLIA_ERROR_INVALID_ARGUMENT, spolia_fetch(client, &get, &result, &error));
  free(original);
  free(back);
}

static void test_forms_and_types(spolia_client* client) {
  text chunk;
  float* original = values(2);
  uint16_t* half = calloc(1, kPacked / 2);
  float* back = calloc(1, kPacked);
  spolia_kv from = packed(original), to = packed(back), narrow = packed((float*)(void*)half);
  spolia_store_request put;
  spolia_fetch_request get;
  spolia_result result;
  make_text(&chunk, 2);
  put = storing(&chunk.chunk, &from);
  put.preset = SPOLIA_HIGH;
  put.k_form = SPOLIA_ROTATED;
  put.first_position = 512;
  CHECK_CODE(SPOLIA_OK, spolia_store(client, &put, NULL, &error));
  get = fetching(&chunk.chunk, &to);
  CHECK_CODE(SPOLIA_NOT_FOUND, spolia_fetch(client, &get, &result, &error));
  get.k_form = SPOLIA_ROTATED;
  get.first_position = 256;
  CHECK_CODE(SPOLIA_NOT_FOUND, spolia_fetch(client, &get, &result, &error));
  CHECK(result.k_form == SPOLIA_ROTATED && result.first_position == 512);
  get.first_position = 512;
  CHECK_CODE(SPOLIA_OK, spolia_fetch(client, &get, &result, &error));
  for (size_t i = 0; i < kPacked / 4; ++i) {
    const float off = back[i] - original[i];
    CHECK(off < 0.13f && off > -0.13f); /* half a step: 0.09 of the spread of values in +-2.2 */
  }
  /* Lossy into bf16: allowed. Lossless f32 into bf16 cannot hold the values. */
  narrow.element = SPOLIA_BF16;
  narrow.size /= 2;
  narrow.token_stride /= 2;
  narrow.head_stride /= 2;
  narrow.plane_stride /= 2;
  narrow.layer_stride /= 2;
  get.kv = &narrow;
  CHECK_CODE(SPOLIA_OK, spolia_fetch(client, &get, &result, &error));
  make_text(&chunk, 1);
  get.k_form = SPOLIA_K_ANY;
  get.first_position = 0;
  CHECK_CODE(SPOLIA_ERROR_INVALID_ARGUMENT, spolia_fetch(client, &get, &result, &error));
  put.k_form = SPOLIA_PRE_ROPE;
  CHECK_CODE(SPOLIA_ERROR_INVALID_ARGUMENT, spolia_store(client, &put, &result, &error));
  put.first_position = 0;
  put.preset = SPOLIA_SMALL;
  CHECK_CODE(SPOLIA_OK, spolia_store(client, &put, &result, &error)); /* needs no profile */
  free(original);
  free(half);
  free(back);
}

static void test_directory_calls(spolia_client* client) {
  text chunk;
  spolia_id ids[3];
  spolia_entry entries[3];
  spolia_chunk_info info = {0};
  spolia_server_info about = {0};
  spolia_store_info figures = {0};
  spolia_layer layers[LAYERS + 1];
  uint32_t tokens[4] = {0}, prefix = 99;
  spolia_cursor cursor = {0};
  size_t count = 0, seen = 0;
  make_text(&chunk, 1);
  ids[0] = id_of(&chunk.chunk);
  memset(&ids[1], 9, sizeof ids[1]);
  make_text(&chunk, 2);
  ids[2] = id_of(&chunk.chunk);
  CHECK_CODE(SPOLIA_OK, spolia_will_fetch(client, ids, 3, &error));
  CHECK_CODE(SPOLIA_OK, spolia_lookup(client, ids, 3, entries, &prefix, &error));
  CHECK(prefix == 1 && entries[0].code == SPOLIA_OK && entries[1].code == SPOLIA_NOT_FOUND);
  CHECK(entries[2].code == SPOLIA_OK && entries[2].preset == SPOLIA_HIGH);
  CHECK(entries[2].tokens == TOKENS && entries[2].kind == SPOLIA_CHUNK);
  info.struct_size = sizeof info;
  CHECK_CODE(SPOLIA_OK, spolia_stat(client, &ids[2], &info, layers, LAYERS + 1, tokens, 4, &error));
  CHECK(info.layers == LAYERS && info.tokens == TOKENS && info.first_position == 512);
  CHECK(layers[2].kv_heads == HEADS && layers[2].head_dim == DIM && tokens[3] == 203);
  CHECK_CODE(SPOLIA_NOT_FOUND, spolia_stat(client, &ids[1], &info, NULL, 0, NULL, 0, &error));
  do {
    CHECK_CODE(SPOLIA_OK, spolia_list(client, SPOLIA_CHUNK, &cursor, entries, 1, &count, &error));
    seen += count;
  } while (cursor.size > 0);
  CHECK(seen == 2);
  about.struct_size = sizeof about;
  CHECK_CODE(SPOLIA_OK, spolia_ping(client, &about, &error));
  CHECK(about.epoch != 0 && about.version[0] != '\0');
  figures.struct_size = sizeof figures;
  CHECK_CODE(SPOLIA_OK, spolia_store_stats(client, &figures, &error));
  CHECK(figures.entries == 2 && figures.capacity_bytes > 0);
  CHECK(figures.io_backend[0] != '\0' && figures.read_only[0] == '\0');
  CHECK(figures.index_bytes > 0 && figures.evicted == 0 && figures.late_reads == 0);
  CHECK(figures.capacity_count > 0 && figures.capacity_count <= 16);
  for (uint32_t i = 0; i < figures.capacity_count; ++i) {
    CHECK(figures.capacity[i].hit_share >= 0 && figures.capacity[i].hit_share <= 1);
    CHECK(i == 0 || figures.capacity[i].capacity_bytes > figures.capacity[i - 1].capacity_bytes);
  }
  CHECK_CODE(SPOLIA_OK, spolia_remove(client, &ids[2], &error));
  CHECK_CODE(SPOLIA_NOT_FOUND, spolia_remove(client, &ids[2], &error));
}

static void test_models(spolia_client* client) {
  spolia_model model = a_model("weights");
  CHECK_CODE(SPOLIA_OK, spolia_register_model(client, &model, &error));
  model = a_model("other weights");
  CHECK_CODE(SPOLIA_ERROR_INVALID_ARGUMENT, spolia_register_model(client, &model, &error));
  CHECK(strstr(error.message, "weights") != NULL);
  model.name = "test/other";
  CHECK_CODE(SPOLIA_OK, spolia_register_model(client, &model, &error));
  model.name = NULL;
  CHECK_CODE(SPOLIA_ERROR_INVALID_ARGUMENT, spolia_register_model(client, &model, &error));
}

static void test_null_everywhere(spolia_client* client) {
  spolia_id id;
  spolia_entry entry;
  spolia_cursor cursor = {0};
  spolia_result result;
  spolia_queue* queue = NULL;
  size_t count;
  const int32_t bad = SPOLIA_ERROR_INVALID_ARGUMENT;
  memset(&id, 1, sizeof id);
  CHECK_CODE(bad, spolia_open(NULL, NULL, NULL));
  CHECK_CODE(bad, spolia_ping(NULL, NULL, NULL));
  CHECK_CODE(bad, spolia_register_model(client, NULL, &error));
  CHECK_CODE(bad, spolia_sha256(NULL, 1, &id));
  CHECK_CODE(bad, spolia_sha256(NULL, 0, NULL));
  CHECK_CODE(bad, spolia_fingerprint(NULL, &id, NULL));
  CHECK_CODE(bad, spolia_chunk_id(NULL, NULL, NULL, NULL));
  CHECK_CODE(bad, spolia_chunk_id(&id, NULL, &id, &error));
  CHECK_CODE(bad, spolia_lookup(client, NULL, 1, &entry, NULL, &error));
  CHECK_CODE(bad, spolia_lookup(client, &id, SIZE_MAX, &entry, NULL, &error));
  CHECK_CODE(bad, spolia_will_fetch(client, NULL, 1, &error));
  CHECK_CODE(bad, spolia_will_fetch(client, &id, 4097, &error));
  CHECK_CODE(bad, spolia_store(client, NULL, NULL, &error));
  CHECK_CODE(bad, spolia_fetch(client, NULL, &result, NULL));
  CHECK_CODE(bad, spolia_stat(client, &id, NULL, NULL, 0, NULL, 0, &error));
  CHECK_CODE(bad, spolia_remove(client, NULL, &error));
  CHECK_CODE(bad, spolia_list(client, SPOLIA_CHUNK, NULL, &entry, 1, &count, &error));
  CHECK_CODE(bad, spolia_list(client, 77, &cursor, &entry, 1, &count, &error));
  CHECK_CODE(bad, spolia_list(client, SPOLIA_CHUNK, &cursor, &entry, 0, &count, &error));
  cursor.size = 1000000;
  CHECK_CODE(bad, spolia_list(client, SPOLIA_CHUNK, &cursor, &entry, 1, &count, &error));
  CHECK_CODE(bad, spolia_store_stats(client, NULL, &error));
  CHECK_CODE(bad, spolia_queue_open(NULL, &error));
  CHECK_CODE(SPOLIA_OK, spolia_queue_open(&queue, &error));
  CHECK_CODE(bad, spolia_submit_fetch(client, NULL, queue, 0, NULL, &error));
  CHECK_CODE(bad, spolia_submit_store(client, NULL, queue, 0, NULL, &error));
  CHECK_CODE(bad, spolia_submit_lookup(client, &id, 1, NULL, queue, 0, NULL, &error));
  CHECK_CODE(bad, spolia_queue_take(queue, NULL, 1, 0, &count, &error));
  CHECK_CODE(SPOLIA_OK, spolia_queue_take(queue, &result, 1, 0, &count, &error));
  CHECK(count == 0 && spolia_queue_fd(NULL) == -1);
  CHECK_CODE(SPOLIA_NOT_FOUND, spolia_cancel(client, 123456, &error));
  spolia_queue_close(queue);
  spolia_queue_close(NULL);
  spolia_close(NULL);
  CHECK(strcmp(spolia_code_name(SPOLIA_NOT_FOUND), "not_found") == 0);
  CHECK(strcmp(spolia_code_name(-5), "unknown") == 0);
  CHECK(spolia_abi_version() == SPOLIA_ABI_VERSION && spolia_version()[0] != '\0');
}

static void test_struct_sizes(spolia_client* client) {
  struct {
    spolia_model known;
    char later[16];
  } longer;
  spolia_options options = {0};
  spolia_client* none = (spolia_client*)&options;
  spolia_error tiny = {0, 55, "kept"};
  spolia_id id;
  memset(&longer, 0, sizeof longer);
  longer.known = a_model("weights");
  for (uint32_t size = 0; size < sizeof longer.known; ++size) {
    longer.known.struct_size = size;
    CHECK_CODE(SPOLIA_ERROR_INVALID_ARGUMENT, spolia_fingerprint(&longer.known, &id, &error));
  }
  longer.known.struct_size = sizeof longer;
  CHECK_CODE(SPOLIA_OK, spolia_fingerprint(&longer.known, &id, &error));
  longer.later[3] = 1;
  CHECK_CODE(SPOLIA_ERROR_UNSUPPORTED, spolia_fingerprint(&longer.known, &id, &error));
  longer.known.struct_size = UINT32_MAX;
  CHECK_CODE(SPOLIA_ERROR_INVALID_ARGUMENT, spolia_fingerprint(&longer.known, &id, &error));
  CHECK_CODE(SPOLIA_ERROR_INVALID_ARGUMENT, spolia_open(&options, &none, &tiny));
  CHECK(none == NULL && tiny.code == 55 && strcmp(tiny.message, "kept") == 0);
  tiny.struct_size = 8 + 4; /* room for three characters */
  CHECK_CODE(SPOLIA_ERROR_INVALID_ARGUMENT, spolia_remove(client, NULL, &tiny));
  CHECK(tiny.code == SPOLIA_ERROR_INVALID_ARGUMENT && strlen(tiny.message) == 3);
  options.struct_size = sizeof options;
  options.address = "http://wrong";
  CHECK_CODE(SPOLIA_ERROR_INVALID_ARGUMENT, spolia_open(&options, &none, &error));
  CHECK(strstr(error.message, "spolia://HOST") != NULL);
}

/* Structs that are written to have grown: nothing is written behind what a caller of before has. */
static void test_grown_answers(spolia_client* client) {
  spolia_chunk_info info;
  text chunk;
  spolia_id id;
  spolia_store_info figures;
  memset(&figures, 0x55, sizeof figures);
  figures.struct_size = offsetof(spolia_store_info, differing_puts);
  CHECK_CODE(SPOLIA_OK, spolia_store_stats(client, &figures, &error));
  CHECK(figures.struct_size == offsetof(spolia_store_info, differing_puts));
  CHECK(figures.capacity_bytes > 0 && figures.capacity_bytes != 0x5555555555555555u);
  for (size_t i = figures.struct_size; i < sizeof figures; ++i) {
    CHECK(((const unsigned char*)&figures)[i] == 0x55);
  }
  figures.struct_size -= 1;
  CHECK_CODE(SPOLIA_ERROR_INVALID_ARGUMENT, spolia_store_stats(client, &figures, &error));
  make_text(&chunk, 1);
  id = id_of(&chunk.chunk);
  memset(&info, 0x55, sizeof info);
  info.struct_size = offsetof(spolia_chunk_info, derived_layers);
  CHECK_CODE(SPOLIA_OK, spolia_stat(client, &id, &info, NULL, 0, NULL, 0, &error));
  CHECK(info.tokens == TOKENS && info.derived_layers == 0x55555555 && info.reserved == 0x55555555);
  info.struct_size = sizeof info;
  CHECK_CODE(SPOLIA_OK, spolia_stat(client, &id, &info, NULL, 0, NULL, 0, &error));
  CHECK(info.derived_layers == 0);
}

/* Structs of requests have grown: callers of before are served, and what they lack is not read. */
static void test_grown_structs(spolia_client* client) {
  text chunk;
  float* some = values(99);
  const spolia_kv kv = packed(some);
  spolia_store_request put;
  spolia_fetch_request get;
  make_text(&chunk, 99);
  put = storing(&chunk.chunk, &kv);
  put.put = SPOLIA_REPLACE;
  put.ttl_seconds = 3600;
  CHECK_CODE(SPOLIA_OK, spolia_store(client, &put, NULL, &error));
  put.ttl_seconds = UINT64_MAX;
  put.struct_size = offsetof(spolia_store_request, ttl_seconds);
  CHECK_CODE(SPOLIA_OK, spolia_store(client, &put, NULL, &error));
  put.struct_size -= 1;
  CHECK_CODE(SPOLIA_ERROR_INVALID_ARGUMENT, spolia_store(client, &put, NULL, &error));
  get = fetching(&chunk.chunk, &kv);
  get.computes_derived = 1;
  CHECK_CODE(SPOLIA_OK, spolia_fetch(client, &get, NULL, &error));
  get.computes_derived = 2;
  CHECK_CODE(SPOLIA_ERROR_INVALID_ARGUMENT, spolia_fetch(client, &get, NULL, &error));
  get.struct_size = offsetof(spolia_fetch_request, computes_derived);
  CHECK_CODE(SPOLIA_OK, spolia_fetch(client, &get, NULL, &error));
  get.struct_size -= 1;
  CHECK_CODE(SPOLIA_ERROR_INVALID_ARGUMENT, spolia_fetch(client, &get, NULL, &error));
  free(some);
}

/* What callers of before have of a result: they are told nothing behind its end or in another
 * place. */
static void test_result_of_before(spolia_client* client) {
  struct {
    int32_t code;
    uint32_t outcome;
    uint64_t cookie;
    spolia_id id;
    uint64_t bytes;
    uint32_t preset, levels, k_form, first_position, layers, tokens, tier, prefix;
    char message[256];
  } before;
  spolia_result now;
  spolia_fetch_request get;
  float* back = calloc(1, kPacked);
  const spolia_kv kv = packed(back);
  text chunk;
  CHECK(sizeof before == sizeof now);
  make_text(&chunk, 99);
  get = fetching(&chunk.chunk, &kv);
  memset(&now, 0x55, sizeof now);
  CHECK_CODE(SPOLIA_OK, spolia_fetch(client, &get, &now, &error));
  memcpy(&before, &now, sizeof before);
  CHECK(before.tokens == TOKENS && before.tier == now.tier && now.derived_layers == 0);
  for (size_t i = 0; i < sizeof before.message; ++i) CHECK(before.message[i] == 0);
  make_text(&chunk, 98);
  CHECK_CODE(SPOLIA_NOT_FOUND, spolia_fetch(client, &get, &now, &error));
  memcpy(&before, &now, sizeof before);
  CHECK(strcmp(before.message, error.message) == 0 && strlen(before.message) > 0);
  free(back);
}

static void test_hostile_memory(spolia_client* client) {
  text chunk;
  float* some = values(3);
  spolia_kv good = packed(some), kv;
  spolia_store_request put;
  const int32_t bad = SPOLIA_ERROR_INVALID_ARGUMENT;
  make_text(&chunk, 3);
  put = storing(&chunk.chunk, &kv);
  kv = good, kv.base = NULL;
  CHECK_CODE(bad, spolia_store(client, &put, NULL, &error));
  kv = good, kv.base = (char*)some + 1;
  CHECK_CODE(bad, spolia_store(client, &put, NULL, &error));
  kv = good, kv.element = 3;
  CHECK_CODE(bad, spolia_store(client, &put, NULL, &error));
  kv = good, kv.size -= 1;
  CHECK_CODE(bad, spolia_store(client, &put, NULL, &error));
  kv = good, kv.token_stride = -ROW;
  CHECK_CODE(bad, spolia_store(client, &put, NULL, &error));
  kv = good, kv.head_stride += 2;
  CHECK_CODE(bad, spolia_store(client, &put, NULL, &error));
  kv = good, kv.layer_stride = INT64_MAX - 3, kv.size = UINT64_MAX;
  CHECK_CODE(bad, spolia_store(client, &put, NULL, &error));
  kv = good;
  put.layer_count = UINT32_MAX;
  CHECK_CODE(bad, spolia_store(client, &put, NULL, &error));
  put.layer_count = LAYERS;
  put.layers = NULL;
  CHECK_CODE(bad, spolia_store(client, &put, NULL, &error));
  put.layers = shape;
  chunk.chunk.token_count = UINT32_MAX;
  CHECK_CODE(bad, spolia_store(client, &put, NULL, &error));
  chunk.chunk.token_count = 0;
  CHECK_CODE(bad, spolia_store(client, &put, NULL, &error));
  chunk.chunk.token_count = TOKENS;
  chunk.chunk.compile = 9;
  CHECK_CODE(bad, spolia_store(client, &put, NULL, &error));
  chunk.chunk.compile = SPOLIA_BOS;
  put.put = 9;
  CHECK_CODE(bad, spolia_store(client, &put, NULL, &error));
  free(some);
}

static void test_other_shape_is_refused(spolia_client* client) {
  spolia_layer other[LAYERS] = {{HEADS, DIM}, {HEADS, DIM}, {HEADS, 2 * DIM}};
  text chunk;
  float* back = calloc(1, 2 * kPacked);
  spolia_kv to = packed(back);
  spolia_fetch_request get;
  make_text(&chunk, 1);
  to.size = 2 * kPacked;
  get = fetching(&chunk.chunk, &to);
  get.layers = other;
  CHECK_CODE(SPOLIA_ERROR_INVALID_ARGUMENT, spolia_fetch(client, &get, NULL, &error));
  get.layers = shape;
  get.layer_count = LAYERS - 1;
  CHECK_CODE(SPOLIA_ERROR_INVALID_ARGUMENT, spolia_fetch(client, &get, NULL, &error));
  get.layer_count = LAYERS;
  get.layer_begin = 2;
  get.layer_end = 2;
  CHECK_CODE(SPOLIA_ERROR_INVALID_ARGUMENT, spolia_fetch(client, &get, NULL, &error));
  for (size_t i = 0; i < 2 * kPacked / 4; ++i) CHECK(back[i] == 0);
  free(back);
}

/* Waits on the eventfd, then takes one. */
static spolia_result next_of(spolia_queue* queue) {
  struct pollfd ready = {0};
  spolia_result result;
  size_t count = 0;
  ready.fd = spolia_queue_fd(queue);
  ready.events = POLLIN;
  CHECK(poll(&ready, 1, 20000) == 1);
  CHECK_CODE(SPOLIA_OK, spolia_queue_take(queue, &result, 1, 0, &count, &error));
  CHECK(count == 1);
  return result;
}

static void expect_silence(spolia_queue* queue) {
  struct pollfd ready = {0};
  ready.fd = spolia_queue_fd(queue);
  ready.events = POLLIN;
  CHECK(poll(&ready, 1, 0) == 0);
}

enum { MANY = 24 };

static void test_many_at_once(spolia_client* client) {
  static text chunks[MANY];
  float *original[MANY], *back[MANY];
  spolia_queue* queue = NULL;
  int answers[2 * MANY + 1] = {0};
  spolia_id ids[2];
  spolia_entry entries[2];
  CHECK_CODE(SPOLIA_OK, spolia_queue_open(&queue, &error));
  for (uint32_t i = 0; i < MANY; ++i) {
    spolia_kv kv;
    spolia_store_request put;
    make_text(&chunks[i], 100 + i);
    original[i] = values(100 + i);
    back[i] = calloc(1, kPacked);
    kv = packed(original[i]);
    put = storing(&chunks[i].chunk, &kv);
    CHECK_CODE(SPOLIA_OK, spolia_submit_store(client, &put, queue, i, NULL, &error));
  }
  for (int i = 0; i < MANY; ++i) {
    const spolia_result result = next_of(queue);
    CHECK(result.code == SPOLIA_OK && result.outcome == SPOLIA_STORED);
    CHECK(answers[result.cookie]++ == 0);
  }
  for (uint32_t i = 0; i < MANY; ++i) {
    const spolia_kv kv = packed(back[i]);
    const spolia_fetch_request get = fetching(&chunks[i].chunk, &kv);
    CHECK_CODE(SPOLIA_OK, spolia_submit_fetch(client, &get, queue, MANY + i, NULL, &error));
  }
  ids[0] = id_of(&chunks[0].chunk);
  memset(&ids[1], 3, sizeof ids[1]);
  CHECK_CODE(SPOLIA_OK,
             spolia_submit_lookup(client, ids, 2, entries, queue, 2 * MANY, NULL, &error));
  for (int i = 0; i < MANY + 1; ++i) {
    const spolia_result result = next_of(queue);
    CHECK(result.code == SPOLIA_OK && answers[result.cookie]++ == 0);
    if (result.cookie == 2 * MANY) {
      CHECK(result.prefix == 1 && entries[1].code == SPOLIA_NOT_FOUND);
      continue;
    }
    CHECK(memcmp(original[result.cookie - MANY], back[result.cookie - MANY], kPacked) == 0);
  }
  expect_silence(queue);
  spolia_queue_close(queue);
  for (int i = 0; i < MANY; ++i) free(original[i]), free(back[i]);
}

/* A server that stands still: cancelling, closing queue and handle, deadlines. */
static void test_cancel_and_close(void) {
  spolia_client* client = open_at(address, 20000);
  spolia_queue *queue = NULL, *other = NULL;
  text chunk;
  float* back = calloc(1, kPacked);
  const spolia_kv kv = packed(back);
  spolia_fetch_request get;
  spolia_result result;
  uint64_t ticket = 0, second = 0;
  double begin;
  make_text(&chunk, 1);
  get = fetching(&chunk.chunk, &kv);
  CHECK_CODE(SPOLIA_OK, spolia_queue_open(&queue, &error));
  CHECK_CODE(SPOLIA_OK, spolia_queue_open(&other, &error));
  CHECK_CODE(SPOLIA_OK, spolia_ping(client, NULL, &error));
  begin = seconds();
  CHECK(kill(server, SIGSTOP) == 0);
  CHECK_CODE(SPOLIA_OK, spolia_submit_fetch(client, &get, queue, 5, &ticket, &error));
  CHECK(ticket != 0);
  CHECK_CODE(SPOLIA_OK, spolia_cancel(client, ticket, &error));
  result = next_of(queue);
  CHECK(result.code == SPOLIA_ERROR_CANCELLED && result.cookie == 5);
  CHECK_CODE(SPOLIA_NOT_FOUND, spolia_cancel(client, ticket, &error));
  CHECK_CODE(SPOLIA_OK, spolia_submit_fetch(client, &get, other, 6, &second, &error));
  CHECK(second != ticket);
  spolia_queue_close(other);
  CHECK_CODE(SPOLIA_NOT_FOUND, spolia_cancel(client, second, &error));
  CHECK_CODE(SPOLIA_OK, spolia_submit_fetch(client, &get, queue, 7, NULL, &error));
  spolia_close(client);
  result = next_of(queue);
  CHECK(result.code == SPOLIA_ERROR_CANCELLED && result.cookie == 7);
  expect_silence(queue);
  CHECK(seconds() - begin < 15);
  CHECK(kill(server, SIGCONT) == 0);
  for (size_t i = 0; i < kPacked / 4; ++i) CHECK(back[i] == 0);
  spolia_queue_close(queue);
  free(back);
}

static void test_hanging_server(void) {
  spolia_client* client = open_at(address, 300);
  text chunk;
  float* back = calloc(1, kPacked);
  const spolia_kv kv = packed(back);
  spolia_fetch_request get;
  double begin;
  make_text(&chunk, 1);
  get = fetching(&chunk.chunk, &kv);
  CHECK_CODE(SPOLIA_OK, spolia_fetch(client, &get, NULL, &error));
  CHECK(kill(server, SIGSTOP) == 0);
  begin = seconds();
  CHECK_CODE(SPOLIA_ERROR_DEADLINE_EXCEEDED, spolia_fetch(client, &get, NULL, &error));
  CHECK(seconds() - begin >= 0.25 && seconds() - begin < 15);
  CHECK(kill(server, SIGCONT) == 0);
  spolia_close(client);
  free(back);
}

/* Fetches under way when the server dies: each one is answered once, and a new server is found. */
static void test_server_killed(void) {
  spolia_client* client = open_at(address, 10000);
  spolia_queue* queue = NULL;
  static text chunks[MANY];
  float* back[MANY];
  int answers[MANY] = {0};
  CHECK_CODE(SPOLIA_OK, spolia_queue_open(&queue, &error));
  CHECK_CODE(SPOLIA_OK, spolia_ping(client, NULL, &error));
  CHECK(kill(server, SIGSTOP) == 0);
  for (uint32_t i = 0; i < MANY; ++i) {
    spolia_kv kv;
    spolia_fetch_request get;
    back[i] = calloc(1, kPacked);
    kv = packed(back[i]);
    make_text(&chunks[i], 100 + i);
    get = fetching(&chunks[i].chunk, &kv);
    CHECK_CODE(SPOLIA_OK, spolia_submit_fetch(client, &get, queue, i, NULL, &error));
  }
  kill(server, SIGKILL);
  waitpid(server, NULL, 0);
  server = 0;
  for (int i = 0; i < MANY; ++i) {
    const spolia_result result = next_of(queue);
    CHECK(result.code == SPOLIA_ERROR_UNAVAILABLE && answers[result.cookie]++ == 0);
    CHECK(result.message[0] != '\0');
  }
  expect_silence(queue);
  CHECK_CODE(SPOLIA_ERROR_UNAVAILABLE, spolia_ping(client, NULL, &error));
  spolia_close(client);
  spolia_queue_close(queue);
  server_start();
  client = open_at(address, 10000);
  CHECK_CODE(SPOLIA_OK, spolia_ping(client, NULL, &error));
  spolia_close(client);
  for (int i = 0; i < MANY; ++i) free(back[i]);
}

typedef struct {
  spolia_client* client;
  uint32_t number;
  int failed;
} worker;

static void* work(void* argument) {
  worker* self = argument;
  float* back = malloc(kPacked);
  for (uint32_t round = 0; round < 6 && !self->failed; ++round) {
    const uint32_t seed = 1000 + self->number * 10 + round;
    spolia_error mine = {sizeof mine, 0, ""};
    float* original = values(seed);
    const spolia_kv from = packed(original), to = packed(back);
    text chunk;
    spolia_store_request put;
    spolia_fetch_request get;
    make_text(&chunk, seed);
    put = storing(&chunk.chunk, &from);
    get = fetching(&chunk.chunk, &to);
    memset(back, 0, kPacked);
    self->failed = spolia_store(self->client, &put, NULL, &mine) != SPOLIA_OK ||
                   spolia_fetch(self->client, &get, NULL, &mine) != SPOLIA_OK ||
                   memcmp(original, back, kPacked) != 0;
    if (self->failed) fprintf(stderr, "thread %u: %s\n", self->number, mine.message);
    free(original);
  }
  free(back);
  return NULL;
}

static void test_threads(spolia_client* client) {
  enum { THREADS = 8 };
  pthread_t threads[THREADS];
  worker workers[THREADS];
  for (uint32_t i = 0; i < THREADS; ++i) {
    workers[i].client = client;
    workers[i].number = i;
    workers[i].failed = 0;
    CHECK(pthread_create(&threads[i], NULL, work, &workers[i]) == 0);
  }
  for (int i = 0; i < THREADS; ++i) pthread_join(threads[i], NULL);
  for (int i = 0; i < THREADS; ++i) CHECK(!workers[i].failed);
}

static void remove_directory(void) {
  char command[128];
  snprintf(command, sizeof command, "rm -rf '%s'", directory);
  if (system(command) != 0) fprintf(stderr, "%s stays\n", directory);
}

int main(int argc, char** argv) {
  spolia_client* client;
  if (argc != 2) return 2;
  program = argv[1];
  if (mkdtemp(directory) == NULL) return 2;
  server_start();
  client = open_at(address, 20000);
  test_bits_come_back(client);
  test_ranges_and_strides(client);
  test_forms_and_types(client);
  test_directory_calls(client);
  test_models(client);
  test_null_everywhere(client);
  test_struct_sizes(client);
  test_grown_answers(client);
  test_grown_structs(client);
  test_result_of_before(client);
  test_hostile_memory(client);
  test_other_shape_is_refused(client);
  test_many_at_once(client);
  test_threads(client);
  store_seed(client, 1);
  spolia_close(client);
  test_cancel_and_close();
  test_hanging_server();
  test_server_killed();
  server_stop(SIGTERM);
  remove_directory();
  puts("ok");
  return 0;
}
