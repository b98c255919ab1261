# FindOneDNN: oneDNN with its OpenMP runtime (Debian: libdnnl-dev), as the imported target OneDNN::OneDNN.
include(FindPackageHandleStandardArgs)
find_package(OpenMP QUIET COMPONENTS CXX)
find_library(OneDNN_LIBRARY NAMES dnnl)
find_path(OneDNN_INCLUDE_DIR NAMES dnnl.h PATH_SUFFIXES oneapi/dnnl)
mark_as_advanced(OneDNN_LIBRARY OneDNN_INCLUDE_DIR)
find_package_handle_standard_args(OneDNN REQUIRED_VARS OneDNN_LIBRARY OneDNN_INCLUDE_DIR OpenMP_CXX_FOUND)
if(OneDNN_FOUND AND NOT TARGET OneDNN::OneDNN)
  add_library(OneDNN::OneDNN INTERFACE IMPORTED)
  set_target_properties(OneDNN::OneDNN PROPERTIES
    INTERFACE_INCLUDE_DIRECTORIES "${OneDNN_INCLUDE_DIR}"
    INTERFACE_LINK_LIBRARIES "${OneDNN_LIBRARY};OpenMP::OpenMP_CXX")
endif()
