/* Tensors: made from Lua values and turned back into them. */
#include "glue.h"

#include <math.h>
#include <string.h>

/* ---- Element types and shapes -------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    dl_dtype dtype;
} dtype_names[] = {
    {"float32", DL_FLOAT32}, {"f32", DL_FLOAT32}, {"float64", DL_FLOAT64}, {"f64", DL_FLOAT64},
    {"int32", DL_INT32},     {"i32", DL_INT32},   {"int64", DL_INT64},     {"i64", DL_INT64},
    {"uint8", DL_UINT8},     {"u8", DL_UINT8},    {"bool", DL_BOOL},
};

dl_dtype glue_dtype(lua_State *L, int index)
{
    const char *name = lua_tostring(L, index);
    size_t i;
    for (i = 0; name && i < sizeof dtype_names / sizeof *dtype_names; i++)
        if (strcmp(name, dtype_names[i].name) == 0) return dtype_names[i].dtype;
    luaL_tolstring(L, index, NULL);
    return (dl_dtype)glue_fail(L, "DTYPE", "unknown dtype '%s'; expected float32, float64, int32, int64, uint8 or bool",
                               lua_tostring(L, -1));
}

const char *glue_dtype_name(dl_dtype dtype)
{
    switch (dtype) {
    case DL_FLOAT32: return "float32";
    case DL_FLOAT64: return "float64";
    case DL_INT32: return "int32";
    case DL_INT64: return "int64";
    case DL_UINT8: return "uint8";
    case DL_BOOL: return "bool";
    default: return "unknown";
    }
}

int64_t glue_dtype_size(dl_dtype dtype)
{
    switch (dtype) {
    case DL_FLOAT64:
    case DL_INT64: return 8;
    case DL_FLOAT32:
    case DL_INT32: return 4;
    default: return 1;
    }
}

int32_t glue_shape(lua_State *L, int index, int64_t shape[DL_MAX_RANK])
{
    lua_Unsigned rank, i;
    if (lua_isinteger(L, index)) {
        shape[0] = lua_tointeger(L, index);
        return 1;
    }
    if (!lua_istable(L, index)) return glue_fail(L, "ARGUMENT", "expected a list of sizes, got %s", luaL_typename(L, index));
    rank = lua_rawlen(L, index);
    if (rank > DL_MAX_RANK) return glue_fail(L, "SHAPE", "%d axes are too many; %d is the limit", (int)rank, DL_MAX_RANK);
    for (i = 0; i < rank; i++) {
        int whole;
        lua_rawgeti(L, index, (lua_Integer)i + 1);
        shape[i] = lua_tointegerx(L, -1, &whole);
        if (!lua_toboolean(L, -1) || lua_islightuserdata(L, -1)) {
            shape[i] = -1;
        } else if (!whole || shape[i] < -1) {
            luaL_tolstring(L, -1, NULL);
            return glue_fail(L, "SHAPE", "size %d of a shape must be a whole number, got %s", (int)i + 1,
                             lua_tostring(L, -1));
        }
        lua_pop(L, 1);
    }
    return (int32_t)rank;
}

void glue_push_shape(lua_State *L, int32_t rank, const int64_t *shape)
{
    int32_t i;
    lua_createtable(L, rank, 0);
    luaL_setmetatable(L, "dl.Shape");
    for (i = 0; i < rank; i++) {
        if (shape[i] < 0) lua_pushboolean(L, 0);
        else lua_pushinteger(L, shape[i]);
        lua_rawseti(L, -2, i + 1);
    }
}

/* ---- From Lua values ----------------------------------------------------------------------------------------- */

typedef struct filler {
    lua_State *L;
    dl_dtype dtype;
    int32_t rank;
    int64_t shape[DL_MAX_RANK];
    char *at;
    /* Where in the nested table we are, for messages. */
    int64_t place[DL_MAX_RANK];
} filler;

static void push_place(filler *f)
{
    int32_t i;
    luaL_Buffer b;
    luaL_buffinit(f->L, &b);
    for (i = 0; i < f->rank; i++) {
        lua_pushfstring(f->L, i ? ", %I" : "%I", (LUAI_UACINT)f->place[i]);
        luaL_addvalue(&b);
    }
    luaL_pushresult(&b);
}

static void store_whole(filler *f, int64_t low, int64_t high)
{
    lua_State *L = f->L;
    int whole;
    lua_Integer value = lua_tointegerx(L, -1, &whole);
    if (!whole || value < low || value > high) {
        luaL_tolstring(L, -1, NULL);
        push_place(f);
        glue_fail(L, "DTYPE", "%s at (%s) does not fit into %s", lua_tostring(L, -2), lua_tostring(L, -1),
                  glue_dtype_name(f->dtype));
    }
    switch (f->dtype) {
    case DL_INT32: {
        int32_t v = (int32_t)value;
        memcpy(f->at, &v, sizeof v);
        break;
    }
    case DL_INT64: memcpy(f->at, &value, 8); break;
    default: *f->at = (char)(unsigned char)value; break;
    }
}

/* Stores the value on top of the stack. */
static void store(filler *f)
{
    lua_State *L = f->L;
    int type = lua_type(L, -1);
    if (type == LUA_TBOOLEAN) {
        int truth = lua_toboolean(L, -1);
        if (f->dtype == DL_BOOL) {
            *f->at = (char)truth;
            f->at += 1;
            return;
        }
        lua_pushinteger(L, truth);
        lua_replace(L, -2);
    } else if (type != LUA_TNUMBER) {
        push_place(f);
        glue_fail(L, "ARGUMENT", "element (%s) is %s; expected a number or a boolean", lua_tostring(L, -1),
                  luaL_typename(L, -2));
    }
    switch (f->dtype) {
    case DL_FLOAT32: {
        float v = (float)lua_tonumber(L, -1);
        memcpy(f->at, &v, sizeof v);
        break;
    }
    case DL_FLOAT64: {
        double v = (double)lua_tonumber(L, -1);
        memcpy(f->at, &v, sizeof v);
        break;
    }
    case DL_INT32: store_whole(f, INT32_MIN, INT32_MAX); break;
    case DL_INT64: store_whole(f, INT64_MIN, INT64_MAX); break;
    case DL_UINT8: store_whole(f, 0, 255); break;
    case DL_BOOL: *f->at = lua_tonumber(L, -1) != 0; break;
    default: break;
    }
    f->at += glue_dtype_size(f->dtype);
}

/* Fills from the table on top of the stack. */
static void fill(filler *f, int32_t axis)
{
    lua_State *L = f->L;
    int64_t i;
    if (!lua_istable(L, -1)) {
        f->rank = axis;
        push_place(f);
        glue_fail(L, "SHAPE", "element (%s) is a %s where others are tables", lua_tostring(L, -1), luaL_typename(L, -2));
    }
    if ((int64_t)lua_rawlen(L, -1) != f->shape[axis]) {
        int64_t length = (int64_t)lua_rawlen(L, -1);
        int64_t expected = f->shape[axis];
        f->rank = axis;
        push_place(f);
        glue_fail(L, "SHAPE", "the table at (%s) has %I entries, others have %I", lua_tostring(L, -1),
                  (LUAI_UACINT)length, (LUAI_UACINT)expected);
    }
    luaL_checkstack(L, 8, NULL);
    for (i = 1; i <= f->shape[axis]; i++) {
        f->place[axis] = i;
        lua_rawgeti(L, -1, i);
        if (axis + 1 < f->rank) fill(f, axis + 1);
        else store(f);
        lua_pop(L, 1);
    }
}

/* Pushes a tensor made from a number, boolean or nested table; dtype 0 takes float32, or bool for booleans. */
static glue_box *make(lua_State *L, int index, dl_dtype dtype)
{
    filler f;
    glue_box *box;
    void *data = NULL;
    int depth = 0;
    memset(&f, 0, sizeof f);
    f.L = L;
    index = lua_absindex(L, index);
    luaL_checkstack(L, DL_MAX_RANK + 12, NULL);
    lua_pushvalue(L, index);
    while (lua_istable(L, -1)) {
        if (f.rank == DL_MAX_RANK) glue_fail(L, "SHAPE", "more than %d tables inside each other", DL_MAX_RANK);
        f.shape[f.rank++] = (int64_t)lua_rawlen(L, -1);
        depth++;
        if (lua_rawlen(L, -1) == 0) {
            /* A table of named fields is no tensor, and saying so beats an empty one. */
            lua_pushnil(L);
            if (lua_next(L, -2)) glue_fail(L, "ARGUMENT", "a table with names is no tensor; expected a list of numbers");
            lua_pushnil(L);
            break;
        }
        lua_rawgeti(L, -1, 1);
    }
    if (!lua_isnil(L, -1) && !lua_isboolean(L, -1) && lua_type(L, -1) != LUA_TNUMBER)
        glue_fail(L, "ARGUMENT", "expected numbers or booleans, got %s", luaL_typename(L, -1));
    if (lua_isnil(L, -1) && depth == 0) glue_fail(L, "ARGUMENT", "expected a number or a table of numbers, got nil");
    f.dtype = dtype ? dtype : lua_isboolean(L, -1) ? DL_BOOL : DL_FLOAT32;
    lua_settop(L, lua_gettop(L) - depth - 1);

    box = glue_push(L, GLUE_TENSOR);
    GLUE_TRY(L, dl_tensor_create((dl_tensor **)&box->handle, f.dtype, f.rank, f.shape, NULL));
    GLUE_TRY(L, dl_tensor_mutable_data(&data, box->handle));
    f.at = data;
    lua_pushvalue(L, index);
    if (f.rank) fill(&f, 0);
    else store(&f);
    lua_pop(L, 1);
    glue_account(L, box);
    return box;
}

/* tensor(value, dtype) */
static int core_tensor(lua_State *L)
{
    dl_dtype dtype = lua_isnoneornil(L, 2) ? 0 : glue_dtype(L, 2);
    lua_settop(L, 1);
    make(L, 1, dtype);
    return 1;
}

dl_tensor *glue_operand(lua_State *L, int index, dl_dtype like)
{
    dl_dtype dtype = like;
    index = lua_absindex(L, index);
    if (lua_type(L, index) == LUA_TUSERDATA) return glue_tensor(L, index);
    if (lua_type(L, index) == LUA_TNUMBER && dtype != DL_FLOAT32 && dtype != DL_FLOAT64) {
        int whole;
        lua_Integer value = lua_tointegerx(L, index, &whole);
        if (!whole) dtype = DL_FLOAT32;
        else if (dtype == DL_BOOL || (dtype == DL_UINT8 && (value < 0 || value > 255))) dtype = DL_INT32;
        if (whole && dtype == DL_INT32 && (value < INT32_MIN || value > INT32_MAX)) dtype = DL_INT64;
    } else if (lua_type(L, index) == LUA_TTABLE) {
        dtype = 0;
    } else if (lua_isboolean(L, index)) {
        dtype = DL_BOOL;
    }
    make(L, index, dtype);
    lua_replace(L, index);
    return ((glue_box *)lua_touserdata(L, index))->handle;
}

/* full(shape, value, dtype): every element the same number */
static int core_full(lua_State *L)
{
    int64_t shape[DL_MAX_RANK], size = 1, i, width;
    int32_t rank = glue_shape(L, 1, shape), axis;
    dl_dtype dtype = lua_isnoneornil(L, 3) ? DL_FLOAT32 : glue_dtype(L, 3);
    void *data = NULL;
    glue_box *box = glue_push(L, GLUE_TENSOR);
    for (axis = 0; axis < rank; axis++)
        if (shape[axis] < 0) return glue_fail(L, "SHAPE", "size %d of the shape is not known", (int)axis + 1);
    GLUE_TRY(L, dl_tensor_create((dl_tensor **)&box->handle, dtype, rank, shape, NULL));
    glue_account(L, box);
    if (lua_type(L, 2) == LUA_TNUMBER && lua_tonumber(L, 2) == 0) return 1;
    GLUE_TRY(L, dl_tensor_mutable_data(&data, box->handle));
    for (axis = 0; axis < rank; axis++) size *= shape[axis];
    if (size) {
        filler f;
        memset(&f, 0, sizeof f);
        f.L = L;
        f.dtype = dtype;
        f.at = data;
        lua_pushvalue(L, 2);
        store(&f);
        lua_pop(L, 1);
        width = glue_dtype_size(dtype);
        for (i = 1; i < size; i++) memcpy((char *)data + i * width, data, (size_t)width);
    }
    return 1;
}

/* initialize(initializer, shape, dtype): contents drawn as for a layer's weight */
static int core_initialize(lua_State *L)
{
    int64_t shape[DL_MAX_RANK];
    int32_t rank = glue_shape(L, 2, shape);
    dl_dtype dtype = lua_isnoneornil(L, 3) ? DL_FLOAT32 : glue_dtype(L, 3);
    const char *initializer = lua_istable(L, 1) ? glue_json_encode(L, 1) : luaL_checkstring(L, 1);
    glue_box *box = glue_push(L, GLUE_TENSOR);
    GLUE_TRY(L, dl_tensor_initialize((dl_tensor **)&box->handle, initializer, dtype, rank, shape));
    glue_account(L, box);
    return 1;
}

/* ---- To Lua values ------------------------------------------------------------------------------------------- */

static const char *push_element(lua_State *L, dl_dtype dtype, const char *at)
{
    switch (dtype) {
    case DL_FLOAT32: {
        float v;
        memcpy(&v, at, sizeof v);
        lua_pushnumber(L, (lua_Number)v);
        break;
    }
    case DL_FLOAT64: {
        double v;
        memcpy(&v, at, sizeof v);
        lua_pushnumber(L, (lua_Number)v);
        break;
    }
    case DL_INT32: {
        int32_t v;
        memcpy(&v, at, sizeof v);
        lua_pushinteger(L, v);
        break;
    }
    case DL_INT64: {
        int64_t v;
        memcpy(&v, at, sizeof v);
        lua_pushinteger(L, v);
        break;
    }
    case DL_UINT8: lua_pushinteger(L, *(const unsigned char *)at); break;
    default: lua_pushboolean(L, *at != 0); break;
    }
    return at + glue_dtype_size(dtype);
}

static const char *push_nested(lua_State *L, dl_dtype dtype, int32_t rank, const int64_t *shape, const char *at)
{
    int64_t i;
    if (rank == 0) return push_element(L, dtype, at);
    luaL_checkstack(L, 6, NULL);
    lua_createtable(L, shape[0] > 1 << 24 ? 0 : (int)shape[0], 0);
    for (i = 1; i <= shape[0]; i++) {
        at = push_nested(L, dtype, rank - 1, shape + 1, at);
        lua_rawseti(L, -2, i);
    }
    return at;
}

/* Whether the library's view of the tensor has anything in it, and what. */
static const char *contents(lua_State *L, dl_dtype *dtype, int32_t *rank, int64_t *shape)
{
    const void *data = NULL;
    dl_tensor *tensor = glue_tensor(L, 1);
    GLUE_TRY(L, dl_tensor_data(&data, tensor));
    GLUE_TRY(L, dl_tensor_dtype(dtype, tensor));
    GLUE_TRY(L, dl_tensor_shape(rank, shape, tensor));
    return data;
}

/* totable(tensor): nested tables, or the number of a scalar */
static int core_totable(lua_State *L)
{
    int64_t shape[DL_MAX_RANK];
    int32_t rank;
    dl_dtype dtype;
    const char *data = contents(L, &dtype, &rank, shape);
    push_nested(L, dtype, rank, shape, data);
    return 1;
}

/* item(tensor): its only element */
static int core_item(lua_State *L)
{
    int64_t shape[DL_MAX_RANK], size = 1;
    int32_t rank, i;
    dl_dtype dtype;
    const char *data = contents(L, &dtype, &rank, shape);
    for (i = 0; i < rank; i++) size *= shape[i];
    if (size != 1)
        return glue_fail(L, "SHAPE", "item() needs a tensor of one element, this one has %I", (LUAI_UACINT)size);
    push_element(L, dtype, data);
    return 1;
}

static int core_shape(lua_State *L)
{
    int64_t shape[DL_MAX_RANK];
    int32_t rank;
    dl_tensor *tensor = glue_tensor(L, 1);
    GLUE_TRY(L, dl_tensor_shape(&rank, shape, tensor));
    glue_push_shape(L, rank, shape);
    return 1;
}

static int core_dtype(lua_State *L)
{
    dl_dtype dtype;
    dl_tensor *tensor = glue_tensor(L, 1);
    GLUE_TRY(L, dl_tensor_dtype(&dtype, tensor));
    lua_pushstring(L, glue_dtype_name(dtype));
    return 1;
}

static int core_size(lua_State *L)
{
    int64_t size;
    dl_tensor *tensor = glue_tensor(L, 1);
    GLUE_TRY(L, dl_tensor_size(&size, tensor));
    lua_pushinteger(L, size);
    return 1;
}

/* tensor_kind(tensor) -> "tensor", "variable" or "symbolic" */
static int core_tensor_kind(lua_State *L)
{
    int32_t kind;
    dl_tensor *tensor = glue_tensor(L, 1);
    GLUE_TRY(L, dl_tensor_kind(&kind, tensor));
    lua_pushstring(L, kind == DL_KIND_SYMBOLIC ? "symbolic" : kind == DL_KIND_VARIABLE ? "variable" : "tensor");
    return 1;
}

/* ---- Variables ----------------------------------------------------------------------------------------------- */

/* variable(initial, name or nil, trainable) */
static int core_variable(lua_State *L)
{
    dl_tensor *initial = glue_tensor(L, 1);
    const char *name = luaL_optstring(L, 2, NULL);
    int trainable = lua_isnoneornil(L, 3) ? 1 : lua_toboolean(L, 3);
    glue_box *box = glue_push(L, GLUE_TENSOR);
    GLUE_TRY(L, dl_variable_create((dl_tensor **)&box->handle, initial, name, trainable));
    glue_account(L, box);
    return 1;
}

static int core_assign(lua_State *L)
{
    dl_tensor *variable = glue_tensor(L, 1), *value = glue_tensor(L, 2);
    GLUE_TRY(L, dl_variable_assign(variable, value));
    return 0;
}

/* variable_info(variable) -> name, trainable */
static int core_variable_info(lua_State *L)
{
    char *name = NULL;
    int32_t trainable;
    dl_tensor *tensor = glue_tensor(L, 1);
    GLUE_TRY(L, dl_variable_info(&name, &trainable, tensor));
    glue_push_text(L, name);
    lua_pushboolean(L, trainable);
    return 2;
}

/* (2, None, 3) */
static int shape_tostring(lua_State *L)
{
    lua_Unsigned i, rank = lua_rawlen(L, 1);
    luaL_Buffer b;
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_buffinit(L, &b);
    luaL_addchar(&b, '(');
    for (i = 1; i <= rank; i++) {
        if (i > 1) luaL_addstring(&b, ", ");
        lua_rawgeti(L, 1, (lua_Integer)i);
        if (lua_toboolean(L, -1)) luaL_tolstring(L, -1, NULL);
        else lua_pushliteral(L, "None");
        lua_remove(L, -2);
        luaL_addvalue(&b);
    }
    luaL_addstring(&b, rank == 1 ? ",)" : ")");
    luaL_pushresult(&b);
    return 1;
}

void glue_open_tensor(lua_State *L)
{
    static const luaL_Reg functions[] = {{"tensor", core_tensor},
                                         {"full", core_full},
                                         {"initialize", core_initialize},
                                         {"totable", core_totable},
                                         {"item", core_item},
                                         {"shape", core_shape},
                                         {"dtype", core_dtype},
                                         {"size", core_size},
                                         {"tensor_kind", core_tensor_kind},
                                         {"variable", core_variable},
                                         {"assign", core_assign},
                                         {"variable_info", core_variable_info},
                                         {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
    luaL_newmetatable(L, "dl.Shape");
    lua_pushcfunction(L, shape_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pop(L, 1);
}
