/* Models: built, looked into, saved and loaded. */
#include "glue.h"

#include <string.h>

static int core_sequential(lua_State *L)
{
    const char *name = luaL_optstring(L, 1, NULL);
    glue_box *box = glue_push(L, GLUE_MODEL);
    GLUE_TRY(L, dl_sequential_create((dl_model **)&box->handle, name));
    return 1;
}

static int core_sequential_add(lua_State *L)
{
    dl_model *model = glue_model(L, 1);
    dl_layer *layer = glue_layer(L, 2);
    GLUE_TRY(L, dl_sequential_add(model, layer));
    glue_account_weights(L, 1);
    return 0;
}

static int core_sequential_pop(lua_State *L)
{
    dl_model *model = glue_model(L, 1);
    GLUE_TRY(L, dl_sequential_pop(model));
    return 0;
}

/* input(shape without the batch axis, dtype or nil, name or nil) -> symbolic tensor */
static int core_input(lua_State *L)
{
    int64_t shape[DL_MAX_RANK];
    int32_t rank = glue_shape(L, 1, shape);
    dl_dtype dtype = lua_isnoneornil(L, 2) ? DL_FLOAT32 : glue_dtype(L, 2);
    const char *name = luaL_optstring(L, 3, NULL);
    glue_box *box = glue_push(L, GLUE_TENSOR);
    GLUE_TRY(L, dl_input((dl_tensor **)&box->handle, rank, shape, dtype, name));
    return 1;
}

/* model(name or nil, inputs, outputs, output names or nil) */
static int core_model(lua_State *L)
{
    const char *name = luaL_optstring(L, 1, NULL), **names = NULL;
    dl_tensor **inputs, **outputs;
    int32_t input_count, output_count, i;
    glue_box *box;
    lua_settop(L, 4);
    inputs = (dl_tensor **)glue_handles(L, 2, GLUE_TENSOR, 0, &input_count);
    outputs = (dl_tensor **)glue_handles(L, 3, GLUE_TENSOR, 0, &output_count);
    if (lua_istable(L, 4)) {
        names = lua_newuserdatauv(L, ((size_t)output_count + 1) * sizeof *names, 0);
        for (i = 0; i < output_count; i++) {
            lua_rawgeti(L, 4, i + 1);
            /* The list keeps the string alive. */
            names[i] = luaL_checkstring(L, -1);
            lua_pop(L, 1);
        }
    }
    box = glue_push(L, GLUE_MODEL);
    GLUE_TRY(L, dl_model_create((dl_model **)&box->handle, name, inputs, input_count, outputs, output_count, names));
    glue_account_weights(L, lua_gettop(L));
    return 1;
}

/* application(name, options or nil) */
static int core_application(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1), *options = NULL;
    glue_box *box;
    lua_settop(L, 2);
    if (!lua_isnil(L, 2)) options = glue_json_encode(L, 2);
    box = glue_push(L, GLUE_MODEL);
    GLUE_TRY(L, dl_application_create((dl_model **)&box->handle, name, options));
    glue_account_weights(L, lua_gettop(L));
    return 1;
}

static int core_model_to_json(lua_State *L)
{
    char *text = NULL;
    dl_model *model = glue_model(L, 1);
    GLUE_TRY(L, dl_model_to_json(&text, model));
    glue_push_text(L, text);
    return 1;
}

static int core_model_from_json(lua_State *L)
{
    const char *json = luaL_checkstring(L, 1);
    glue_box *box = glue_push(L, GLUE_MODEL);
    GLUE_TRY(L, dl_model_from_json((dl_model **)&box->handle, json));
    glue_account_weights(L, lua_gettop(L));
    return 1;
}

/* model_layer(model, name or position from 0) */
static int core_model_layer(lua_State *L)
{
    dl_model *model = glue_model(L, 1);
    const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : NULL;
    int32_t index = name ? 0 : (int32_t)luaL_checkinteger(L, 2);
    glue_box *box = glue_push(L, GLUE_LAYER);
    GLUE_TRY(L, dl_model_layer((dl_layer **)&box->handle, model, name, index));
    return 1;
}

static int core_model_layer_count(lua_State *L)
{
    int32_t count;
    dl_model *model = glue_model(L, 1);
    GLUE_TRY(L, dl_model_layer_count(&count, model));
    lua_pushinteger(L, count);
    return 1;
}

/* model_summary(model, width) -> text */
static int core_model_summary(lua_State *L)
{
    char *text = NULL;
    int32_t width = (int32_t)luaL_optinteger(L, 2, 0);
    dl_model *model = glue_model(L, 1);
    GLUE_TRY(L, dl_model_summary(&text, model, width));
    glue_push_text(L, text);
    return 1;
}

/* model_explain(model, options) -> text */
static int core_model_explain(lua_State *L)
{
    char *text = NULL;
    const char *options;
    dl_model *model = glue_model(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    if (lua_getfield(L, 2, "trace") != LUA_TNIL) glue_check_files(L);
    options = glue_json_encode(L, 2);
    GLUE_TRY(L, dl_model_explain(&text, model, options));
    glue_push_text(L, text);
    return 1;
}

static int core_model_optimizer(lua_State *L)
{
    dl_model *model = glue_model(L, 1);
    glue_box *box = glue_push(L, GLUE_OPTIMIZER);
    GLUE_TRY(L, dl_model_optimizer((dl_optimizer **)&box->handle, model));
    return 1;
}

/* ---- Files: true or a model, or nil, message, code -------------------------------------------------------------- */

/* model_save(model, path, include_optimizer) */
static int core_model_save(lua_State *L)
{
    dl_model *model = glue_model(L, 1);
    const char *path = luaL_checkstring(L, 2);
    int optimizer = lua_toboolean(L, 3);
    glue_check_files(L);
    GLUE_FILE(L, dl_model_save(model, path, optimizer));
    lua_pushboolean(L, 1);
    return 1;
}

static int core_model_load(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    glue_box *box = glue_push(L, GLUE_MODEL);
    glue_check_files(L);
    GLUE_FILE(L, dl_model_load((dl_model **)&box->handle, path));
    glue_account_weights(L, lua_gettop(L));
    return 1;
}

static int core_model_save_weights(lua_State *L)
{
    dl_model *model = glue_model(L, 1);
    const char *path = luaL_checkstring(L, 2);
    glue_check_files(L);
    GLUE_FILE(L, dl_model_save_weights(model, path));
    lua_pushboolean(L, 1);
    return 1;
}

static int core_model_load_weights(lua_State *L)
{
    dl_model *model = glue_model(L, 1);
    const char *path = luaL_checkstring(L, 2);
    glue_check_files(L);
    GLUE_FILE(L, dl_model_load_weights(model, path));
    lua_pushboolean(L, 1);
    return 1;
}

/* tensor_load(path) */
static int core_tensor_load(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    glue_box *box = glue_push(L, GLUE_TENSOR);
    glue_check_files(L);
    GLUE_FILE(L, dl_tensor_load((dl_tensor **)&box->handle, path));
    glue_account(L, box);
    return 1;
}

/* tensor_save(tensor, path) */
static int core_tensor_save(lua_State *L)
{
    dl_tensor *tensor = glue_tensor(L, 1);
    const char *path = luaL_checkstring(L, 2);
    glue_check_files(L);
    GLUE_FILE(L, dl_tensor_save(tensor, path));
    lua_pushboolean(L, 1);
    return 1;
}

/* csv_load(path, options or nil) -> tensor, names */
static int core_csv_load(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1), *options = NULL;
    char *names = NULL;
    glue_box *box;
    lua_settop(L, 2);
    if (!lua_isnil(L, 2)) options = glue_json_encode(L, 2);
    box = glue_push(L, GLUE_TENSOR);
    glue_check_files(L);
    GLUE_FILE(L, dl_csv_load((dl_tensor **)&box->handle, &names, path, options));
    glue_account(L, box);
    if (!names) return 1;
    glue_push_json(L, names);
    return 2;
}

/* dataset_load(name, options or nil) -> x_train, y_train, x_test, y_test, info */
static int core_dataset_load(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1), *options = NULL;
    dl_tensor *outputs[4] = {NULL, NULL, NULL, NULL};
    char *info = NULL;
    glue_box *boxes[4];
    int i;
    lua_settop(L, 2);
    if (!lua_isnil(L, 2)) options = glue_json_encode(L, 2);
    /* These two are made up, the others read files. */
    if (strcmp(name, "shapes") != 0 && strcmp(name, "make_blobs") != 0) glue_check_files(L);
    for (i = 0; i < 4; i++) boxes[i] = glue_push(L, GLUE_TENSOR);
    GLUE_FILE(L, dl_dataset_load(outputs, &info, name, options));
    for (i = 0; i < 4; i++) boxes[i]->handle = outputs[i];
    if (info) glue_push_json(L, info);
    else lua_pushnil(L);
    for (i = 0; i < 4; i++) glue_account(L, boxes[i]);
    return 5;
}

void glue_open_model(lua_State *L)
{
    static const luaL_Reg functions[] = {{"sequential", core_sequential},
                                         {"sequential_add", core_sequential_add},
                                         {"sequential_pop", core_sequential_pop},
                                         {"input", core_input},
                                         {"model", core_model},
                                         {"model_to_json", core_model_to_json},
                                         {"model_from_json", core_model_from_json},
                                         {"model_layer", core_model_layer},
                                         {"model_layer_count", core_model_layer_count},
                                         {"model_summary", core_model_summary},
                                         {"model_explain", core_model_explain},
                                         {"application", core_application},
                                         {"model_optimizer", core_model_optimizer},
                                         {"model_save", core_model_save},
                                         {"model_load", core_model_load},
                                         {"model_save_weights", core_model_save_weights},
                                         {"model_load_weights", core_model_load_weights},
                                         {"tensor_load", core_tensor_load},
                                         {"tensor_save", core_tensor_save},
                                         {"csv_load", core_csv_load},
                                         {"dataset_load", core_dataset_load},
                                         {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
