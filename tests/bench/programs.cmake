# The Python of bench that needs neither PyTorch nor a build.
foreach(name fidelity/generator fidelity/bpe engine/throttled_relay engine/link_figures
        codec/micro_figures codec/decode_figures codec/bars)
  string(REPLACE "/" "_" test ${name})
  add_test(NAME bench.${test}
           COMMAND ${Python3_EXECUTABLE} -B ${CMAKE_CURRENT_LIST_DIR}/${name}_test.py)
  set_tests_properties(bench.${test} PROPERTIES LABELS fast)
endforeach()
