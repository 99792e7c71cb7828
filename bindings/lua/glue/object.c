/* Handles as userdata: their metatables, how their fields are found, how they are checked. */
#include "glue.h"

#include <string.h>

static const char *const names[GLUE_KINDS] = {"dl.Tensor", "dl.Tape",   "dl.Layer",     "dl.Model",
                                              "dl.Loss",   "dl.Metric", "dl.Optimizer", "dl.Fit",
                                              "dl.Function"};
static const char class_keys[GLUE_KINDS];

const char *glue_name(glue_kind kind) { return names[kind]; }

/* dl_fit wants room for the event it is at. */
static size_t box_size(glue_kind kind) { return sizeof(glue_box) + (kind == GLUE_FIT ? sizeof(dl_event) : 0); }

glue_box *glue_push(lua_State *L, glue_kind kind)
{
    size_t size = box_size(kind);
    glue_box *box = lua_newuserdatauv(L, size, kind == GLUE_TENSOR ? 0 : 1);
    memset(box, 0, size);
    luaL_setmetatable(L, names[kind]);
    return box;
}

glue_box *glue_push_borrowed(lua_State *L, glue_kind kind, void *handle)
{
    glue_box *box = glue_push(L, kind);
    switch (kind) {
    case GLUE_TENSOR: GLUE_TRY(L, dl_tensor_retain(handle)); break;
    case GLUE_LAYER: GLUE_TRY(L, dl_layer_retain(handle)); break;
    case GLUE_METRIC: GLUE_TRY(L, dl_metric_retain(handle)); break;
    case GLUE_MODEL: GLUE_TRY(L, dl_model_retain(handle)); break;
    default: glue_fail(L, "INTERNAL", "a %s cannot be shared", names[kind]);
    }
    box->handle = handle;
    if (kind == GLUE_TENSOR) glue_account(L, box);
    return box;
}

glue_box *glue_test(lua_State *L, int index, glue_kind kind) { return luaL_testudata(L, index, names[kind]); }

/* What a value is, for messages: "dl.Tensor", "nil", "number". */
static const char *kind_of(lua_State *L, int index)
{
    if (luaL_getmetafield(L, index, "__name") == LUA_TSTRING) return lua_tostring(L, -1);
    return luaL_typename(L, index);
}

glue_box *glue_check(lua_State *L, int index, glue_kind kind)
{
    glue_box *box = glue_test(L, index, kind);
    if (!box) glue_fail(L, "ARGUMENT", "expected a %s, got %s", names[kind], kind_of(L, index));
    if (!box->handle) glue_fail(L, "STATE", "this %s is closed", names[kind]);
    return box;
}

dl_tensor *glue_tensor(lua_State *L, int index) { return glue_check(L, index, GLUE_TENSOR)->handle; }
dl_model *glue_model(lua_State *L, int index) { return glue_check(L, index, GLUE_MODEL)->handle; }

dl_layer *glue_layer(lua_State *L, int index)
{
    glue_box *box = glue_test(L, index, GLUE_MODEL);
    if (!box) return glue_check(L, index, GLUE_LAYER)->handle;
    glue_check(L, index, GLUE_MODEL);
    if (!box->layer) GLUE_TRY(L, dl_model_as_layer(&box->layer, box->handle));
    return box->layer;
}

typedef struct results_call {
    dl_tensor **results;
    int32_t count;
    int counted;
} results_call;

static int push_results(lua_State *L)
{
    results_call *call = lua_touserdata(L, 1);
    int32_t i;
    luaL_checkstack(L, call->count + 10, "too many results");
    for (i = 0; i < call->count; i++) {
        glue_box *box = glue_push(L, GLUE_TENSOR);
        box->handle = call->results[i];
        call->results[i] = NULL;
        if (call->counted) glue_account(L, box);
    }
    return call->count;
}

int glue_push_results(lua_State *L, dl_tensor **results, int32_t count, int counted)
{
    results_call call = {results, count, counted};
    int32_t i;
    int top = lua_gettop(L), failed = 1;
    if (lua_checkstack(L, 4)) {
        lua_pushcfunction(L, push_results);
        lua_pushlightuserdata(L, &call);
        failed = lua_pcall(L, 1, LUA_MULTRET, 0) != LUA_OK;
    }
    if (!failed) return count;
    for (i = 0; i < count; i++) dl_tensor_release(results[i]);
    if (lua_gettop(L) == top) luaL_error(L, "stack overflow (too many results)");
    return lua_error(L);
}

/* ---- Fields -------------------------------------------------------------------------------------------------- */

void glue_push_class(lua_State *L, glue_kind kind) { lua_rawgetp(L, LUA_REGISTRYINDEX, &class_keys[kind]); }

/* Pushes the fields of an object written in Lua and gives LUA_TTABLE, or something else for any other. A layer or model
 * that comes back from the library brings its fields along. */
static int push_fields(lua_State *L, int index)
{
    int type = lua_getiuservalue(L, index, 1);
    glue_box *box;
    void *ref = NULL;
    if (type != LUA_TNIL) return type;
    box = glue_test(L, index, GLUE_LAYER);
    if (!box) box = glue_test(L, index, GLUE_MODEL);
    if (!box || !box->handle) return type;
    GLUE_TRY(L, dl_layer_payload(&ref, glue_layer(L, index), glue_ref_destroy));
    lua_pop(L, 1);
    if (ref && glue_ref_is_of(L, ref)) glue_ref_push(L, ref);
    else lua_pushboolean(L, 0);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, index, 1);
    return lua_type(L, -1);
}

/* set_fields(object, table) */
static int core_set_fields(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TUSERDATA);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    lua_setiuservalue(L, 1, 1);
    return 1;
}

/* fields(object) -> table, or nil for what is not written in Lua */
static int core_fields(lua_State *L)
{
    int kind;
    for (kind = 0; kind < GLUE_KINDS && !glue_test(L, 1, kind); kind++) {
    }
    if (kind == GLUE_KINDS || push_fields(L, 1) != LUA_TTABLE) lua_pushnil(L);
    return 1;
}

/* Upvalues: methods, getters, class. */
static int object_index(lua_State *L)
{
    if (push_fields(L, 1) == LUA_TTABLE) {
        lua_pushvalue(L, 2);
        if (lua_gettable(L, -2) != LUA_TNIL) return 1;
    }
    lua_settop(L, 2);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) return 1;
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(2)) != LUA_TNIL) {
        lua_pushvalue(L, 1);
        lua_call(L, 1, 1);
        return 1;
    }
    if (lua_getfield(L, lua_upvalueindex(3), "missing") == LUA_TNIL) return 1;
    lua_pushvalue(L, 1);
    lua_pushvalue(L, 2);
    lua_call(L, 2, 1);
    return 1;
}

/* Upvalues: setters, name of the kind. */
static int object_newindex(lua_State *L)
{
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) {
        lua_pushvalue(L, 1);
        lua_pushvalue(L, 3);
        lua_call(L, 2, 0);
        return 0;
    }
    if (push_fields(L, 1) != LUA_TTABLE && !glue_test(L, 1, GLUE_LAYER))
        return glue_fail(L, "ARGUMENT", "'%s' of a %s cannot be set", luaL_tolstring(L, 2, NULL),
                         lua_tostring(L, lua_upvalueindex(2)));
    if (!lua_istable(L, -1)) {
        lua_newtable(L);
        lua_pushvalue(L, -1);
        lua_setiuservalue(L, 1, 1);
    }
    lua_pushvalue(L, 2);
    lua_pushvalue(L, 3);
    lua_settable(L, -3);
    return 0;
}

/* The number of a kind is its functions' first upvalue; that of an operator on another kind's value never gets here. */
static int object_close(lua_State *L)
{
    glue_kind kind = (glue_kind)lua_tointeger(L, lua_upvalueindex(1));
    glue_box *box = glue_test(L, 1, kind);
    if (!box) return glue_fail(L, "ARGUMENT", "expected a %s, got %s", names[kind], kind_of(L, 1));
    glue_release(L, box, kind);
    return 0;
}

static int object_closed(lua_State *L)
{
    glue_kind kind = (glue_kind)lua_tointeger(L, lua_upvalueindex(1));
    glue_box *box = glue_test(L, 1, kind);
    lua_pushboolean(L, box && !box->handle);
    return 1;
}

static int object_eq(lua_State *L)
{
    int kind;
    for (kind = 0; kind < GLUE_KINDS; kind++) {
        glue_box *a = glue_test(L, 1, kind), *b = glue_test(L, 2, kind);
        if (a && b) {
            lua_pushboolean(L, a->handle == b->handle);
            return 1;
        }
    }
    lua_pushboolean(L, 0);
    return 1;
}

static int object_tostring(lua_State *L)
{
    glue_kind kind = (glue_kind)lua_tointeger(L, lua_upvalueindex(1));
    glue_box *box = glue_test(L, 1, kind);
    if (!box) return glue_fail(L, "ARGUMENT", "expected a %s, got %s", names[kind], kind_of(L, 1));
    if (!box->handle) {
        lua_pushfstring(L, "%s (closed)", names[kind]);
    } else if (kind == GLUE_TENSOR) {
        char *text = NULL;
        GLUE_TRY(L, dl_tensor_text(&text, box->handle));
        glue_push_text(L, text);
    } else {
        glue_push_class(L, kind);
        if (lua_getfield(L, -1, "tostring") == LUA_TFUNCTION) {
            lua_pushvalue(L, 1);
            lua_call(L, 1, 1);
        } else {
            lua_pushfstring(L, "%s: %p", names[kind], (void *)box);
        }
    }
    return 1;
}

static void open_kind(lua_State *L, int kind)
{
    lua_createtable(L, 0, 8); /* the class */
    lua_newtable(L);
    lua_setfield(L, -2, "methods");
    lua_newtable(L);
    lua_setfield(L, -2, "getters");
    lua_newtable(L);
    lua_setfield(L, -2, "setters");
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &class_keys[kind]);

    luaL_newmetatable(L, names[kind]);
    if (kind == GLUE_TENSOR) {
        luaL_setfuncs(L, glue_tensor_metamethods(), 0);
        luaL_setfuncs(L, glue_tensor_operators(), 0);
    }
    lua_getfield(L, -2, "methods");
    lua_getfield(L, -3, "getters");
    lua_pushvalue(L, -4);
    lua_pushcclosure(L, kind == GLUE_TENSOR ? glue_tensor_index : object_index, 3);
    lua_setfield(L, -2, "__index");
    lua_getfield(L, -2, "setters");
    lua_pushstring(L, names[kind]);
    lua_pushvalue(L, -4);
    lua_pushcclosure(L, kind == GLUE_TENSOR ? glue_tensor_newindex : object_newindex, 3);
    lua_setfield(L, -2, "__newindex");
    lua_pushcfunction(L, object_eq);
    lua_setfield(L, -2, "__eq");
    lua_pushinteger(L, kind);
    lua_pushcclosure(L, object_tostring, 1);
    lua_setfield(L, -2, "__tostring");
    lua_pushinteger(L, kind);
    lua_pushcclosure(L, object_close, 1);
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, "__gc");
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, "__close");
    lua_getfield(L, -3, "methods");
    lua_insert(L, -2);
    lua_setfield(L, -2, "close");
    lua_pushinteger(L, kind);
    lua_pushcclosure(L, object_closed, 1);
    lua_setfield(L, -2, "is_closed");
    lua_pop(L, 1);
    /* Scripts get the name instead of the table, so that they cannot take it apart. */
    lua_pushstring(L, names[kind]);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 2);
}

/* class(name) -> {methods, getters, setters, missing, tostring} */
static int core_class(lua_State *L)
{
    int kind = luaL_checkoption(L, 1, NULL, (const char *const[]){"dl.Tensor", "dl.Tape", "dl.Layer", "dl.Model", "dl.Loss",
                                                                  "dl.Metric", "dl.Optimizer", "dl.Fit",
                                                                  "dl.Function", NULL});
    glue_push_class(L, kind);
    return 1;
}

/* metamethod(name, event, function) */
static int core_metamethod(lua_State *L)
{
    luaL_getmetatable(L, luaL_checkstring(L, 1));
    lua_pushvalue(L, 2);
    lua_pushvalue(L, 3);
    lua_settable(L, -3);
    return 0;
}

/* kind(value) -> "dl.Tensor" and so on, or nil */
static int core_kind(lua_State *L)
{
    int kind;
    if (lua_type(L, 1) == LUA_TUSERDATA)
        for (kind = 0; kind < GLUE_KINDS; kind++)
            if (glue_test(L, 1, kind)) {
                lua_pushstring(L, names[kind]);
                return 1;
            }
    lua_pushnil(L);
    return 1;
}

/* fail(tag, message): raises at the line of the caller outside of dl */
static int core_fail(lua_State *L)
{
    luaL_checkstring(L, 2);
    lua_settop(L, 2);
    return glue_fail_top(L, luaL_checkstring(L, 1));
}

void glue_open_kinds(lua_State *L)
{
    static const luaL_Reg functions[] = {{"class", core_class},
                                         {"metamethod", core_metamethod},
                                         {"kind", core_kind},
                                         {"fields", core_fields},
                                         {"set_fields", core_set_fields},
                                         {"fail", core_fail},
                                         {NULL, NULL}};
    int kind;
    for (kind = 0; kind < GLUE_KINDS; kind++) open_kind(L, kind);
    luaL_setfuncs(L, functions, 0);
}
