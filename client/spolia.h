/* The C interface of Spolia's client: attention state (KV) of chunks of tokens, stored on and
 * fetched from a spoliad. C99; link with libspolia.
 *
 * Calls. Every call that can fail gives an int32_t, one of enum spolia_code; SPOLIA_NOT_FOUND is a
 * miss. The message goes to the spolia_error that the caller passes, or nowhere with NULL. Nothing
 * is printed, no exception and no signal comes out of the library. A NULL that is not said to be
 * allowed gives SPOLIA_ERROR_INVALID_ARGUMENT, and so does a struct whose struct_size is smaller
 * than that of version 1; pointers must otherwise be what their types say.
 *
 * Time. A call ends within the handle's call_timeout_ms (waiting in line and connecting included),
 * plus the time to encode or decode: SPOLIA_ERROR_UNAVAILABLE when the server cannot be reached,
 * SPOLIA_ERROR_DEADLINE_EXCEEDED when it does not answer. A handle reconnects by itself.
 *
 * Ownership. Arguments are read during the call and may go after it; only the KV memory of
 * spolia_submit_* stays in use until its completion was taken. The library gives out two kinds of
 * things to free: spolia_client (spolia_close) and spolia_queue (spolia_queue_close).
 *
 * Threads. Every function may be called from any thread, many at a time on one handle; nothing may
 * run on a handle when it is closed. Handles do not survive fork(). SIGPIPE is ignored in the
 * process from the first spolia_open on; the library's threads take no other signals either.
 *
 * Versions. Structs start with struct_size = sizeof and grow at the end only: zero all of them
 * first (= {0}), 0 is the default of every later field. Structs without it keep their size and the
 * places of their fields in SPOLIA_ABI_VERSION 1. Numbers are never used anew. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define SPOLIA_ABI_VERSION 1
#define SPOLIA_API __attribute__((visibility("default")))

#ifdef __cplusplus
extern "C" {
#endif

enum spolia_code {
  SPOLIA_OK = 0,
  SPOLIA_ERROR_INVALID_ARGUMENT = 1, /* the message names the field */
  SPOLIA_NOT_FOUND = 2,              /* a miss, no failure */
  SPOLIA_ERROR_ALREADY_EXISTS = 3,
  SPOLIA_ERROR_CORRUPT = 4,     /* bytes failed a check; to be treated as a miss */
  SPOLIA_ERROR_UNSUPPORTED = 5, /* of a version or kind that this build or the server lacks */
  SPOLIA_ERROR_OUT_OF_SPACE = 6,
  SPOLIA_ERROR_IO = 7,
  SPOLIA_ERROR_UNAVAILABLE = 8, /* the server cannot be reached now */
  SPOLIA_ERROR_PERMISSION_DENIED = 9,
  SPOLIA_ERROR_DEADLINE_EXCEEDED = 10,
  SPOLIA_ERROR_RESOURCE_EXHAUSTED = 11, /* memory, descriptors, threads, or a server's limit */
  SPOLIA_ERROR_CANCELLED = 12,
  SPOLIA_ERROR_INTERNAL = 13 /* a defect of ours */
};
enum spolia_element { SPOLIA_F32 = 0, SPOLIA_F16 = 1, SPOLIA_BF16 = 2 };
/* How much is kept: every bit, or quantised, ever coarser. Storing makes BALANCED and SMALL without
 * a profile of the model; chunks that spolia-engine made smaller with one are fetched as well. */
enum spolia_preset { SPOLIA_LOSSLESS = 0, SPOLIA_HIGH = 1, SPOLIA_BALANCED = 2, SPOLIA_SMALL = 3 };
/* K before RoPE, usable at any position, or as rotated with positions from first_position on. */
enum spolia_k_form { SPOLIA_PRE_ROPE = 0, SPOLIA_ROTATED = 1, SPOLIA_K_ANY = 255 };
/* How an isolated chunk was computed: behind one BOS row or four, which are not stored; or as the
 * continuation of `parent`, or from position 0 with BOS among the tokens. */
enum spolia_compile { SPOLIA_BOS = 0, SPOLIA_LEGO0 = 1, SPOLIA_PREFIX = 2 };
enum spolia_put { SPOLIA_IF_ABSENT = 0, SPOLIA_IF_FINER = 1, SPOLIA_REPLACE = 2 };
enum spolia_outcome { SPOLIA_STORED = 0, SPOLIA_EXISTS = 1, SPOLIA_REPLACED = 2 };
enum spolia_kind {
  SPOLIA_CHUNK = 1,
  SPOLIA_EMBEDDING = 2,
  SPOLIA_PROFILE = 3,
  SPOLIA_MANIFEST = 4,
  SPOLIA_OPAQUE = 5
};
enum spolia_tier { SPOLIA_NO_TIER = 0, SPOLIA_MEMORY = 1, SPOLIA_DISK = 2, SPOLIA_CLUSTER = 3 };

typedef struct spolia_client spolia_client;
typedef struct spolia_queue spolia_queue;

/* A chunk id, a model fingerprint or another SHA-256. */
typedef struct spolia_id {
  uint8_t bytes[32];
} spolia_id;

typedef struct spolia_error {
  uint32_t struct_size;
  int32_t code;
  char message[504]; /* one line, cut off when longer, always ended by 0 */
} spolia_error;

/* What the fingerprint of a model is made of; parts that a model lacks are zero. */
typedef struct spolia_model {
  uint32_t struct_size;
  uint32_t reserved;
  const char* name; /* 1 to 128 characters out of A-Z a-z 0-9 . _ - / @ : */
  spolia_id weights, adapter, config, tokenizer, rope; /* SHA-256 of each */
  const char* numerics;                                /* of the weights: "f32", "f16", "int8" */
} spolia_model;

typedef struct spolia_options {
  uint32_t struct_size;
  uint32_t connect_timeout_ms; /* 0: 3,000 */
  uint32_t call_timeout_ms;    /* 0: 30,000 */
  uint32_t codec_threads;      /* that encode and decode for spolia_submit_*; 0: 1, at most 64 */
  const char* address;         /* spolia://HOST:PORT or spolia+unix:///PATH */
  const char* token;           /* NULL: none */
  const spolia_model* model;   /* whose chunks; NULL: none, then no chunks for most tenants */
  uint32_t fetch_budget_ms;    /* what is not read by then is DEADLINE_EXCEEDED; 0: none */
  uint32_t reserved;
} spolia_options;

/* What determines a chunk's KV, and so its id. Text: tokens; an image: rows of the encoder. */
typedef struct spolia_chunk {
  uint32_t struct_size;
  uint32_t compile;        /* enum spolia_compile */
  const uint32_t* tokens;  /* token ids; NULL for an image */
  uint32_t token_count;    /* 1 to 65,536; 0 for an image */
  uint32_t image_rows;     /* 1 to 65,536; 0 for text */
  const spolia_id* parent; /* SPOLIA_PREFIX: the chunk before; NULL: none */
  spolia_id image_bytes, image_preprocessing;
} spolia_chunk;

typedef struct spolia_layer {
  uint32_t kv_heads;
  uint32_t head_dim;
} spolia_layer;

/* Where KV values lie. Strides are bytes, not negative; the channels of a head are contiguous. Of
 * (layer, k or v, head, token) the first channel is at base + layer * layer_stride + plane *
 * plane_stride (0 for K, 1 for V) + head * head_stride + token * token_stride, layers and tokens
 * counted from the first that is stored or fetched. Base and strides are multiples of the element
 * size, and all values lie in [base, base + size): otherwise SPOLIA_ERROR_INVALID_ARGUMENT. */
typedef struct spolia_kv {
  uint32_t struct_size;
  uint32_t element; /* enum spolia_element */
  void* base;       /* only read by storing */
  uint64_t size;    /* bytes */
  int64_t layer_stride, plane_stride, head_stride, token_stride;
} spolia_kv;

typedef struct spolia_store_request {
  uint32_t struct_size;
  uint32_t preset;         /* enum spolia_preset; all but LOSSLESS refuse values not finite */
  uint32_t k_form;         /* enum spolia_k_form, not SPOLIA_K_ANY */
  uint32_t first_position; /* SPOLIA_ROTATED only, else 0 */
  uint32_t put;            /* enum spolia_put */
  uint32_t layer_count;
  const spolia_chunk* chunk;
  const spolia_layer* layers; /* [layer_count] */
  const spolia_kv* kv;        /* all layers and tokens */
  uint64_t ttl_seconds;       /* how long it lives, 0: the server's default */
} spolia_store_request;

typedef struct spolia_fetch_request {
  uint32_t struct_size;
  uint32_t k_form;         /* stored in another form (or position): SPOLIA_NOT_FOUND */
  uint32_t first_position; /* SPOLIA_ROTATED only, else 0 */
  uint32_t layer_count;
  spolia_id id;               /* used when chunk is NULL */
  const spolia_chunk* chunk;  /* its id is computed, its tokens are compared; or NULL */
  const spolia_layer* layers; /* [layer_count], the shape of all layers that the caller expects */
  const spolia_kv* kv;        /* written */
  uint32_t layer_begin, layer_end; /* the end is not included; 0: all that there are */
  uint32_t token_begin, token_end;
  uint32_t computes_derived, reserved; /* 1: derived layers are left to the caller (spolia_fetch) */
} spolia_fetch_request;

/* An entry, or why there is none. */
typedef struct spolia_entry {
  spolia_id id;
  int32_t code;   /* SPOLIA_OK, SPOLIA_NOT_FOUND, or why the index could not tell */
  uint32_t kind;  /* enum spolia_kind */
  uint64_t bytes; /* as stored */
  uint32_t tokens, preset, levels, reserved; /* chunks */
} spolia_entry;

/* How a call or a submitted request ended. Fields of other kinds of requests are 0. */
typedef struct spolia_result {
  int32_t code;
  uint32_t outcome; /* store: enum spolia_outcome */
  uint64_t cookie;  /* submitted requests: the caller's */
  spolia_id id;     /* of the chunk */
  uint64_t bytes;   /* store: as stored; fetch: of frames that came over the wire */
  uint32_t preset, levels, k_form, first_position; /* of the chunk that is there */
  uint32_t layers, tokens;                         /* fetch: how many were written */
  uint32_t tier;           /* fetch: enum spolia_tier, where the server had it */
  uint32_t prefix;         /* lookup */
  char message[252];       /* empty when code is SPOLIA_OK */
  uint32_t derived_layers; /* fetch: the first so many of the range are not stored */
} spolia_result;

typedef struct spolia_chunk_info {
  uint32_t struct_size;
  uint32_t tokens, layers, preset, levels, k_form, first_position;
  uint32_t element; /* that was stored */
  uint32_t compile;
  uint32_t has_parent;
  spolia_id fingerprint, parent;
  uint64_t bytes;                    /* the whole stream */
  uint32_t derived_layers, reserved; /* the first so many are not stored (spolia_fetch) */
} spolia_chunk_info;

typedef struct spolia_server_info {
  uint32_t struct_size;
  uint32_t reserved;
  uint64_t epoch; /* another one: the server was started again */
  char version[64];
} spolia_server_info;

/* What a store of such a capacity would have had of what was asked for lately: an estimate. */
typedef struct spolia_capacity_point {
  uint64_t capacity_bytes;
  double hit_share;   /* of the entries asked for, 0 to 1 */
  double saved_share; /* of the seconds that computing them takes */
} spolia_capacity_point;

/* The whole store's figures, counted since the server was started. Without the right "admin" all
 * is 0 but used_bytes, capacity_bytes, free_disk_bytes, memory_capacity_bytes and the texts. */
typedef struct spolia_store_info {
  uint32_t struct_size;
  uint32_t reserved;
  uint64_t entries, used_bytes, capacity_bytes, free_disk_bytes;
  uint64_t hits, misses, corrupt_blocks, bytes_read, bytes_written;
  uint64_t differing_puts;   /* of an id that was there, with other bytes */
  uint64_t late_reads;       /* given up at their deadline */
  uint64_t index_bytes;      /* files of the index */
  uint64_t evicted, expired; /* entries given up for others, and those whose time was over */
  uint64_t leased;           /* entries that leases hold now */
  uint64_t cleaned_segments; /* emptied to be written again */
  uint64_t moved_bytes;      /* written again for that */
  uint64_t scrubbed_entries; /* read in search of damage */
  uint64_t memory_capacity_bytes, memory_used_bytes; /* of the memory above the disk; 0: none */
  uint64_t memory_hits, memory_served_bytes;         /* of the hits, from memory alone */
  uint64_t memory_admitted_bytes, memory_ahead_bytes, memory_evicted_bytes;
  uint32_t capacity_count, reserved_too; /* how many of `capacity` are told */
  spolia_capacity_point capacity[16];    /* ascending */
  char io_backend[16];                   /* "io_uring", "pread" */
  char io_missing[256];                  /* what that does without, and why; empty: nothing */
  char read_only[256];                   /* why nothing is written now; empty: it is */
} spolia_store_info;

/* Zero at the start of a listing; size is 0 again behind the last page. */
typedef struct spolia_cursor {
  uint32_t size;
  uint8_t bytes[252];
} spolia_cursor;

SPOLIA_API uint32_t spolia_abi_version(void);          /* SPOLIA_ABI_VERSION of the library */
SPOLIA_API const char* spolia_version(void);           /* static */
SPOLIA_API const char* spolia_code_name(int32_t code); /* static; "unknown" for others */

/* Does not connect: a node may start before its cache. *out is NULL on failure. */
SPOLIA_API int32_t spolia_open(const spolia_options*, spolia_client** out, spolia_error*);
/* Cancels what was submitted: completions with SPOLIA_ERROR_CANCELLED wait in their queues when it
 * returns, and no KV memory is touched any more. NULL is allowed. */
SPOLIA_API void spolia_close(spolia_client*);
/* Connects when needed, so it also tells whether token and model are accepted. out may be NULL. */
SPOLIA_API int32_t spolia_ping(spolia_client*, spolia_server_info* out, spolia_error*);
/* Makes the name known to the server (spolia_open's model is, at the first call), which needs the
 * right "write". The same descriptor again is SPOLIA_OK; another one under the same name is
 * SPOLIA_ERROR_INVALID_ARGUMENT naming the fields that differ. */
SPOLIA_API int32_t spolia_register_model(spolia_client*, const spolia_model*, spolia_error*);

/* Computed here, without a server. */
SPOLIA_API int32_t spolia_sha256(const void* data, size_t size, spolia_id* out);
SPOLIA_API int32_t spolia_fingerprint(const spolia_model*, spolia_id* out, spolia_error*);
SPOLIA_API int32_t spolia_chunk_id(const spolia_id* fingerprint, const spolia_chunk*,
                                   spolia_id* out, spolia_error*);

/* One entry for each of `count` ids (at most 1,048,576), from the server's index alone; *prefix
 * (NULL is allowed) is how many of the first ids are all there. entries may be NULL. */
SPOLIA_API int32_t spolia_lookup(spolia_client*, const spolia_id* ids, size_t count,
                                 spolia_entry* entries, uint32_t* prefix, spolia_error*);
/* A hint that what is there of these ids (at most 4,096) will be fetched, in this order: the server
 * begins to read it into its memory. Returns at once; whether it went well shows nowhere. */
SPOLIA_API int32_t spolia_will_fetch(spolia_client*, const spolia_id* ids, size_t count,
                                     spolia_error*);
/* Encodes and uploads; SPOLIA_OK when it is durable (with the server's ack "durable"). `result`
 * may be NULL. */
SPOLIA_API int32_t spolia_store(spolia_client*, const spolia_store_request*, spolia_result* result,
                                spolia_error*);
/* Fetches the frames of the range, checks and decodes them into the caller's memory, converted to
 * its element type: a lossless chunk only into a type that holds its values exactly, others into
 * any. Unless it gives SPOLIA_OK the range holds anything; memory outside it stays. A range that
 * ends behind the chunk is SPOLIA_ERROR_INVALID_ARGUMENT. `result` may be NULL.
 * Some chunks are without their first layer: it is derived, its K and V follow from the token ids
 * and the model's weights alone. A range with such a layer is SPOLIA_NOT_FOUND, or, for a caller
 * that computes_derived, written but for that layer, whose memory stays. */
SPOLIA_API int32_t spolia_fetch(spolia_client*, const spolia_fetch_request*, spolia_result* result,
                                spolia_error*);
/* From the chunk's header. layers and tokens (NULL is allowed) get the first layer_room and
 * token_room of what info->layers and info->tokens count (tokens: none of an image). */
SPOLIA_API int32_t spolia_stat(spolia_client*, const spolia_id*, spolia_chunk_info* info,
                               spolia_layer* layers, size_t layer_room, uint32_t* tokens,
                               size_t token_room, spolia_error*);
/* Gone, durably, when it returns. */
SPOLIA_API int32_t spolia_remove(spolia_client*, const spolia_id*, spolia_error*);
/* The next page of entries of a kind: *count of them, at most `room` (1 to 1,000). */
SPOLIA_API int32_t spolia_list(spolia_client*, uint32_t kind, spolia_cursor*, spolia_entry* entries,
                               size_t room, size_t* count, spolia_error*);
SPOLIA_API int32_t spolia_store_stats(spolia_client*, spolia_store_info* out, spolia_error*);

/* Where submitted requests complete: of any number of handles, taken by any thread. */
SPOLIA_API int32_t spolia_queue_open(spolia_queue** out, spolia_error*);
/* Cancels what still completes into it and waits until its KV memory is not touched any more;
 * completions that were not taken are lost. Nobody else may use the queue. NULL is allowed. */
SPOLIA_API void spolia_queue_close(spolia_queue*);
/* An eventfd, readable while completions wait; the queue's, not to be read or closed. -1 for
 * NULL. */
SPOLIA_API int spolia_queue_fd(const spolia_queue*);
/* Takes up to `room` completions; waits for the first for timeout_ms (0: not at all, negative:
 * without end). SPOLIA_OK with *count 0 when none came. */
SPOLIA_API int32_t spolia_queue_take(spolia_queue*, spolia_result* results, size_t room,
                                     int32_t timeout_ms, size_t* count, spolia_error*);

/* As spolia_store and spolia_fetch, without waiting. On SPOLIA_OK exactly one completion follows;
 * otherwise none. *ticket (NULL is allowed) names the request, never 0, until it completes. The
 * KV memory belongs to the library until the completion was taken. Fetches submitted together
 * travel together: one a layer costs no more round trips than one a chunk. */
SPOLIA_API int32_t spolia_submit_store(spolia_client*, const spolia_store_request*, spolia_queue*,
                                       uint64_t cookie, uint64_t* ticket, spolia_error*);
SPOLIA_API int32_t spolia_submit_fetch(spolia_client*, const spolia_fetch_request*, spolia_queue*,
                                       uint64_t cookie, uint64_t* ticket, spolia_error*);
/* As spolia_lookup, of at most 4,096 ids; entries is memory of the request as KV is. */
SPOLIA_API int32_t spolia_submit_lookup(spolia_client*, const spolia_id* ids, size_t count,
                                        spolia_entry* entries, spolia_queue*, uint64_t cookie,
                                        uint64_t* ticket, spolia_error*);
/* Asks for a request's end: its one completion is SPOLIA_ERROR_CANCELLED, or what it was when that
 * came first. A cancelled store may have been done. SPOLIA_NOT_FOUND: it has completed. */
SPOLIA_API int32_t spolia_cancel(spolia_client*, uint64_t ticket, spolia_error*);

#ifdef __cplusplus
}
#endif
