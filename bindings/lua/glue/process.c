/* What concerns the process: threads, seeds, memory, declarations, the terminal. */
#define _DEFAULT_SOURCE
#include "glue.h"

#include <stdio.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

static int core_version(lua_State *L)
{
    lua_pushstring(L, dl_version());
    return 1;
}

static int core_set_threads(lua_State *L)
{
    lua_Integer threads = luaL_checkinteger(L, 1);
    if (threads < INT32_MIN || threads > INT32_MAX) threads = -1;
    GLUE_TRY(L, dl_set_num_threads((int32_t)threads));
    return 0;
}

static int core_threads(lua_State *L)
{
    lua_pushinteger(L, dl_get_num_threads());
    return 1;
}

static int core_set_winograd(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TBOOLEAN);
    dl_set_winograd(lua_toboolean(L, 1));
    return 0;
}

static int core_winograd(lua_State *L)
{
    lua_pushboolean(L, dl_get_winograd());
    return 1;
}

static int core_seed(lua_State *L)
{
    dl_set_random_seed((uint64_t)luaL_checkinteger(L, 1));
    return 0;
}

static int core_memory(lua_State *L)
{
    dl_memory_info info;
    GLUE_TRY(L, dl_get_memory_info(&info));
    lua_createtable(L, 0, 6);
    lua_pushinteger(L, info.bytes_in_use);
    lua_setfield(L, -2, "bytes_in_use");
    lua_pushinteger(L, info.peak_bytes);
    lua_setfield(L, -2, "peak_bytes");
    lua_pushinteger(L, info.cached_bytes);
    lua_setfield(L, -2, "cached_bytes");
    lua_pushinteger(L, info.allocations);
    lua_setfield(L, -2, "allocations");
    lua_pushinteger(L, glue_tensor_bytes(L));
    lua_setfield(L, -2, "script_bytes");
    lua_pushinteger(L, dl_live_handles());
    lua_setfield(L, -2, "live_handles");
    return 1;
}

static int core_set_memory_limit(lua_State *L)
{
    lua_Integer bytes = luaL_checkinteger(L, 1);
    dl_set_memory_limit(bytes < 0 ? 0 : bytes);
    return 0;
}

static int core_trim(lua_State *L)
{
    (void)L;
    dl_trim_memory();
    return 0;
}

static int core_info(lua_State *L)
{
    char *text = NULL;
    GLUE_TRY(L, dl_system_info(&text));
    glue_push_json(L, text);
    return 1;
}

/* list(category) -> names */
static int core_list(lua_State *L)
{
    const char *category = luaL_checkstring(L, 1);
    char *text = NULL;
    GLUE_TRY(L, dl_list(&text, category));
    glue_push_json(L, text);
    return 1;
}

/* describe(category, name) -> declaration, or nil, message, code */
static int core_describe(lua_State *L)
{
    const char *category = luaL_checkstring(L, 1), *name = luaL_checkstring(L, 2);
    char *text = NULL;
    dl_status status = dl_describe(&text, category, name);
    if (status == DL_ERROR_NOT_FOUND) return glue_push_failure(L, status);
    if (status != DL_OK) return glue_raise(L, NULL, status);
    glue_push_json(L, text);
    return 1;
}

/* clock() -> seconds of a clock that never goes back */
static int core_clock(lua_State *L)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    lua_pushnumber(L, (lua_Number)now.tv_sec + 1e-9 * (lua_Number)now.tv_nsec);
    return 1;
}

/* terminal() -> columns, or nil where the standard output is no terminal */
static int core_terminal(lua_State *L)
{
    struct winsize size;
    if (glue_get_host(L)->quiet || !isatty(STDOUT_FILENO)) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushinteger(L, ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 80);
    return 1;
}

/* host() -> quiet, files closed */
static int core_host(lua_State *L)
{
    const glue_host *host = glue_get_host(L);
    lua_pushboolean(L, host->quiet);
    lua_pushboolean(L, host->no_files);
    return 2;
}

/* last_error() -> message, tag; nil before any */
static int core_last_error(lua_State *L)
{
    if (dl_last_status() == DL_OK) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushstring(L, dl_last_error());
    lua_pushstring(L, dl_status_name(dl_last_status()));
    return 2;
}

void glue_open_process(lua_State *L)
{
    static const luaL_Reg functions[] = {{"version", core_version},
                                         {"set_threads", core_set_threads},
                                         {"threads", core_threads},
                                         {"set_winograd", core_set_winograd},
                                         {"winograd", core_winograd},
                                         {"seed", core_seed},
                                         {"memory", core_memory},
                                         {"set_memory_limit", core_set_memory_limit},
                                         {"trim", core_trim},
                                         {"info", core_info},
                                         {"list", core_list},
                                         {"describe", core_describe},
                                         {"clock", core_clock},
                                         {"terminal", core_terminal},
                                         {"host", core_host},
                                         {"last_error", core_last_error},
                                         {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
