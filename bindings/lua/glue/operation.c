/* Operations by name, and the operators of tensors. */
#include "glue.h"

#include <string.h>

/* ---- Operators ----------------------------------------------------------------------------------------------- */

static int apply_into(lua_State *L, const char *name, dl_tensor *const *inputs, int32_t count)
{
    int32_t results = 0;
    glue_box *box = glue_push(L, GLUE_TENSOR);
    GLUE_TRY(L, dl_operation_apply((dl_tensor **)&box->handle, 1, &results, name, inputs, count, NULL));
    glue_account(L, box);
    return 1;
}

static int binary(lua_State *L, const char *name)
{
    dl_tensor *inputs[2];
    dl_dtype like = DL_FLOAT32;
    glue_box *box = glue_test(L, 1, GLUE_TENSOR);
    lua_settop(L, 2);
    if (!box) box = glue_test(L, 2, GLUE_TENSOR);
    if (box && box->handle) GLUE_TRY(L, dl_tensor_dtype(&like, box->handle));
    inputs[0] = glue_operand(L, 1, like);
    inputs[1] = glue_operand(L, 2, like);
    return apply_into(L, name, inputs, 2);
}

static int unary(lua_State *L, const char *name)
{
    dl_tensor *input = glue_tensor(L, 1);
    return apply_into(L, name, &input, 1);
}

static int is_bool(lua_State *L)
{
    int i;
    for (i = 1; i <= 2; i++) {
        glue_box *box = glue_test(L, i, GLUE_TENSOR);
        dl_dtype dtype = 0;
        if (!box || !box->handle) continue;
        GLUE_TRY(L, dl_tensor_dtype(&dtype, box->handle));
        if (dtype == DL_BOOL) return 1;
    }
    return 0;
}

static int tensor_add(lua_State *L) { return binary(L, "add"); }
static int tensor_sub(lua_State *L) { return binary(L, "subtract"); }
static int tensor_mul(lua_State *L) { return binary(L, "multiply"); }
static int tensor_div(lua_State *L) { return binary(L, "divide"); }
static int tensor_idiv(lua_State *L) { return binary(L, "floor_divide"); }
static int tensor_mod(lua_State *L) { return binary(L, "mod"); }
static int tensor_pow(lua_State *L) { return binary(L, "power"); }
static int tensor_unm(lua_State *L) { return unary(L, "negative"); }
static int tensor_band(lua_State *L) { return binary(L, is_bool(L) ? "logical_and" : "bitwise_and"); }
static int tensor_bor(lua_State *L) { return binary(L, is_bool(L) ? "logical_or" : "bitwise_or"); }
static int tensor_bxor(lua_State *L) { return binary(L, is_bool(L) ? "logical_xor" : "bitwise_xor"); }
static int tensor_bnot(lua_State *L) { return unary(L, is_bool(L) ? "logical_not" : "bitwise_not"); }
static int tensor_shl(lua_State *L) { return binary(L, "bitwise_left_shift"); }
static int tensor_shr(lua_State *L) { return binary(L, "bitwise_right_shift"); }

const luaL_Reg *glue_tensor_operators(void)
{
    static const luaL_Reg functions[] = {
        {"__add", tensor_add},   {"__sub", tensor_sub},   {"__mul", tensor_mul}, {"__div", tensor_div},
        {"__idiv", tensor_idiv}, {"__mod", tensor_mod},   {"__pow", tensor_pow}, {"__unm", tensor_unm},
        {"__band", tensor_band}, {"__bor", tensor_bor},   {"__bxor", tensor_bxor},
        {"__bnot", tensor_bnot}, {"__shl", tensor_shl},   {"__shr", tensor_shr}, {NULL, NULL}};
    return functions;
}

/* ---- By name ------------------------------------------------------------------------------------------------- */

void **glue_handles(lua_State *L, int index, glue_kind kind, int optional, int32_t *count)
{
    void **handles;
    lua_Unsigned i, length;
    *count = 0;
    if (lua_isnoneornil(L, index)) {
        lua_pushnil(L);
        return NULL;
    }
    index = lua_absindex(L, index);
    luaL_checktype(L, index, LUA_TTABLE);
    length = lua_rawlen(L, index);
    if (length > 1 << 20) glue_fail(L, "ARGUMENT", "a list of %I is too long", (LUAI_UACINT)length);
    handles = lua_newuserdatauv(L, (size_t)(length + 1) * sizeof *handles, 0);
    for (i = 0; i < length; i++) {
        lua_rawgeti(L, index, (lua_Integer)i + 1);
        if (optional && !lua_toboolean(L, -1)) handles[i] = NULL;
        else if (kind == GLUE_LAYER) handles[i] = glue_layer(L, -1);
        else handles[i] = glue_check(L, -1, kind)->handle;
        lua_pop(L, 1);
    }
    *count = (int32_t)length;
    return handles;
}

/* apply(name, inputs, attributes or nil, note or nil) -> results
 *
 * inputs: a list of tensors and numbers, which is changed. note: added to messages of shapes and ranges. */
static int core_apply(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1), *attributes = NULL;
    dl_tensor **inputs, *results[GLUE_RESULTS];
    dl_dtype like = DL_FLOAT32;
    int32_t count, number = 0;
    lua_Unsigned i;
    glue_frame frame;
    dl_status status;
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 4);
    if (!lua_isnil(L, 3)) attributes = glue_json_encode(L, 3);
    for (i = lua_rawlen(L, 2); i >= 1; i--) {
        lua_rawgeti(L, 2, (lua_Integer)i);
        if (lua_isuserdata(L, -1)) {
            dl_tensor *tensor = glue_tensor(L, -1);
            GLUE_TRY(L, dl_tensor_dtype(&like, tensor));
        }
        lua_pop(L, 1);
    }
    for (i = 1; i <= lua_rawlen(L, 2); i++) {
        if (lua_rawgeti(L, 2, (lua_Integer)i) != LUA_TUSERDATA) {
            glue_operand(L, -1, like);
            lua_rawseti(L, 2, (lua_Integer)i);
        } else {
            lua_pop(L, 1);
        }
    }
    inputs = (dl_tensor **)glue_handles(L, 2, GLUE_TENSOR, 0, &count);
    glue_enter(L, &frame);
    status = dl_operation_apply(results, GLUE_RESULTS, &number, name, inputs, count, attributes);
    if (status == DL_ERROR_MEMORY && glue_retry(&frame))
        status = dl_operation_apply(results, GLUE_RESULTS, &number, name, inputs, count, attributes);
    glue_leave(&frame);
    if (status == DL_OK) return glue_push_results(L, results, number, 1);
    if ((status == DL_ERROR_RANGE || status == DL_ERROR_SHAPE) && !frame.error_at && lua_isstring(L, 4)) {
        lua_pushfstring(L, "%s %s", dl_last_error(), lua_tostring(L, 4));
        return glue_fail_top(L, status == DL_ERROR_RANGE ? "RANGE" : "SHAPE");
    }
    return glue_raise(L, &frame, status);
}

void glue_open_operation(lua_State *L)
{
    static const luaL_Reg functions[] = {{"apply", core_apply}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
