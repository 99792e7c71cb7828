/* t[1], t[{ {2, 5}, 1 }], t[mask], #t: parts of tensors, with positions from 1. */
#include "glue.h"

/* A range {from, to, step} with both ends in it, at the top of the stack. */
static void read_range(lua_State *L, int axis, dl_index *index)
{
    int64_t part[3] = {1, -1, 1};
    int given[3], i, whole;
    if (lua_rawlen(L, -1) > 3) glue_fail(L, "ARGUMENT", "the range for axis %d has more than {from, to, step}", axis);
    for (i = 0; i < 3; i++) {
        lua_rawgeti(L, -1, i + 1);
        given[i] = lua_toboolean(L, -1);
        if (given[i]) {
            part[i] = lua_tointegerx(L, -1, &whole);
            if (!whole) glue_fail(L, "ARGUMENT", "the range for axis %d must have whole numbers", axis);
            if (part[i] == 0)
                glue_fail(L, "RANGE", "0 in the range for axis %d; positions count from 1, and from the end with -1", axis);
        }
        lua_pop(L, 1);
    }
    index->kind = DL_INDEX_RANGE;
    index->step = part[2];
    index->start = part[0] > 0 ? part[0] - 1 : part[0];
    if (!given[0]) index->flags |= DL_INDEX_NO_START;
    if (!given[1]) {
        index->flags |= DL_INDEX_NO_STOP;
    } else if (part[2] > 0) {
        /* The last one is in; the library leaves `stop` out. */
        if (part[1] == -1) index->flags |= DL_INDEX_NO_STOP;
        index->stop = part[1] > 0 ? part[1] : part[1] + 1;
    } else {
        if (part[1] == 1) index->flags |= DL_INDEX_NO_STOP;
        index->stop = part[1] > 0 ? part[1] - 2 : part[1] - 1;
    }
}

/* One position, at the top of the stack. */
static void read_position(lua_State *L, int axis, int64_t size, dl_index *index)
{
    int whole;
    lua_Integer position = lua_tointegerx(L, -1, &whole);
    if (!whole) {
        luaL_tolstring(L, -1, NULL);
        glue_fail(L, "ARGUMENT", "index %s for axis %d; expected a whole number or a range {from, to}", lua_tostring(L, -1),
                  axis);
    }
    if (position == 0) glue_fail(L, "RANGE", "index 0 for axis %d; positions count from 1, and from the end with -1", axis);
    if (size >= 0 && (position > size || position < -size))
        glue_fail(L, "RANGE", "index %I is out of range for axis %d of size %I", (LUAI_UACINT)position, axis,
                  (LUAI_UACINT)size);
    index->kind = DL_INDEX_AT;
    index->start = position > 0 ? position - 1 : position;
}

/* Reads the key at stack index 2, an integer or a table of positions and ranges. Returns the number of entries. */
static int32_t read_key(lua_State *L, dl_tensor *tensor, dl_index entries[DL_MAX_RANK])
{
    int64_t shape[DL_MAX_RANK];
    int32_t rank, i, count = 1;
    GLUE_TRY(L, dl_tensor_shape(&rank, shape, tensor));
    if (lua_istable(L, 2)) count = (int32_t)(lua_rawlen(L, 2) > DL_MAX_RANK ? DL_MAX_RANK + 1 : lua_rawlen(L, 2));
    if (count > rank)
        glue_fail(L, "SHAPE", "an index for %d axes, but the tensor has %d", (int)count, (int)rank);
    for (i = 0; i < count; i++) {
        dl_index *index = &entries[i];
        index->kind = index->flags = 0;
        index->start = index->stop = 0;
        index->step = 1;
        if (lua_istable(L, 2)) lua_rawgeti(L, 2, i + 1);
        else lua_pushvalue(L, 2);
        if (lua_istable(L, -1)) read_range(L, i + 1, index);
        else read_position(L, i + 1, shape[i], index);
        lua_pop(L, 1);
    }
    return count;
}

static int push_part(lua_State *L)
{
    dl_tensor *tensor = glue_tensor(L, 1);
    dl_index entries[DL_MAX_RANK];
    int32_t count = read_key(L, tensor, entries);
    glue_box *box = glue_push(L, GLUE_TENSOR);
    GLUE_TRY(L, dl_tensor_index((dl_tensor **)&box->handle, tensor, entries, count));
    glue_account(L, box);
    return 1;
}

/* Calls a function of the class with what is on the stack. */
static int call_hook(lua_State *L, const char *name, int results)
{
    glue_push_class(L, GLUE_TENSOR);
    if (lua_getfield(L, -1, name) != LUA_TFUNCTION) return glue_fail(L, "INTERNAL", "no function '%s'", name);
    lua_remove(L, -2);
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, results);
    return results;
}

/* Upvalues: methods, getters, class. */
int glue_tensor_index(lua_State *L)
{
    switch (lua_type(L, 2)) {
    case LUA_TSTRING:
        lua_pushvalue(L, 2);
        if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) return 1;
        lua_pushvalue(L, 2);
        if (lua_rawget(L, lua_upvalueindex(2)) != LUA_TNIL) {
            lua_pushvalue(L, 1);
            lua_call(L, 1, 1);
            return 1;
        }
        lua_settop(L, 2);
        return call_hook(L, "missing", 1);
    case LUA_TNUMBER: {
        /* ipairs ends at the nil behind the last one. */
        int64_t shape[DL_MAX_RANK];
        int32_t rank;
        dl_tensor *tensor = glue_tensor(L, 1);
        GLUE_TRY(L, dl_tensor_shape(&rank, shape, tensor));
        if (rank > 0 && shape[0] >= 0 && lua_isinteger(L, 2) && lua_tointeger(L, 2) == shape[0] + 1) {
            lua_pushnil(L);
            return 1;
        }
        return push_part(L);
    }
    case LUA_TTABLE: return push_part(L);
    case LUA_TUSERDATA: return call_hook(L, "masked", 1);
    default:
        return glue_fail(L, "ARGUMENT", "a tensor is indexed by a number, a table of ranges or a bool tensor, not by a %s",
                         luaL_typename(L, 2));
    }
}

int glue_tensor_newindex(lua_State *L)
{
    dl_tensor *tensor = glue_tensor(L, 1), *value;
    dl_index entries[DL_MAX_RANK];
    dl_dtype dtype;
    int32_t count;
    switch (lua_type(L, 2)) {
    case LUA_TNUMBER:
    case LUA_TTABLE: break;
    case LUA_TUSERDATA: return call_hook(L, "assign_masked", 0);
    case LUA_TSTRING: return call_hook(L, "set", 0);
    default:
        return glue_fail(L, "ARGUMENT", "a tensor is indexed by a number, a table of ranges or a bool tensor, not by a %s",
                         luaL_typename(L, 2));
    }
    count = read_key(L, tensor, entries);
    GLUE_TRY(L, dl_tensor_dtype(&dtype, tensor));
    value = glue_operand(L, 3, dtype);
    GLUE_TRY(L, dl_tensor_index_assign(tensor, entries, count, value));
    return 0;
}

static int tensor_len(lua_State *L)
{
    int64_t shape[DL_MAX_RANK];
    int32_t rank;
    dl_tensor *tensor = glue_tensor(L, 1);
    GLUE_TRY(L, dl_tensor_shape(&rank, shape, tensor));
    if (rank == 0) return glue_fail(L, "SHAPE", "a tensor without axes has no length");
    if (shape[0] < 0) return glue_fail(L, "STATE", "the length of this symbolic tensor is not known yet");
    lua_pushinteger(L, shape[0]);
    return 1;
}

static int tensor_concat(lua_State *L)
{
    int i;
    for (i = 1; i <= 2; i++) {
        double number;
        dl_dtype dtype;
        glue_box *box = glue_test(L, i, GLUE_TENSOR);
        if (!box) continue;
        dl_tensor *tensor = glue_tensor(L, i);
        GLUE_TRY(L, dl_tensor_item(&number, tensor));
        GLUE_TRY(L, dl_tensor_dtype(&dtype, box->handle));
        if (dtype == DL_FLOAT32 || dtype == DL_FLOAT64) lua_pushnumber(L, (lua_Number)number);
        else lua_pushinteger(L, (lua_Integer)number);
        lua_replace(L, i);
    }
    luaL_tolstring(L, 1, NULL);
    luaL_tolstring(L, 2, NULL);
    lua_concat(L, 2);
    return 1;
}

static int tensor_compare(lua_State *L)
{
    return glue_fail(L, "ARGUMENT", "tensors are compared element by element with t:lt(x), t:le(x), t:gt(x), t:ge(x)");
}

const luaL_Reg *glue_tensor_metamethods(void)
{
    static const luaL_Reg functions[] = {{"__len", tensor_len},
                                         {"__concat", tensor_concat},
                                         {"__lt", tensor_compare},
                                         {"__le", tensor_compare},
                                         {NULL, NULL}};
    return functions;
}

/* index(tensor, key): the part, also where t[#t + 1] would be nil */
void glue_open_index(lua_State *L)
{
    static const luaL_Reg functions[] = {{"index", push_part}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
