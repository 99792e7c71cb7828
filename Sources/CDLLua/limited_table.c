/* The table library, with its steps counted: it trusts the length that a metamethod claims. */
#define ltablib_c
#define LUA_LIB

#include "limits.h"

#include "lauxlib.h"
#include "lua.h"
#include "lualib.h"

#define lua_geti(L, table, place) (script_step(L), (lua_geti)(L, table, place))
#define lua_seti(L, table, place) (script_step(L), (lua_seti)(L, table, place))
#define luaopen_table open_table_unchecked
static int open_table_unchecked(lua_State *L);

#undef LUAMOD_API
#define LUAMOD_API static

#include "../../ThirdParty/CLua/src/ltablib.c"

int script_open_table(lua_State *L) { return open_table_unchecked(L); }
