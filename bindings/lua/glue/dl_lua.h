/* dl_lua.h - libdl for programs with a Lua 5.4 state of their own.
 *
 * These functions are in the Lua module dl.so, which uses the program's own lua_*. Open it with
 * luaL_requiref(L, "dl", luaopen_dl, 0), or let scripts say require "dl". A script host that brings its own
 * interpreter (dl_script_* in dl.h) needs none of this. */
#ifndef DL_LUA_H
#define DL_LUA_H

#include <dl.h>
#include <lua.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Pushes the module. Opening it again for the same state gives the same table. */
DL_API int luaopen_dl(lua_State *L);

/* Pushes a tensor, which is retained. Raises a Lua error for a dead handle. */
DL_API void dl_lua_push_tensor(lua_State *L, dl_tensor *tensor);

/* The tensor at an index, or NULL. Borrowed; valid while the Lua value lives and is not closed. */
DL_API dl_tensor *dl_lua_to_tensor(lua_State *L, int index);

#ifdef __cplusplus
}
#endif

#endif
