/* The libraries that a script gets, by DL_SCRIPT_SAFE, _FILES and _ALL.
 *
 * Some functions of the standard libraries run Lua code where the count hook is off: finalizers always, message handlers
 * and closing functions when the hook itself raised the error. A loop there would never end, so these functions are
 * replaced. */
#include <string.h>

#include "limits.h"
#include "script.h"

#include "../../bindings/lua/glue/glue.h"

/* ---- Printing ------------------------------------------------------------------------------------------------ */

static int base_print(lua_State *L)
{
    int i, count = lua_gettop(L);
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    for (i = 1; i <= count; i++) {
        if (i > 1) luaL_addchar(&b, '\t');
        luaL_tolstring(L, i, NULL);
        luaL_addvalue(&b);
    }
    luaL_addchar(&b, '\n');
    luaL_pushresult(&b);
    script_print(script_of(L), lua_tostring(L, -1), lua_rawlen(L, -1));
    return 0;
}

/* write(...): strings and numbers, as io.write has it */
static int host_write(lua_State *L)
{
    int i, count = lua_gettop(L);
    for (i = 1; i <= count; i++) {
        size_t length;
        const char *text = luaL_checklstring(L, i, &length);
        script_print(script_of(L), text, length);
    }
    return 0;
}

/* ---- Protected calls ----------------------------------------------------------------------------------------- */

/* Upvalue: the script's handler. */
static int handle_message(lua_State *L)
{
    if (script_of(L)->stopped) return 1;
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, 1);
    return 1;
}

static int finish_xpcall(lua_State *L, int status, lua_KContext below)
{
    if (status != LUA_OK && status != LUA_YIELD) {
        lua_pushboolean(L, 0);
        lua_pushvalue(L, -2);
        return 2;
    }
    return lua_gettop(L) - (int)below;
}

static int base_xpcall(lua_State *L)
{
    int count = lua_gettop(L);
    luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_pushvalue(L, 2);
    lua_pushcclosure(L, handle_message, 1);
    lua_replace(L, 2);
    lua_pushboolean(L, 1);
    lua_pushvalue(L, 1);
    lua_rotate(L, 3, 2);
    return finish_xpcall(L, lua_pcallk(L, count - 2, LUA_MULTRET, 2, 2, finish_xpcall), 2);
}

/* Upvalue: the library's setmetatable. */
static int base_setmetatable(lua_State *L)
{
    if (lua_istable(L, 2)) {
        lua_pushliteral(L, "__gc");
        if (lua_rawget(L, 2) != LUA_TNIL)
            return luaL_error(L, "finalizers (__gc) are not open to this script; use __close");
        lua_pop(L, 1);
    }
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, 1);
    return 1;
}

/* Upvalue: the coroutine. */
static int wrap_resume(lua_State *L)
{
    lua_State *co = lua_tothread(L, lua_upvalueindex(1));
    int count = lua_gettop(L), results = 0, status;
    if (!lua_checkstack(co, count)) return luaL_error(L, "too many arguments to resume");
    if (lua_status(co) == LUA_OK && lua_gettop(co) == 0) return luaL_error(L, "cannot resume dead coroutine");
    lua_xmove(L, co, count);
    status = lua_resume(co, L, count, &results);
    if (status == LUA_OK || status == LUA_YIELD) {
        if (!lua_checkstack(L, results + 1)) {
            lua_pop(co, results);
            return luaL_error(L, "too many results to resume");
        }
        lua_xmove(co, L, results);
        return results;
    }
    /* A script that has to end does not get to run what it has pending. */
    if (!script_of(L)->stopped) lua_closethread(co, L);
    lua_xmove(co, L, 1);
    if (lua_type(L, -1) == LUA_TSTRING && status != LUA_ERRMEM) {
        luaL_where(L, 1);
        lua_insert(L, -2);
        lua_concat(L, 2);
    }
    return lua_error(L);
}

/* Upvalue: the library's coroutine.create. */
static int coroutine_wrap(lua_State *L)
{
    lua_settop(L, 1);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, 1, 1);
    lua_pushcclosure(L, wrap_resume, 1);
    return 1;
}

/* Upvalue: the library's coroutine.close. */
static int coroutine_close(lua_State *L)
{
    int count = lua_gettop(L);
    if (script_of(L)->stopped) return luaL_error(L, "the script has to end");
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, count, LUA_MULTRET);
    return lua_gettop(L);
}

/* ---- Loading ------------------------------------------------------------------------------------------------- */

/* Source text only; upvalue: the library's load. */
static int base_load(lua_State *L)
{
    int count = lua_gettop(L);
    if (count < 3) lua_settop(L, 3);
    lua_pushliteral(L, "t");
    lua_replace(L, 3);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, 2);
    return 2;
}

/* loadfile(name, mode, env), text only; upvalue: the library's. */
static int base_loadfile(lua_State *L)
{
    luaL_checkstring(L, 1);
    if (lua_gettop(L) < 2) lua_settop(L, 2);
    lua_pushliteral(L, "t");
    lua_replace(L, 2);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, 2);
    return 2;
}

static int base_dofile(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    lua_settop(L, 1);
    if (luaL_loadfilex(L, name, "t") != LUA_OK) return lua_error(L);
    lua_call(L, 0, LUA_MULTRET);
    return lua_gettop(L) - 1;
}

/* require(name) for what is open to the script */
static int base_require(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    lua_settop(L, 1);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    if (lua_getfield(L, 2, name) != LUA_TNIL) return 1;
    lua_pop(L, 1);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    if (lua_getfield(L, 3, name) == LUA_TNIL) return luaL_error(L, "module '%s' is not open to this script", name);
    lua_pushvalue(L, 1);
    lua_pushliteral(L, ":preload:");
    lua_call(L, 2, 1);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_pushboolean(L, 1);
    }
    lua_pushvalue(L, -1);
    lua_setfield(L, 2, name);
    return 1;
}

/* ---- Opening ------------------------------------------------------------------------------------------------- */

/* Replaces a field of the table on top of the stack by a function whose upvalue is the field. */
static void replace(lua_State *L, const char *name, lua_CFunction function)
{
    lua_getfield(L, -1, name);
    lua_pushcclosure(L, function, 1);
    lua_setfield(L, -2, name);
}

static void remove_fields(lua_State *L, const char *const *names)
{
    for (; *names; names++) {
        lua_pushnil(L);
        lua_setfield(L, -2, *names);
    }
}

/* io without the process's own output: what goes there goes to the host. */
static const char io_source[] =
    "local io, write = ...\n"
    "local output, close, kind = io.output, io.close, io.type\n"
    "local out, given = setmetatable({}, { __name = 'FILE*', __tostring = function() return 'file (host)' end }), nil\n"
    "function out:write(...) write(...) return self end\n"
    "function out:flush() return self end\n"
    "function out:setvbuf() return true end\n"
    "function out:seek() return nil, 'cannot seek', 29 end\n"
    "function out:close() return nil, 'cannot close standard file' end\n"
    "getmetatable(out).__index = out\n"
    "io.stdout, io.stderr = out, out\n"
    "function io.write(...)\n"
    "  if given then return given:write(...) end\n"
    "  return out:write(...)\n"
    "end\n"
    "function io.output(file)\n"
    "  if file == out then given = nil return out end\n"
    "  if file ~= nil then given = output(file) end\n"
    "  return given or out\n"
    "end\n"
    "function io.close(file)\n"
    "  if file == nil then file = given or out end\n"
    "  if file == given then given = nil end\n"
    "  return file:close()\n"
    "end\n"
    "function io.type(file) if file == out then return 'file' end return kind(file) end\n";

static void open_io(lua_State *L, int all)
{
    static const char *const processes[] = {"popen", NULL};
    luaL_requiref(L, LUA_IOLIBNAME, luaopen_io, 1);
    if (!all) remove_fields(L, processes);
    if (luaL_loadbufferx(L, io_source, sizeof io_source - 1, "=io", "t") != LUA_OK) lua_error(L);
    lua_insert(L, -2);
    lua_pushcfunction(L, host_write);
    lua_call(L, 2, 0);
}

static void open_base(lua_State *L, int libraries)
{
    static const char *const files[] = {"dofile", "loadfile", NULL};
    luaL_requiref(L, LUA_GNAME, luaopen_base, 1);
    lua_pushcfunction(L, base_print);
    lua_setfield(L, -2, "print");
    lua_pushcfunction(L, base_xpcall);
    lua_setfield(L, -2, "xpcall");
    replace(L, "setmetatable", base_setmetatable);
    if (libraries == DL_SCRIPT_SAFE) remove_fields(L, files);
    if (libraries != DL_SCRIPT_ALL) {
        replace(L, "load", base_load);
        lua_pushcfunction(L, base_require);
        lua_setfield(L, -2, "require");
    }
    if (libraries == DL_SCRIPT_FILES) {
        replace(L, "loadfile", base_loadfile);
        lua_pushcfunction(L, base_dofile);
        lua_setfield(L, -2, "dofile");
    }
    lua_pop(L, 1);
}

int script_open_libraries(lua_State *L)
{
    static const char *const os_processes[] = {"execute", "setlocale", NULL};
    static const char *const os_exit[] = {"exit", NULL};
    static const char *const hooks[] = {"sethook", "setmetatable", NULL};
    int libraries = script_of(L)->libraries;
    open_base(L, libraries);
    luaL_requiref(L, LUA_COLIBNAME, luaopen_coroutine, 1);
    lua_getfield(L, -1, "create");
    lua_pushcclosure(L, coroutine_wrap, 1);
    lua_setfield(L, -2, "wrap");
    replace(L, "close", coroutine_close);
    luaL_requiref(L, LUA_TABLIBNAME, script_open_table, 1);
    luaL_requiref(L, LUA_STRLIBNAME, script_open_string, 1);
    luaL_requiref(L, LUA_MATHLIBNAME, luaopen_math, 1);
    luaL_requiref(L, LUA_UTF8LIBNAME, luaopen_utf8, 1);
    lua_settop(L, 0);
    if (libraries == DL_SCRIPT_SAFE) {
        lua_createtable(L, 0, 1);
        lua_pushcfunction(L, host_write);
        lua_setfield(L, -2, "write");
        lua_setglobal(L, LUA_IOLIBNAME);
    } else {
        open_io(L, libraries == DL_SCRIPT_ALL);
        luaL_requiref(L, LUA_OSLIBNAME, luaopen_os, 1);
        remove_fields(L, os_exit);
        if (libraries != DL_SCRIPT_ALL) remove_fields(L, os_processes);
    }
    if (libraries == DL_SCRIPT_ALL) {
        luaL_requiref(L, LUA_LOADLIBNAME, luaopen_package, 1);
        /* A C module would bring or want another interpreter than this one, which is hidden. */
        lua_pushliteral(L, "");
        lua_setfield(L, -2, "cpath");
        luaL_requiref(L, LUA_DBLIBNAME, luaopen_debug, 1);
        remove_fields(L, hooks);
    }
    glue_preload(L);
    return 0;
}
