# SPDX-License-Identifier: Apache-2.0
# What `cmake --install` puts where: the library, its headers, and the files that find_package and pkg-config read.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

install(TARGETS ponder EXPORT ponderTargets
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
    RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/ponder DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

set(config_dir ${CMAKE_INSTALL_LIBDIR}/cmake/ponder)
install(EXPORT ponderTargets NAMESPACE ponder:: DESTINATION ${config_dir})
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/ponderConfig.cmake.in ${PROJECT_BINARY_DIR}/ponderConfig.cmake
    INSTALL_DESTINATION ${config_dir})
# Before 1.0 a minor version may break what the one before it promised.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/ponderConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/ponderConfig.cmake ${PROJECT_BINARY_DIR}/ponderConfigVersion.cmake DESTINATION ${config_dir})

# The prefix is written relative to the .pc file, so that an installation can be moved.
file(RELATIVE_PATH PONDER_PC_PREFIX /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
# A shared library carries what it needs; naming it would ask users for packages that they can do without.
set(PONDER_PC_NEEDS "")
if(NOT BUILD_SHARED_LIBS)
    set(PONDER_PC_NEEDS "Requires: libpcre2-8 libutf8proc\nLibs.private: -lstdc++ -lm -pthread")
    if(PONDER_ONEDNN AND PONDER_HAVE_ONEDNN)
        string(APPEND PONDER_PC_NEEDS " -ldnnl -lgomp")
    endif()
endif()
string(REGEX REPLACE "/$" "" PONDER_PC_PREFIX ${PONDER_PC_PREFIX})
configure_file(${PROJECT_SOURCE_DIR}/cmake/ponder.pc.in ${PROJECT_BINARY_DIR}/ponder.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/ponder.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
