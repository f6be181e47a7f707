# The naive decoder, in another language, on the golden streams.
add_test(NAME golden.decoder COMMAND ${Python3_EXECUTABLE}
  ${CMAKE_CURRENT_SOURCE_DIR}/golden/codec/decode.py --check ${CMAKE_CURRENT_SOURCE_DIR}/golden/codec)
file(GLOB golden_stores LIST_DIRECTORIES true ${CMAKE_CURRENT_SOURCE_DIR}/golden/store/*)
list(FILTER golden_stores EXCLUDE REGEX "\\.py$|__pycache__$")
add_test(NAME golden.segments COMMAND ${Python3_EXECUTABLE}
  ${CMAKE_CURRENT_SOURCE_DIR}/golden/store/read_segments.py --check ${golden_stores})
set_tests_properties(golden.decoder golden.segments PROPERTIES LABELS fast)
