# Third-party libraries. Their headers come through imported targets, which CMake treats as SYSTEM.

# wengert_find(package target [find_package arguments...]): an imported target is visible only below the
# folder that found it; a program that adds us with add_subdirectory stands above, so it is made global.
macro(wengert_find package target)
  if(NOT TARGET ${target})
    find_package(${package} REQUIRED ${ARGN})
    get_target_property(wengert_imported ${target} IMPORTED)
    get_target_property(wengert_alias ${target} ALIASED_TARGET)
    if(wengert_imported AND NOT wengert_alias)
      set_target_properties(${target} PROPERTIES IMPORTED_GLOBAL TRUE)
    endif()
  endif()
endmacro()

wengert_find(Threads Threads::Threads)
wengert_find(Cblas Cblas::Cblas)
wengert_find(fmt fmt::fmt)
if(WENGERT_ONEDNN)
  wengert_find(OneDNN OneDNN::OneDNN)
endif()
wengert_find(ZLIB ZLIB::ZLIB)
wengert_find(nlohmann_json nlohmann_json::nlohmann_json)
wengert_find(xsimd xsimd)
wengert_find(xtensor xtensor)
wengert_find(xtensor-blas xtensor-blas)
if(TARGET xtl)
  get_target_property(wengert_imported xtl IMPORTED_GLOBAL)
  if(NOT wengert_imported)
    set_target_properties(xtl PROPERTIES IMPORTED_GLOBAL TRUE)
  endif()
endif()

# Headers that only the library's own files see.
add_library(wengert_private INTERFACE)
target_link_libraries(wengert_private INTERFACE xtensor xtensor-blas xsimd Cblas::Cblas fmt::fmt)
target_compile_definitions(wengert_private INTERFACE XTENSOR_USE_XSIMD HAVE_CBLAS=1)
