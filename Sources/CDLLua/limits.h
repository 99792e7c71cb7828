#ifndef DL_LIMITS_H
#define DL_LIMITS_H

#include <stddef.h>

#include "lua.h"

/* Limits for what the interpreter's own count hook does not see: loops inside its C functions.
 *
 * The string and table libraries are compiled a second time, from the same files, with macros in place that count their
 * work as instructions. */

/* Counts work; 1 when the script on this thread has to end. */
int script_over(size_t work);

/* Counts one step, and raises when the script has to end. */
void script_step(lua_State *L);

int script_open_string(lua_State *L);
int script_open_table(lua_State *L);

#endif
