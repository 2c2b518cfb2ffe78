# Fails if an object of OBJECTS defines a weak symbol: cmake -DNM=nm -DOBJECTS=<list> -P <this file>
foreach(object ${OBJECTS})
  execute_process(COMMAND ${NM} --defined-only --demangle ${object}
                  OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCHALL "[0-9a-f]+ [VvWwu] [^\n]*" weak "${symbols}")
  foreach(symbol ${weak})
    message(SEND_ERROR "${object} defines the weak symbol ${symbol}")
  endforeach()
endforeach()
