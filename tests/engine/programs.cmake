# What golden/engine/tokenizer/compare_tokenizers.mjs asks for ids.
add_executable(tokenize_lines ${CMAKE_CURRENT_SOURCE_DIR}/engine/model/tokenize_lines.cc)
target_link_libraries(tokenize_lines PRIVATE spolia_engine_model nlohmann_json::nlohmann_json)
