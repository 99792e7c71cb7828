/* compile, evaluate, predict, and single batches. */
#include "glue.h"
#include "training.h"

#include <string.h>

/* Reads a field of the table at an index and leaves it on the stack. */
static int field(lua_State *L, int index, const char *name) { return lua_getfield(L, index, name) != LUA_TNIL; }

int32_t glue_int_field(lua_State *L, int index, const char *name, int32_t otherwise)
{
    lua_Integer value = otherwise;
    int whole = 1;
    if (field(L, index, name)) value = lua_isboolean(L, -1) ? lua_toboolean(L, -1) : lua_tointegerx(L, -1, &whole);
    if (!whole || value < INT32_MIN || value > INT32_MAX) {
        luaL_tolstring(L, -1, NULL);
        glue_fail(L, "ARGUMENT", "'%s' must be a whole number, got %s", name, lua_tostring(L, -1));
    }
    lua_pop(L, 1);
    return (int32_t)value;
}

double glue_number_field(lua_State *L, int index, const char *name)
{
    double value = 0;
    if (field(L, index, name)) {
        if (lua_type(L, -1) != LUA_TNUMBER)
            glue_fail(L, "ARGUMENT", "'%s' must be a number, got %s", name, luaL_typename(L, -1));
        value = (double)lua_tonumber(L, -1);
    }
    lua_pop(L, 1);
    return value;
}

const char *glue_text_field(lua_State *L, int index, const char *name)
{
    if (!field(L, index, name)) {
        lua_pop(L, 1);
        return NULL;
    }
    /* The text stays on the stack, which keeps it alive. */
    if (lua_type(L, -1) == LUA_TSTRING) return lua_tostring(L, -1);
    return glue_json_encode(L, -1);
}

static void **handle_field(lua_State *L, int index, const char *name, glue_kind kind, int optional, int32_t *count)
{
    void **handles;
    field(L, index, name);
    handles = glue_handles(L, -1, kind, optional, count);
    return handles;
}

void glue_read_data(lua_State *L, int index, dl_data *data)
{
    static const dl_data empty = DL_DATA_INIT;
    *data = empty;
    luaL_checktype(L, index, LUA_TTABLE);
    luaL_checkstack(L, 12, NULL);
    data->x = (dl_tensor *const *)handle_field(L, index, "x", GLUE_TENSOR, 0, &data->x_count);
    data->y = (dl_tensor *const *)handle_field(L, index, "y", GLUE_TENSOR, 0, &data->y_count);
    data->sample_weight =
        (dl_tensor *const *)handle_field(L, index, "sample_weight", GLUE_TENSOR, 1, &data->weight_count);
}

const double *glue_numbers(lua_State *L, int index, const char *name, int32_t *count)
{
    double *numbers;
    lua_Unsigned i, length;
    *count = 0;
    if (!field(L, index, name)) return NULL;
    luaL_checktype(L, -1, LUA_TTABLE);
    length = lua_rawlen(L, -1);
    if (length > 1 << 24) glue_fail(L, "ARGUMENT", "'%s' is too long", name);
    numbers = lua_newuserdatauv(L, (size_t)(length + 1) * sizeof *numbers, 0);
    for (i = 0; i < length; i++) {
        lua_rawgeti(L, -2, (lua_Integer)i + 1);
        numbers[i] = (double)lua_tonumber(L, -1);
        lua_pop(L, 1);
    }
    *count = (int32_t)length;
    return numbers;
}

/* compile(model, {optimizer, optimizer_object, loss, metrics, weighted_metrics, loss_weights, losses, metric_objects,
 * run_eagerly, label_base}) */
static int core_compile(lua_State *L)
{
    dl_compile_options options = DL_COMPILE_OPTIONS_INIT;
    dl_model *model = glue_model(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    luaL_checkstack(L, 24, NULL);
    options.run_eagerly = glue_int_field(L, 2, "run_eagerly", 0);
    options.label_base = glue_int_field(L, 2, "label_base", 1);
    options.optimizer = glue_text_field(L, 2, "optimizer");
    options.loss = glue_text_field(L, 2, "loss");
    options.metrics = glue_text_field(L, 2, "metrics");
    options.weighted_metrics = glue_text_field(L, 2, "weighted_metrics");
    options.loss_weights = glue_text_field(L, 2, "loss_weights");
    options.losses = (dl_loss *const *)handle_field(L, 2, "losses", GLUE_LOSS, 0, &options.loss_count);
    options.metric_objects =
        (dl_metric *const *)handle_field(L, 2, "metric_objects", GLUE_METRIC, 0, &options.metric_count);
    if (field(L, 2, "optimizer_object")) options.optimizer_object = glue_check(L, -1, GLUE_OPTIMIZER)->handle;
    GLUE_TRY(L, dl_model_compile(model, &options));
    glue_account_weights(L, 1);
    return 0;
}

/* metrics_names(model) -> list */
static int core_metrics_names(lua_State *L)
{
    char *names = NULL;
    dl_model *model = glue_model(L, 1);
    GLUE_TRY(L, dl_model_metrics_names(&names, model));
    glue_push_json(L, names);
    return 1;
}

static int push_values(lua_State *L, const double *values, int32_t count)
{
    int32_t i;
    lua_createtable(L, count, count);
    for (i = 0; i < count; i++) {
        lua_pushnumber(L, values[i]);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

#define MOST_VALUES 512

/* evaluate(model, data, batch_size or 0) -> list of values */
static int core_evaluate(lua_State *L)
{
    dl_data data;
    double values[MOST_VALUES];
    dl_model *model = glue_model(L, 1);
    int32_t count = 0, batch = (int32_t)luaL_optinteger(L, 3, 0);
    glue_read_data(L, 2, &data);
    GLUE_TRY(L, dl_model_evaluate(values, MOST_VALUES, &count, model, &data, batch));
    return push_values(L, values, count);
}

/* evaluate_batch(model, data, whether it is the first) -> list of values of all batches so far */
static int core_evaluate_batch(lua_State *L)
{
    dl_data data;
    double values[MOST_VALUES];
    dl_model *model = glue_model(L, 1);
    int32_t count = 0, is_first = lua_toboolean(L, 3);
    glue_read_data(L, 2, &data);
    GLUE_ONCE(L, dl_model_evaluate_batch(values, MOST_VALUES, &count, model, &data, is_first));
    return push_values(L, values, count);
}

/* train_on_batch(model, data with class_weight) -> list of values */
static int core_train_on_batch(lua_State *L)
{
    dl_data data;
    double values[MOST_VALUES];
    const double *weights;
    dl_model *model = glue_model(L, 1);
    int32_t count = 0, weight_count;
    glue_read_data(L, 2, &data);
    weights = glue_numbers(L, 2, "class_weight", &weight_count);
    GLUE_TRY(L, dl_model_train_on_batch(values, MOST_VALUES, &count, model, &data, weights, weight_count));
    return push_values(L, values, count);
}

static int core_test_on_batch(lua_State *L)
{
    dl_data data;
    double values[MOST_VALUES];
    dl_model *model = glue_model(L, 1);
    int32_t count = 0;
    glue_read_data(L, 2, &data);
    GLUE_TRY(L, dl_model_test_on_batch(values, MOST_VALUES, &count, model, &data));
    return push_values(L, values, count);
}

/* predict(model, list of inputs, batch_size or 0) -> tensors */
static int core_predict(lua_State *L)
{
    dl_tensor **inputs, *outputs[GLUE_RESULTS];
    dl_model *model = glue_model(L, 1);
    int32_t input_count, count = 0, batch = (int32_t)luaL_optinteger(L, 3, 0);
    inputs = (dl_tensor **)glue_handles(L, 2, GLUE_TENSOR, 0, &input_count);
    GLUE_TRY(L, dl_model_predict(outputs, GLUE_RESULTS, &count, model, inputs, input_count, batch));
    return glue_push_results(L, outputs, count, 1);
}

void glue_open_training(lua_State *L)
{
    static const luaL_Reg functions[] = {{"compile", core_compile},
                                         {"metrics_names", core_metrics_names},
                                         {"evaluate", core_evaluate},
                                         {"evaluate_batch", core_evaluate_batch},
                                         {"train_on_batch", core_train_on_batch},
                                         {"test_on_batch", core_test_on_batch},
                                         {"predict", core_predict},
                                         {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
