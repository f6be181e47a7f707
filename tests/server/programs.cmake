add_executable(kill_victim ${CMAKE_CURRENT_SOURCE_DIR}/server/store/kill_victim.cc)
target_link_libraries(kill_victim PRIVATE spolia_server_store)
add_dependencies(server_tests kill_victim)

add_library(call_log MODULE ${CMAKE_CURRENT_SOURCE_DIR}/server/store/io/call_log.c)
target_link_libraries(call_log PRIVATE ${CMAKE_DL_LIBS})
add_dependencies(server_tests call_log)
