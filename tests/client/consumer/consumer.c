/* Stores and fetches one chunk: consumer ADDRESS. */
#include <spolia.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char** argv) {
  static float values[2 * 2 * 2 * 8 * 16], back[2 * 2 * 2 * 8 * 16];
  static const uint32_t tokens[8] = {3, 1, 4, 1, 5, 9, 2, 6};
  static const spolia_layer layers[2] = {{2, 16}, {2, 16}};
  spolia_error error = {sizeof error, 0, ""};
  spolia_model model = {0};
  spolia_options options = {0};
  spolia_chunk chunk = {0};
  spolia_kv kv = {0};
  spolia_store_request put = {0};
  spolia_fetch_request get = {0};
  spolia_client* client = NULL;
  if (argc != 2) return 2;
  for (int i = 0; i < (int)(sizeof values / sizeof values[0]); ++i) values[i] = (float)i / 7;
  model.struct_size = sizeof model;
  model.name = "consumer";
  model.numerics = "f32";
  spolia_sha256("weights", 7, &model.weights);
  options.struct_size = sizeof options;
  options.address = argv[1];
  options.model = &model;
  chunk.struct_size = sizeof chunk;
  chunk.tokens = tokens;
  chunk.token_count = 8;
  kv.struct_size = sizeof kv;
  kv.base = values;
  kv.size = sizeof values;
  kv.token_stride = 16 * sizeof(float);
  kv.head_stride = 8 * kv.token_stride;
  kv.plane_stride = 2 * kv.head_stride;
  kv.layer_stride = 2 * kv.plane_stride;
  put.struct_size = sizeof put;
  get.struct_size = sizeof get;
  put.chunk = get.chunk = &chunk;
  put.layers = get.layers = layers;
  put.layer_count = get.layer_count = 2;
  put.kv = get.kv = &kv;
  if (spolia_open(&options, &client, &error) == SPOLIA_OK &&
      spolia_store(client, &put, NULL, &error) == SPOLIA_OK) {
    kv.base = back;
    if (spolia_fetch(client, &get, NULL, &error) == SPOLIA_OK) {
      spolia_close(client);
      puts(memcmp(values, back, sizeof back) == 0 ? "same" : "different");
      return memcmp(values, back, sizeof back) != 0;
    }
  }
  fprintf(stderr, "consumer: %s\n", error.message);
  spolia_close(client);
  return 1;
}
