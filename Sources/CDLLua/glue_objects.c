/* The glue, built against the interpreter that the library carries. */
#include "../../bindings/lua/glue/objects.c"
