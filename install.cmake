# What `cmake --install` and CPack put where (docs/INSTALL.md). Manual pages and completions are written by the programs
# themselves, from the tables of their options.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(loom_share ${CMAKE_INSTALL_DATADIR}/spanloom)
set(loom_written ${CMAKE_BINARY_DIR}/written)
file(MAKE_DIRECTORY ${loom_written})

set(loom_programs loom loom-preprocess loom-train loom-infer loom-eval)
install(TARGETS ${loom_programs} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY configs/ DESTINATION ${loom_share}/configs FILES_MATCHING PATTERN "*.conf")
install(FILES checkpoints/base.h5 checkpoints/README.md DESTINATION ${loom_share}/checkpoints)
install(DIRECTORY docs/ DESTINATION ${CMAKE_INSTALL_DOCDIR} FILES_MATCHING PATTERN "*.md" PATTERN "*.c"
    PATTERN "results" EXCLUDE PATTERN "INSTALL.md" EXCLUDE)
install(FILES README.md CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DOCDIR})

# ---- manual pages and completions: a program under a sanitizer does not run while it is built ----
find_program(GZIP gzip)
if(GZIP AND NOT LOOM_SANITIZE AND NOT LOOM_THREADS AND NOT LOOM_COVERAGE AND NOT LOOM_FUZZ)
    set(outputs "")
    foreach(program ${loom_programs})
        add_custom_command(OUTPUT ${loom_written}/${program}.1.gz
            COMMAND $<TARGET_FILE:${program}> --help-format man > ${loom_written}/${program}.1
            COMMAND ${GZIP} -9nf ${loom_written}/${program}.1
            DEPENDS ${loom_programs} VERBATIM)
        list(APPEND outputs ${loom_written}/${program}.1.gz)
        install(FILES ${loom_written}/${program}.1.gz DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
    endforeach()
    add_custom_command(OUTPUT ${loom_written}/loom.bash ${loom_written}/_loom
        COMMAND $<TARGET_FILE:loom> --help-format bash > ${loom_written}/loom.bash
        COMMAND $<TARGET_FILE:loom> --help-format zsh > ${loom_written}/_loom
        DEPENDS ${loom_programs} VERBATIM)
    add_custom_target(loom_written ALL DEPENDS ${outputs} ${loom_written}/loom.bash ${loom_written}/_loom)
    foreach(program ${loom_programs}) # bash looks for the file of a command under its name
        install(FILES ${loom_written}/loom.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME ${program})
    endforeach()
    install(FILES ${loom_written}/_loom DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
endif()

# ---- the libraries, for programs of others: pkg-config and find_package(spanloom) ----
set(loom_archives loom_stage_infer loom_learn loom_model loom_system loom_readers loom_guide loom_tokenizer loom_trace loom_store loom_core)
install(TARGETS ${loom_archives} ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}/spanloom)
install(DIRECTORY lib/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/spanloom FILES_MATCHING PATTERN "*.h"
    PATTERN "*_impl.h" EXCLUDE PATTERN "*_internal.h" EXCLUDE PATTERN "front" EXCLUDE)
install(DIRECTORY infer DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/spanloom FILES_MATCHING PATTERN "*.h"
    PATTERN "*_impl.h" EXCLUDE PATTERN "commands" EXCLUDE)
set(loom_needs openblas lapacke hdf5 libzstd libarchive jansson libpcre2-8 libxxhash)
set(loom_more "-lm -pthread")
if(ISAL_FOUND)
    list(APPEND loom_needs libisal)
endif()
if(OMPI_FOUND)
    list(APPEND loom_needs ompi-c)
endif()
if(MICROHTTPD_FOUND)
    list(APPEND loom_needs libmicrohttpd)
endif()
if(DNNL_INCLUDE AND DNNL_LIBRARY)
    set(loom_more "-ldnnl ${loom_more}")
endif()
list(JOIN loom_needs " " loom_needs_words)
list(JOIN loom_archives " -l" loom_libs)
list(JOIN loom_archives " " loom_archive_words)
string(REPLACE "-l" "" loom_more_names "${loom_more}")
file(RELATIVE_PATH loom_up /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
file(WRITE ${loom_written}/spanloom.pc
"prefix=\${pcfiledir}/${loom_up}
libdir=\${prefix}/${CMAKE_INSTALL_LIBDIR}
includedir=\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}

Name: spanloom
Description: call graphs of microservices: read, check, generate
Version: ${PROJECT_VERSION}
Requires: ${loom_needs_words}
Cflags: -I\${includedir}/spanloom -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64
Libs: -L\${libdir}/spanloom -l${loom_libs} ${loom_more}
")
file(RELATIVE_PATH loom_up /${CMAKE_INSTALL_LIBDIR}/cmake/spanloom /)
string(REPLACE "-pthread" "pthread" loom_more_names "${loom_more_names}")
string(REPLACE " " ";" loom_more_names "${loom_more_names}")
file(WRITE ${loom_written}/spanloomConfig.cmake
"# find_package(spanloom) gives the target spanloom::spanloom
get_filename_component(spanloom_prefix \"\${CMAKE_CURRENT_LIST_DIR}/${loom_up}\" ABSOLUTE)
find_package(PkgConfig REQUIRED)
pkg_check_modules(SPANLOOM_NEEDS REQUIRED IMPORTED_TARGET ${loom_needs_words})
set(folder \"\${spanloom_prefix}/${CMAKE_INSTALL_LIBDIR}/spanloom\")
if(NOT TARGET spanloom::spanloom)
    add_library(spanloom::spanloom INTERFACE IMPORTED)
    set_target_properties(spanloom::spanloom PROPERTIES
        INTERFACE_INCLUDE_DIRECTORIES \"\${spanloom_prefix}/${CMAKE_INSTALL_INCLUDEDIR}/spanloom\"
        INTERFACE_COMPILE_DEFINITIONS \"_GNU_SOURCE;_FILE_OFFSET_BITS=64\")
    foreach(name IN ITEMS ${loom_archive_words})
        list(APPEND spanloom_archives \"\${folder}/lib\${name}.a\")
    endforeach()
    set_property(TARGET spanloom::spanloom PROPERTY INTERFACE_LINK_LIBRARIES
        \"\${spanloom_archives};PkgConfig::SPANLOOM_NEEDS;${loom_more_names}\")
endif()
")
write_basic_package_version_file(${loom_written}/spanloomConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${loom_written}/spanloom.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
install(FILES ${loom_written}/spanloomConfig.cmake ${loom_written}/spanloomConfigVersion.cmake
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/spanloom)

# ---- cpack -G DEB ----
set(LOOM_MAINTAINER "Spanloom <spanloom@spanloom.invalid>" CACHE STRING "who makes the package, NAME <MAIL>; the default is no address")
file(WRITE ${loom_written}/copyright
"Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: spanloom

Files: *
Copyright: 2026 the authors of Spanloom
License: Apache-2.0
 The text of the licence is in /usr/share/common-licenses/Apache-2.0 on Debian systems.
")
file(WRITE ${loom_written}/changelog
"spanloom (${PROJECT_VERSION}) unstable; urgency=low

  * See CHANGELOG.md.

 -- ${LOOM_MAINTAINER}  Thu, 01 Jan 2026 00:00:00 +0000
")
if(GZIP)
    execute_process(COMMAND ${GZIP} -9nkf ${loom_written}/changelog)
    install(FILES ${loom_written}/changelog.gz ${loom_written}/copyright DESTINATION ${CMAKE_INSTALL_DOCDIR})
endif()
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME spanloom)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "learns and generates call graphs of microservices")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION "Traces go in; call graphs, training text, a tokenizer, a language model
 trained on this machine, and generated graphs come out, with the pictures
 that tell how good they are.")
set(CPACK_DEBIAN_PACKAGE_MAINTAINER "${LOOM_MAINTAINER}")
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS libcurl4) # loaded when graphs are sent
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "gnuplot-nox, openmpi-bin")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_STRIP_FILES ON)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
include(CPack)
