# The C interface, compiled as C; what libspolia.so exports; its Python module.
add_executable(spolia_c_test ${CMAKE_CURRENT_LIST_DIR}/spolia_c_test.c)
set_target_properties(spolia_c_test PROPERTIES C_STANDARD 99 C_EXTENSIONS OFF)
target_compile_options(spolia_c_test PRIVATE -Wall -Wextra -pedantic -Werror)
target_include_directories(spolia_c_test PRIVATE ${PROJECT_SOURCE_DIR})
target_link_libraries(spolia_c_test PRIVATE spolia_shared Threads::Threads)
if(SPOLIA_SANITIZE)
  target_compile_options(spolia_c_test PRIVATE -fsanitize=${SPOLIA_SANITIZE})
  target_link_options(spolia_c_test PRIVATE -fsanitize=${SPOLIA_SANITIZE})
endif()
add_test(NAME e2e.spolia_c COMMAND spolia_c_test $<TARGET_FILE:spoliad>)
set_tests_properties(e2e.spolia_c PROPERTIES LABELS e2e TIMEOUT 120)

# The Python module needs an interpreter with NumPy; sanitizers would have to be loaded before it.
if(NOT SPOLIA_SANITIZE)
  foreach(candidate /usr/bin/python3 ${Python3_EXECUTABLE})
    execute_process(COMMAND ${candidate} -c "import numpy" RESULT_VARIABLE lacks_numpy
                    OUTPUT_QUIET ERROR_QUIET)
    if(lacks_numpy EQUAL 0)
      set(numpy_python ${candidate})
      break()
    endif()
  endforeach()
  if(numpy_python)
    add_test(NAME e2e.spolia_python
             COMMAND ${numpy_python} -B ${CMAKE_CURRENT_LIST_DIR}/spolia_module_test.py
                     $<TARGET_FILE:spoliad> $<TARGET_FILE:spolia>)
    add_test(NAME e2e.install
             COMMAND ${numpy_python} -B ${CMAKE_CURRENT_LIST_DIR}/install_test.py ${CMAKE_COMMAND}
                     ${PROJECT_BINARY_DIR} ${CMAKE_CURRENT_LIST_DIR}/consumer)
    set_tests_properties(e2e.spolia_python PROPERTIES
      ENVIRONMENT SPOLIA_LIBRARY=$<TARGET_FILE:spolia_shared>)
    set_tests_properties(e2e.spolia_python e2e.install PROPERTIES LABELS e2e TIMEOUT 180)
  else()
    message(WARNING "No python3 with NumPy: the tests of the Python module are left out")
  endif()
endif()
