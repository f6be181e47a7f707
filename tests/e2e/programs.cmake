# The unchanged client of OpenAI, installed by npm into the build directory.
if(TARGET spolia-engine)
  add_test(NAME e2e.openai_client
           COMMAND ${Python3_EXECUTABLE} -B ${CMAKE_CURRENT_LIST_DIR}/openai_client_test.py
                   $<TARGET_FILE:spolia-engine> ${PROJECT_BINARY_DIR}/tests/openai_client)
  set_tests_properties(e2e.openai_client PROPERTIES LABELS e2e TIMEOUT 600)
endif()
