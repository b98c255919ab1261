# Install rules, the CMake package and the pkg-config file.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# Headers live in a folder of their own, so that <autodiff/...> and <nn/...> are ours and nobody else's.
set(wengert_headers include/wengert)
set(wengert_package ${CMAKE_INSTALL_LIBDIR}/cmake/wengert)

install(DIRECTORY autodiff nn DESTINATION ${wengert_headers} FILES_MATCHING PATTERN "*.hpp")
install(TARGETS wengert_autodiff wengert_nn EXPORT wengertTargets)
# wengert::xtensor is defined for programs only where xtensor is found, so it stands in a file of its own.
install(TARGETS wengert_xtensor EXPORT wengertXtensorTargets)
install(EXPORT wengertTargets NAMESPACE wengert:: DESTINATION ${wengert_package})
install(EXPORT wengertXtensorTargets NAMESPACE wengert:: DESTINATION ${wengert_package})

configure_package_config_file(cmake/wengertConfig.cmake.in "${PROJECT_BINARY_DIR}/wengertConfig.cmake"
                              INSTALL_DESTINATION ${wengert_package})
write_basic_package_version_file("${PROJECT_BINARY_DIR}/wengertConfigVersion.cmake"
                                 COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/wengertConfig.cmake" "${PROJECT_BINARY_DIR}/wengertConfigVersion.cmake"
              cmake/FindCblas.cmake cmake/FindOneDNN.cmake DESTINATION ${wengert_package})

# A static library hands its own needs on to whoever links it.
if(BUILD_SHARED_LIBS)
  set(WENGERT_PC_REQUIRES "fmt")
  set(WENGERT_PC_LIBS "")
else()
  set(WENGERT_PC_REQUIRES "fmt, zlib")
  get_target_property(libraries Cblas::Cblas INTERFACE_LINK_LIBRARIES)
  if(WENGERT_ONEDNN)
    list(APPEND libraries "${OneDNN_LIBRARY}" ${OpenMP_CXX_FLAGS})
  endif()
  list(TRANSFORM libraries REPLACE "^.*/lib([^/]+)\\.(so|a|dylib)$" "-l\\1")
  list(JOIN libraries " " WENGERT_PC_LIBS)
endif()
file(RELATIVE_PATH WENGERT_PC_PREFIX "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
string(REGEX REPLACE "/$" "" WENGERT_PC_PREFIX "${WENGERT_PC_PREFIX}")
configure_file(cmake/wengert.pc.in "${PROJECT_BINARY_DIR}/wengert.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/wengert.pc" DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
