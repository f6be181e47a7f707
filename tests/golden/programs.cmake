# The naive decoder, in another language, on the golden streams.
add_test(NAME golden.decoder COMMAND ${Python3_EXECUTABLE}
  ${CMAKE_CURRENT_SOURCE_DIR}/golden/codec/decode.py --check ${CMAKE_CURRENT_SOURCE_DIR}/golden/codec)
set_tests_properties(golden.decoder PROPERTIES LABELS fast)
