# Fuzz targets, each LLVMFuzzerTestOneInput: with a small driver of our own, so that a fixed number of
# runs is a test under any compiler, or with libFuzzer:
#   cmake -B build/libfuzzer -G Ninja -DCMAKE_CXX_COMPILER=clang++ -DCMAKE_C_COMPILER=clang \
#     -DSPOLIA_LIBFUZZER=ON -DSPOLIA_SANITIZE=address,undefined
#   cmake --build build/libfuzzer --target fuzzers
#   build/libfuzzer/tests/fuzz_stream NEW_INPUTS tests/golden/codec
option(SPOLIA_LIBFUZZER "Link the fuzz targets with clang's libFuzzer; they are then no tests" OFF)
add_custom_target(fuzzers)
if(SPOLIA_LIBFUZZER)
  target_compile_options(spolia_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

function(spolia_fuzz name runs)
  set(here ${CMAKE_CURRENT_SOURCE_DIR}/fuzz)
  add_executable(fuzz_${name} ${here}/${name}_fuzz.cc)
  target_link_libraries(fuzz_${name} PRIVATE spolia_test_support)
  target_compile_options(fuzz_${name} PRIVATE -Wno-array-bounds -Wno-stringop-overflow)
  add_dependencies(fuzzers fuzz_${name})
  if(SPOLIA_LIBFUZZER)
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
    return()
  endif()
  target_sources(fuzz_${name} PRIVATE ${here}/fuzz_driver.cc)
  list(TRANSFORM ARGN PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/golden/)
  # The limit in seconds is what a sanitizer needs; without one the runs are done before.
  add_test(NAME fuzz.${name} COMMAND fuzz_${name} --runs ${runs} --seconds 8
           --artifacts ${CMAKE_CURRENT_BINARY_DIR} ${ARGN})
  set_tests_properties(fuzz.${name} PROPERTIES LABELS fuzz TIMEOUT 120)
endfunction()

spolia_fuzz(round_trip 6000 codec)
spolia_fuzz(stream 60000 codec)
spolia_fuzz(header 400000 codec)
spolia_fuzz(entropy 100000 codec)
spolia_fuzz(segment 15000 store)
spolia_fuzz(framing 150000 codec)
spolia_fuzz(tokenizer 20000 engine/tokenizer/made_up.model engine/tokenizer/character_tokenizer.json)
spolia_fuzz(safetensors 30000 engine/llama_linear/model.safetensors)
spolia_fuzz(gguf 20000 engine/gguf_seeds/byte_level.gguf engine/gguf_seeds/pieces.gguf
  engine/gguf_qwen2_q4_0/model.gguf)
file(GLOB families RELATIVE ${CMAKE_CURRENT_SOURCE_DIR}/golden
     ${CMAKE_CURRENT_SOURCE_DIR}/golden/engine/jinja/families/*.jinja)
spolia_fuzz(template 60000 ${families})
# Their inputs say what to do with samples that they make.
spolia_fuzz(lossy 20000)
spolia_fuzz(profile 3000)
