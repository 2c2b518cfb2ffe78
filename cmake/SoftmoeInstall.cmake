# Installs the program, the headers, the libraries and a package for find_package(softmoe).
include(CMakePackageConfigHelpers)

get_property(libraries GLOBAL PROPERTY SOFTMOE_LIBRARIES)
install(TARGETS ${libraries} EXPORT softmoe
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
        FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/softmoe
        FILE_SET generated DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/softmoe)
install(TARGETS softmoe_c EXPORT softmoe
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
        FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS softmoe_program RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(EXPORT softmoe NAMESPACE softmoe:: FILE softmoeTargets.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/softmoe)
configure_package_config_file(cmake/softmoeConfig.cmake.in ${CMAKE_BINARY_DIR}/softmoeConfig.cmake
  INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/softmoe)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/softmoeConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/softmoeConfig.cmake ${CMAKE_BINARY_DIR}/softmoeConfigVersion.cmake
              cmake/SoftmoeTorch.cmake cmake/SoftmoeOpenCV.cmake cmake/SoftmoeOnnx.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/softmoe)
