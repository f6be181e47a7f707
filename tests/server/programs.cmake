add_executable(kill_victim ${CMAKE_CURRENT_SOURCE_DIR}/server/store/kill_victim.cc)
target_link_libraries(kill_victim PRIVATE spolia_server_store)
add_dependencies(server_tests kill_victim)
