# What golden/engine/tokenizer/compare_tokenizers.mjs asks for ids.
add_executable(tokenize_lines ${CMAKE_CURRENT_SOURCE_DIR}/engine/model/tokenize_lines.cc)
target_link_libraries(tokenize_lines PRIVATE spolia_engine_model nlohmann_json::nlohmann_json)
# What golden/engine/jinja/compare_templates.mjs asks for texts.
add_executable(render_lines ${CMAKE_CURRENT_SOURCE_DIR}/engine/jinja/render_lines.cc)
target_link_libraries(render_lines PRIVATE spolia_engine_jinja)
