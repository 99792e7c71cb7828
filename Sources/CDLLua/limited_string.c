/* The string library, with its work counted. Every l_unlikely in it guards an error, so a script that has used up its
 * instructions inside a pattern gets that error; the count hook then says why. */
#include <string.h>

#define lstrlib_c
#define LUA_LIB

#include "limits.h"

#include "lauxlib.h"
#include "lua.h"
#include "lualib.h"

static int compare_counted(const void *a, const void *b, size_t size)
{
    /* "Equal" ends the search. */
    return script_over(size / 64 + 1) ? 0 : memcmp(a, b, size);
}

#undef l_unlikely
#define l_unlikely(condition) (script_over(1) || (condition))
#define memcmp(a, b, size) compare_counted(a, b, size)
#define luaopen_string open_string_unchecked
static int open_string_unchecked(lua_State *L);

#undef LUALIB_API
#undef LUAMOD_API
#define LUALIB_API static
#define LUAMOD_API static

#include "../../ThirdParty/CLua/src/lstrlib.c"

/* Nothing repeated is nothing, however often; the library's function would count to the end. */
static int repeat_checked(lua_State *L)
{
    if (luaL_checklstring(L, 1, NULL)[0] == 0 && lua_rawlen(L, 1) == 0 && luaL_optlstring(L, 3, "", NULL)[0] == 0
        && (lua_isnoneornil(L, 3) || lua_rawlen(L, 3) == 0)) {
        luaL_checkinteger(L, 2);
        lua_pushliteral(L, "");
        return 1;
    }
    return str_rep(L);
}

int script_open_string(lua_State *L)
{
    open_string_unchecked(L);
    lua_pushcfunction(L, repeat_checked);
    lua_setfield(L, -2, "rep");
    return 1;
}
