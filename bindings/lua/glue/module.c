/* luaopen_dl: the table that require "dl" gives. */
#include <string.h>

#include "glue.h"
#include "sources.h"

static const char module_key = 0, core_key = 0, loaded_key = 0;

/* Inside the library nobody but its own script host opens the module: its interpreter is hidden, and a foreign state
 * must never meet it. */
#if defined(DL_GLUE_INSIDE)
#define MODULE_API GLUE_HIDDEN
#else
#define MODULE_API DL_API
#endif

MODULE_API int luaopen_dl(lua_State *L);
MODULE_API void dl_lua_push_tensor(lua_State *L, dl_tensor *tensor);
MODULE_API dl_tensor *dl_lua_to_tensor(lua_State *L, int index);

/* use(name) -> the module of that name, loaded once for a state; it is given the table of the glue's functions */
static int core_use(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    const glue_source *source = glue_sources;
    lua_settop(L, 1);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &loaded_key);
    lua_pushvalue(L, 1);
    if (lua_rawget(L, 2) != LUA_TNIL) return 1;
    lua_pop(L, 1);
    while (source->name && strcmp(source->name, name) != 0) source++;
    if (!source->name) return luaL_error(L, "no module 'dl.%s'", name);
    lua_pushfstring(L, "=dl/%s.lua", name);
    if (luaL_loadbufferx(L, source->bytes, source->length, lua_tostring(L, -1), "t") != LUA_OK) return lua_error(L);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &core_key);
    lua_call(L, 1, 1);
    if (lua_isnil(L, -1)) lua_pushboolean(L, 1);
    lua_pushvalue(L, 1);
    lua_pushvalue(L, -2);
    lua_rawset(L, 2);
    return 1;
}

/* For package.preload; upvalue: the module's name. */
static int load_part(lua_State *L)
{
    lua_settop(L, 0);
    lua_pushcfunction(L, luaopen_dl);
    lua_call(L, 0, 0);
    lua_pushcfunction(L, core_use);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_call(L, 1, 1);
    return 1;
}

void glue_preload(lua_State *L)
{
    const glue_source *source;
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    lua_pushcfunction(L, luaopen_dl);
    lua_setfield(L, -2, "dl");
    for (source = glue_sources; source->name; source++) {
        if (!source->is_public) continue;
        lua_pushstring(L, source->name);
        lua_pushcclosure(L, load_part, 1);
        lua_pushfstring(L, "dl.%s", source->name);
        lua_insert(L, -2);
        lua_rawset(L, -3);
    }
    lua_pop(L, 1);
}

MODULE_API int luaopen_dl(lua_State *L)
{
    static const luaL_Reg functions[] = {{"use", core_use}, {NULL, NULL}};
    luaL_checkversion(L);
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &module_key) != LUA_TNIL) return 1;
    lua_pop(L, 1);
    lua_newtable(L);
    glue_open_kinds(L);
    glue_open_process(L);
    glue_open_json(L);
    glue_open_tensor(L);
    glue_open_index(L);
    glue_open_operation(L);
    glue_open_tape(L);
    glue_open_layer(L);
    glue_open_custom(L);
    glue_open_model(L);
    glue_open_training(L);
    glue_open_fit(L);
    glue_open_objective(L);
    glue_open_steps(L);
    glue_open_picture(L);
    glue_open_objects(L);
    luaL_setfuncs(L, functions, 0);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &core_key);
    lua_newtable(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &loaded_key);
    lua_pushcfunction(L, core_use);
    lua_pushliteral(L, "init");
    lua_call(L, 1, 1);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &module_key);
    glue_preload(L);
    return 1;
}

MODULE_API void dl_lua_push_tensor(lua_State *L, dl_tensor *tensor)
{
    lua_pushcfunction(L, luaopen_dl);
    lua_call(L, 0, 1);
    /* Brings the methods of tensors in. */
    lua_getfield(L, -1, "ops");
    lua_pop(L, 2);
    glue_push_borrowed(L, GLUE_TENSOR, tensor);
}

MODULE_API dl_tensor *dl_lua_to_tensor(lua_State *L, int index)
{
    glue_box *box = glue_test(L, index, GLUE_TENSOR);
    return box ? box->handle : NULL;
}

/* require "dl.layers" before require "dl": Lua looks for luaopen_dl_layers in dl.so. */
#if !defined(DL_GLUE_INSIDE)
#define PART(name)                              \
    DL_API int luaopen_dl_##name(lua_State *L); \
    DL_API int luaopen_dl_##name(lua_State *L)  \
    {                                           \
        lua_settop(L, 0);                       \
        lua_pushliteral(L, #name);              \
        lua_pushcclosure(L, load_part, 1);      \
        lua_call(L, 0, 1);                      \
        return 1;                               \
    }
PART(ops)
PART(layers)
PART(models)
PART(losses)
PART(metrics)
PART(optimizers)
PART(callbacks)
PART(datasets)
PART(utils)
PART(applications)
PART(cli)
#endif
