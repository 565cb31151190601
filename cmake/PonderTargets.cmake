# SPDX-License-Identifier: Apache-2.0
# How this project's targets are made: one object library a layer, backends beside them, one public library of them all.

# Warnings, standard and visibility of every target of ours; nothing is set globally.
function(ponder_target_defaults target)
    target_compile_features(${target} PRIVATE cxx_std_20 c_std_11)
    set_target_properties(${target} PROPERTIES
        CXX_EXTENSIONS OFF C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
        POSITION_INDEPENDENT_CODE ON)
    # GCC 12 sees overlaps in std::string's own operator+ and overflows in std::vector's own insert.
    target_compile_options(${target} PRIVATE -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wno-missing-field-initializers
        $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor> "$<$<CXX_COMPILER_ID:GNU>:-Wno-restrict;-Wno-stringop-overflow>"
        $<$<BOOL:${PONDER_WERROR}>:-Werror>)
    if(PONDER_SANITIZE)
        target_compile_options(${target} PRIVATE -fsanitize=${PONDER_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
        target_link_options(${target} PRIVATE -fsanitize=${PONDER_SANITIZE})
    endif()
endfunction()

# ponder_add_layer(NAME DEPENDS...): lib/NAME/*.cpp as the object library ponder_NAME. DEPENDS are CMake targets.
function(ponder_add_layer name)
    file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/lib/${name}/*.cpp)
    add_library(ponder_${name} OBJECT ${sources})
    target_include_directories(ponder_${name} PUBLIC ${PROJECT_SOURCE_DIR}/lib ${PROJECT_SOURCE_DIR}/include)
    target_link_libraries(ponder_${name} PRIVATE ${ARGN})
    target_compile_definitions(ponder_${name} PRIVATE PONDER_BUILDING)
    ponder_target_defaults(ponder_${name})
    set_property(GLOBAL APPEND PROPERTY PONDER_OBJECT_TARGETS ponder_${name})
    set_property(GLOBAL APPEND PROPERTY PONDER_LINK_LIBRARIES ${ARGN})
endfunction()

# ponder_add_backend_objects(NAME DEPENDS...): backends/NAME/*.cpp and NAME/ops/*.cpp as the object library ponder_backend_NAME.
function(ponder_add_backend_objects name)
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${name}/*.cpp ${CMAKE_CURRENT_SOURCE_DIR}/${name}/ops/*.cpp)
    add_library(ponder_backend_${name} OBJECT ${sources})
    target_include_directories(ponder_backend_${name} PRIVATE ${PROJECT_SOURCE_DIR}/lib ${PROJECT_SOURCE_DIR}/include
        ${CMAKE_CURRENT_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR}/${name})
    target_link_libraries(ponder_backend_${name} PRIVATE ${ARGN})
    target_compile_definitions(ponder_backend_${name} PRIVATE PONDER_BUILDING)
    ponder_target_defaults(ponder_backend_${name})
    set_property(GLOBAL APPEND PROPERTY PONDER_OBJECT_TARGETS ponder_backend_${name})
    set_property(GLOBAL APPEND PROPERTY PONDER_LINK_LIBRARIES ${ARGN})
endfunction()

# ponder_add_backend(NAME DEPENDS...): the same for a backend, whose entry point is ponder_NAME_backend (see ponder_backend.h).
function(ponder_add_backend name)
    ponder_add_backend_objects(${name} ${ARGN})
    set_property(GLOBAL APPEND PROPERTY PONDER_BACKENDS ${name})
endfunction()

# Links all layers and backends into `ponder` (public) and `ponder_internal` (all symbols visible, for the project's own tests).
function(ponder_link_library)
    get_property(objects GLOBAL PROPERTY PONDER_OBJECT_TARGETS)
    get_property(libraries GLOBAL PROPERTY PONDER_LINK_LIBRARIES)
    get_property(backends GLOBAL PROPERTY PONDER_BACKENDS)
    list(REMOVE_DUPLICATES libraries)
    set(PONDER_BACKEND_DECLARATIONS "")
    set(PONDER_BACKEND_ENTRIES "")
    foreach(backend IN LISTS backends)
        string(APPEND PONDER_BACKEND_DECLARATIONS "extern \"C\" const ponder_backend* ponder_${backend}_backend(void);\n")
        string(APPEND PONDER_BACKEND_ENTRIES "    ponder_${backend}_backend,\n")
    endforeach()
    configure_file(${PROJECT_SOURCE_DIR}/cmake/backend_registry.cpp.in ${PROJECT_BINARY_DIR}/backend_registry.cpp @ONLY)
    set(object_files "")
    foreach(object IN LISTS objects)
        list(APPEND object_files $<TARGET_OBJECTS:${object}>)
    endforeach()

    add_library(ponder ${PROJECT_BINARY_DIR}/backend_registry.cpp ${object_files})
    add_library(ponder::ponder ALIAS ponder)
    target_include_directories(ponder PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:include>
        PRIVATE ${PROJECT_SOURCE_DIR}/lib)
    target_link_libraries(ponder PRIVATE ${libraries})
    target_compile_definitions(ponder PRIVATE PONDER_BUILDING)
    ponder_target_defaults(ponder)
    set_target_properties(ponder PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}
        ARCHIVE_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib)
    if(BUILD_SHARED_LIBS)
        target_link_options(ponder PRIVATE -Wl,--version-script=${PROJECT_SOURCE_DIR}/cmake/ponder.map)
        if(NOT PONDER_SANITIZE)  # clang leaves the sanitizers' own symbols to the program
            target_link_options(ponder PRIVATE -Wl,--no-undefined)
        endif()
        set_property(TARGET ponder APPEND PROPERTY LINK_DEPENDS ${PROJECT_SOURCE_DIR}/cmake/ponder.map)
    endif()

    if(PONDER_BUILD_TESTS OR PONDER_BUILD_FUZZERS)
        add_library(ponder_internal STATIC EXCLUDE_FROM_ALL ${PROJECT_BINARY_DIR}/backend_registry.cpp ${object_files})
        target_include_directories(ponder_internal PUBLIC ${PROJECT_SOURCE_DIR}/lib ${PROJECT_SOURCE_DIR}/include)
        target_link_libraries(ponder_internal PUBLIC ${libraries})
        ponder_target_defaults(ponder_internal)
    endif()
endfunction()
