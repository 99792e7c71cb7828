/* Layers, and models where they are used as layers. */
#include "glue.h"

/* layer_create(class, config, layers that the config refers to, or nil) */
static int core_layer_create(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1), *config = NULL;
    dl_layer **layers;
    int32_t count;
    glue_box *box;
    lua_settop(L, 3);
    if (!lua_isnil(L, 2)) config = glue_json_encode(L, 2);
    layers = (dl_layer **)glue_handles(L, 3, GLUE_LAYER, 0, &count);
    box = glue_push(L, GLUE_LAYER);
    GLUE_TRY(L, dl_layer_create_around((dl_layer **)&box->handle, name, config, layers, count));
    return 1;
}

/* layer_from_json(text) */
static int core_layer_from_json(lua_State *L)
{
    const char *json = luaL_checkstring(L, 1);
    glue_box *box = glue_push(L, GLUE_LAYER);
    GLUE_TRY(L, dl_layer_from_json((dl_layer **)&box->handle, json));
    return 1;
}

/* layer_to_json(layer) -> text */
static int core_layer_to_json(lua_State *L)
{
    char *text = NULL;
    dl_layer *layer = glue_layer(L, 1);
    GLUE_TRY(L, dl_layer_to_json(&text, layer));
    glue_push_text(L, text);
    return 1;
}

static int core_layer_info(lua_State *L)
{
    char *text = NULL;
    dl_layer *layer = glue_layer(L, 1);
    GLUE_TRY(L, dl_layer_info(&text, layer));
    glue_push_json(L, text);
    return 1;
}

/* layer_call(layer, inputs, training or nil) -> results. inputs: a list, which is changed. */
static int core_layer_call(lua_State *L)
{
    dl_layer *layer = glue_layer(L, 1);
    int32_t training = lua_isnoneornil(L, 3) ? -1 : lua_toboolean(L, 3), count, number = 0;
    dl_tensor **inputs, *results[GLUE_RESULTS];
    lua_Unsigned i;
    luaL_checktype(L, 2, LUA_TTABLE);
    for (i = 1; i <= lua_rawlen(L, 2); i++) {
        if (lua_rawgeti(L, 2, (lua_Integer)i) != LUA_TUSERDATA) {
            glue_operand(L, -1, DL_FLOAT32);
            lua_rawseti(L, 2, (lua_Integer)i);
        } else {
            lua_pop(L, 1);
        }
    }
    inputs = (dl_tensor **)glue_handles(L, 2, GLUE_TENSOR, 0, &count);
    GLUE_TRY(L, dl_layer_call(results, GLUE_RESULTS, &number, layer, inputs, count, training));
    number = glue_push_results(L, results, number, 1);
    glue_account_weights(L, 1);
    return number;
}

/* layer_call_with(layer, inputs, names, options or nil) -> results. inputs: a list, the last of them those with names. */
static int core_layer_call_with(lua_State *L)
{
    dl_layer *layer = glue_layer(L, 1);
    const char **names, *options = NULL;
    int32_t count, number = 0, name_count, i;
    dl_tensor **inputs, *results[GLUE_RESULTS];
    luaL_checktype(L, 2, LUA_TTABLE);
    luaL_checktype(L, 3, LUA_TTABLE);
    lua_settop(L, 4);
    if (!lua_isnil(L, 4)) options = glue_json_encode(L, 4);
    name_count = (int32_t)lua_rawlen(L, 3);
    names = lua_newuserdatauv(L, ((size_t)name_count + 1) * sizeof *names, 0);
    for (i = 0; i < name_count; i++) {
        lua_rawgeti(L, 3, i + 1);
        names[i] = luaL_checkstring(L, -1); /* stays in the table of names */
        lua_pop(L, 1);
    }
    inputs = (dl_tensor **)glue_handles(L, 2, GLUE_TENSOR, 0, &count);
    GLUE_TRY(L, dl_layer_call_with(results, GLUE_RESULTS, &number, layer, inputs, count, names, name_count, options));
    number = glue_push_results(L, results, number, 1);
    glue_account_weights(L, 1);
    return number;
}

/* layer_build(layer, shape) */
static int core_layer_build(lua_State *L)
{
    int64_t shape[DL_MAX_RANK];
    dl_layer *layer = glue_layer(L, 1);
    int32_t rank = glue_shape(L, 2, shape);
    GLUE_TRY(L, dl_layer_build(layer, rank, shape));
    glue_account_weights(L, 1);
    return 0;
}

/* layer_add_weight(layer, name, dtype or nil, shape, initializer, regularizer, trainable) -> variable */
static int core_layer_add_weight(lua_State *L)
{
    int64_t shape[DL_MAX_RANK];
    dl_layer *layer = glue_layer(L, 1);
    const char *name = luaL_checkstring(L, 2), *initializer = NULL, *regularizer = NULL;
    dl_dtype dtype = lua_isnoneornil(L, 3) ? DL_FLOAT32 : glue_dtype(L, 3);
    int32_t rank = glue_shape(L, 4, shape);
    int trainable = lua_isnoneornil(L, 7) ? 1 : lua_toboolean(L, 7);
    glue_box *box;
    lua_settop(L, 7);
    if (lua_istable(L, 5)) initializer = glue_json_encode(L, 5);
    else if (lua_toboolean(L, 5)) initializer = luaL_checkstring(L, 5);
    if (lua_istable(L, 6)) regularizer = glue_json_encode(L, 6);
    else if (lua_toboolean(L, 6)) regularizer = luaL_checkstring(L, 6);
    box = glue_push(L, GLUE_TENSOR);
    GLUE_TRY(L, dl_layer_add_weight((dl_tensor **)&box->handle, layer, name, dtype, rank, shape, initializer, regularizer,
                                    trainable));
    return 1;
}

/* layer_weights(layer, which) -> list of variables; which: "all", "trainable" or "non_trainable" */
static int core_layer_weights(lua_State *L)
{
    static const char *const names[] = {"all", "trainable", "non_trainable", NULL};
    dl_layer *layer = glue_layer(L, 1);
    int which = luaL_checkoption(L, 2, "all", names), base;
    int32_t count = 0, number = 0, i;
    dl_tensor **weights;
    GLUE_TRY(L, dl_layer_weights(NULL, 0, &count, layer, which));
    weights = lua_newuserdatauv(L, ((size_t)count + 1) * sizeof *weights, 0);
    lua_createtable(L, count, 0);
    base = lua_gettop(L);
    for (i = 0; i < count; i++) {
        glue_push(L, GLUE_TENSOR);
        lua_rawseti(L, base, i + 1);
    }
    if (count) GLUE_TRY(L, dl_layer_weights(weights, count, &number, layer, which));
    for (i = 0; i < number; i++) {
        lua_rawgeti(L, base, i + 1);
        ((glue_box *)lua_touserdata(L, -1))->handle = weights[i];
        lua_pop(L, 1);
    }
    return 1;
}

/* layer_set_weights(layer, list) */
static int core_layer_set_weights(lua_State *L)
{
    dl_layer *layer = glue_layer(L, 1);
    int32_t count;
    dl_tensor **weights = (dl_tensor **)glue_handles(L, 2, GLUE_TENSOR, 0, &count);
    GLUE_TRY(L, dl_layer_set_weights(layer, weights, count));
    return 0;
}

static int core_layer_reset_states(lua_State *L)
{
    GLUE_TRY(L, dl_layer_reset_states(glue_layer(L, 1)));
    return 0;
}

/* tensor_mask(tensor) -> tensor or nil */
static int core_tensor_mask(lua_State *L)
{
    dl_tensor *tensor = glue_operand(L, 1, DL_FLOAT32), *mask = NULL;
    GLUE_TRY(L, dl_tensor_mask(&mask, tensor));
    if (!mask) return 0;
    return glue_push_results(L, &mask, 1, 0);
}

static int core_layer_set_trainable(lua_State *L)
{
    dl_layer *layer = glue_layer(L, 1);
    GLUE_TRY(L, dl_layer_set_trainable(layer, lua_toboolean(L, 2)));
    return 0;
}

/* layer_output(layer, position from 0), layer_input likewise */
static int core_layer_output(lua_State *L)
{
    dl_layer *layer = glue_layer(L, 1);
    int32_t index = (int32_t)luaL_optinteger(L, 2, 0);
    glue_box *box = glue_push(L, GLUE_TENSOR);
    GLUE_TRY(L, dl_layer_output((dl_tensor **)&box->handle, layer, index));
    return 1;
}

static int core_layer_input(lua_State *L)
{
    dl_layer *layer = glue_layer(L, 1);
    int32_t index = (int32_t)luaL_optinteger(L, 2, 0);
    glue_box *box = glue_push(L, GLUE_TENSOR);
    GLUE_TRY(L, dl_layer_input((dl_tensor **)&box->handle, layer, index));
    return 1;
}

/* layer_add_loss(layer, value) */
static int core_layer_add_loss(lua_State *L)
{
    dl_layer *layer = glue_layer(L, 1);
    lua_settop(L, 2);
    GLUE_TRY(L, dl_layer_add_loss(layer, glue_operand(L, 2, DL_FLOAT32)));
    return 0;
}

/* layer_add_metric(layer, value, name) */
static int core_layer_add_metric(lua_State *L)
{
    dl_layer *layer = glue_layer(L, 1);
    const char *name = luaL_checkstring(L, 3);
    lua_settop(L, 3);
    lua_pushvalue(L, 2);
    GLUE_TRY(L, dl_layer_add_metric(layer, glue_operand(L, -1, DL_FLOAT32), name));
    return 0;
}

/* layer_losses(layer) -> list of scalars */
static int core_layer_losses(lua_State *L)
{
    dl_layer *layer = glue_layer(L, 1);
    int32_t count = 0, number = 0, i;
    dl_tensor **losses;
    int base;
    GLUE_TRY(L, dl_layer_losses(NULL, 0, &count, layer));
    losses = lua_newuserdatauv(L, ((size_t)count + 1) * sizeof *losses, 0);
    lua_createtable(L, count, 0);
    base = lua_gettop(L);
    for (i = 0; i < count; i++) {
        glue_push(L, GLUE_TENSOR);
        lua_rawseti(L, base, i + 1);
    }
    if (count) GLUE_TRY(L, dl_layer_losses(losses, count, &number, layer));
    for (i = 0; i < number; i++) {
        lua_rawgeti(L, base, i + 1);
        ((glue_box *)lua_touserdata(L, -1))->handle = losses[i];
        lua_pop(L, 1);
    }
    return 1;
}

/* layer_tie(layer, other layer) */
static int core_layer_tie(lua_State *L)
{
    dl_layer *layer = glue_layer(L, 1);
    GLUE_TRY(L, dl_layer_tie(layer, glue_layer(L, 2)));
    return 0;
}

/* layer_adapt(layer, list of tensors) */
static int core_layer_adapt(lua_State *L)
{
    dl_layer *layer = glue_layer(L, 1);
    int32_t count;
    dl_tensor **batches = (dl_tensor **)glue_handles(L, 2, GLUE_TENSOR, 0, &count);
    GLUE_TRY(L, dl_layer_adapt(layer, batches, count));
    glue_account_weights(L, 1);
    return 0;
}

/* layer_compute_output_shape(layer, JSON text) -> table of shapes */
static int core_layer_compute_output_shape(lua_State *L)
{
    char *text = NULL;
    dl_layer *layer = glue_layer(L, 1);
    GLUE_TRY(L, dl_layer_compute_output_shape(&text, layer, luaL_checkstring(L, 2)));
    glue_account_weights(L, 1);
    glue_push_json(L, text);
    return 1;
}

/* layer_as_model(layer) -> model, or nil where the layer is none */
static int core_layer_as_model(lua_State *L)
{
    dl_layer *layer = glue_check(L, 1, GLUE_LAYER)->handle;
    glue_box *box = glue_push(L, GLUE_MODEL);
    dl_model *model = NULL;
    if (dl_layer_as_model(&model, layer) != DL_OK) lua_pushnil(L);
    box->handle = model;
    return 1;
}

void glue_open_layer(lua_State *L)
{
    static const luaL_Reg functions[] = {{"layer_create", core_layer_create},
                                         {"layer_from_json", core_layer_from_json},
                                         {"layer_to_json", core_layer_to_json},
                                         {"layer_info", core_layer_info},
                                         {"layer_call", core_layer_call},
                                         {"layer_call_with", core_layer_call_with},
                                         {"layer_build", core_layer_build},
                                         {"layer_add_weight", core_layer_add_weight},
                                         {"layer_weights", core_layer_weights},
                                         {"layer_set_weights", core_layer_set_weights},
                                         {"layer_set_trainable", core_layer_set_trainable},
                                         {"layer_reset_states", core_layer_reset_states},
                                         {"tensor_mask", core_tensor_mask},
                                         {"layer_output", core_layer_output},
                                         {"layer_input", core_layer_input},
                                         {"layer_as_model", core_layer_as_model},
                                         {"layer_add_loss", core_layer_add_loss},
                                         {"layer_add_metric", core_layer_add_metric},
                                         {"layer_losses", core_layer_losses},
                                         {"layer_adapt", core_layer_adapt},
                                         {"layer_tie", core_layer_tie},
                                         {"layer_compute_output_shape", core_layer_compute_output_shape},
                                         {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
