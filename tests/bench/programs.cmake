# The Python of bench/fidelity that needs no PyTorch: generator and tokenizer.
foreach(name generator bpe)
  add_test(NAME bench.fidelity_${name}
           COMMAND ${Python3_EXECUTABLE} -B ${CMAKE_CURRENT_LIST_DIR}/fidelity/${name}_test.py)
  set_tests_properties(bench.fidelity_${name} PROPERTIES LABELS fast)
endforeach()
