/* Models and steps written in Lua: the library's callbacks into them, and the parts that steps are made of. */
#include "glue.h"
#include "training.h"

/* ---- Steps ---------------------------------------------------------------------------------------------------- */

typedef struct step_call {
    dl_model *model;
    const dl_step *step;
} step_call;

static void push_list(lua_State *L, dl_tensor *const *tensors, int32_t count)
{
    int32_t i;
    lua_createtable(L, count, 0);
    for (i = 0; i < count; i++) {
        if (tensors[i]) glue_push_borrowed(L, GLUE_TENSOR, tensors[i]);
        else lua_pushboolean(L, 0);
        lua_rawseti(L, -2, i + 1);
    }
}

/* The function gets kind, model, x, y, sample weights, predictions, training; it returns a list: names and figures in
 * turn, or tensors. */
static void run_step(lua_State *L, const glue_ref *ref, void *argument)
{
    static const char *const kinds[] = {NULL, "train", "test", "predict", "loss", "reset"};
    const step_call *call = argument;
    const dl_step *step = call->step;
    lua_Integer i;
    if (step->kind < 1 || step->kind >= (int32_t)(sizeof kinds / sizeof *kinds)) return;
    luaL_checkstack(L, 16, NULL);
    glue_ref_push(L, ref);
    lua_pushstring(L, kinds[step->kind]);
    glue_push_borrowed(L, GLUE_MODEL, call->model);
    push_list(L, step->x, step->x_count);
    push_list(L, step->y, step->y_count);
    push_list(L, step->sample_weight, step->weight_count);
    push_list(L, step->predictions, step->prediction_count);
    lua_pushboolean(L, step->training);
    lua_call(L, 7, 1);
    if (!lua_istable(L, -1)) return;
    if (step->kind == DL_STEP_TRAIN || step->kind == DL_STEP_TEST) {
        for (i = 1; lua_rawgeti(L, -1, i) == LUA_TSTRING; i += 2) {
            const char *name = lua_tostring(L, -1);
            double value;
            lua_rawgeti(L, -2, i + 1);
            value = (double)luaL_checknumber(L, -1);
            GLUE_TRY(L, dl_step_log(step->results, name, value));
            lua_pop(L, 2);
        }
    } else {
        for (i = 1; lua_rawgeti(L, -1, i) != LUA_TNIL; i++) {
            dl_tensor *tensor = glue_operand(L, -1, DL_FLOAT32);
            GLUE_TRY(L, dl_step_output(step->results, tensor));
            lua_pop(L, 1);
        }
    }
}

static int32_t on_step(dl_model *model, const dl_step *step, void *payload)
{
    step_call call = {model, step};
    return glue_run(payload, run_step, &call);
}

/* model_set_steps(model, sum of 1 << kind, function) */
static int core_model_set_steps(lua_State *L)
{
    dl_model *model = glue_model(L, 1);
    int32_t kinds = (int32_t)luaL_checkinteger(L, 2);
    glue_ref *ref;
    if (!kinds) {
        GLUE_ONCE(L, dl_model_set_steps(model, 0, NULL, NULL, NULL));
        return 0;
    }
    luaL_checktype(L, 3, LUA_TFUNCTION);
    lua_settop(L, 3);
    ref = glue_ref_create(L);
    GLUE_ONCE(L, dl_model_set_steps(model, kinds, on_step, glue_ref_destroy, ref));
    return 0;
}

/* layer_set_sublayers(layer, list of layers and models) */
static int core_layer_set_sublayers(lua_State *L)
{
    dl_layer *layer = glue_layer(L, 1), **layers;
    lua_Unsigned i, count;
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    count = lua_rawlen(L, 2);
    if (count > 1 << 20) return glue_fail(L, "ARGUMENT", "too many layers");
    layers = lua_newuserdatauv(L, ((size_t)count + 1) * sizeof *layers, 0);
    for (i = 0; i < count; i++) {
        lua_rawgeti(L, 2, (lua_Integer)i + 1);
        /* The list keeps the layer alive. */
        layers[i] = glue_layer(L, -1);
        lua_pop(L, 1);
    }
    GLUE_TRY(L, dl_layer_set_sublayers(layer, layers, (int32_t)count));
    return 0;
}

/* ---- Parts of a step ------------------------------------------------------------------------------------------- */

/* compute_loss(model, {x = predictions, y, sample_weight}) -> tensor */
static int core_compute_loss(lua_State *L)
{
    dl_data data;
    dl_model *model = glue_model(L, 1);
    glue_box *box;
    glue_read_data(L, 2, &data);
    box = glue_push(L, GLUE_TENSOR);
    GLUE_TRY(L, dl_model_compute_loss((dl_tensor **)&box->handle, model, &data));
    glue_account(L, box);
    return 1;
}

/* compute_metrics(model, {x = predictions, y, sample_weight}) */
static int core_compute_metrics(lua_State *L)
{
    dl_data data;
    dl_model *model = glue_model(L, 1);
    glue_read_data(L, 2, &data);
    GLUE_TRY(L, dl_model_compute_metrics(model, &data));
    return 0;
}

#define MOST_VALUES 512

/* model_results(model) -> list of values */
static int core_model_results(lua_State *L)
{
    double values[MOST_VALUES];
    dl_model *model = glue_model(L, 1);
    int32_t i, count = 0;
    GLUE_TRY(L, dl_model_results(values, MOST_VALUES, &count, model));
    lua_createtable(L, count, count);
    for (i = 0; i < count; i++) {
        lua_pushnumber(L, values[i]);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

static int core_reset_metrics(lua_State *L)
{
    dl_model *model = glue_model(L, 1);
    GLUE_TRY(L, dl_model_reset_metrics(model));
    return 0;
}

/* model_metrics(model) -> list */
static int core_model_metrics(lua_State *L)
{
    dl_model *model = glue_model(L, 1);
    dl_metric *metrics[MOST_VALUES];
    int32_t i, count = 0;
    GLUE_TRY(L, dl_model_metrics(metrics, MOST_VALUES, &count, model));
    lua_createtable(L, count, 0);
    for (i = 0; i < count; i++) {
        /* The list of the library's is short; a failure here loses at most what is left of it. */
        glue_push(L, GLUE_METRIC)->handle = metrics[i];
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

void glue_open_steps(lua_State *L)
{
    static const luaL_Reg functions[] = {{"model_set_steps", core_model_set_steps},
                                         {"layer_set_sublayers", core_layer_set_sublayers},
                                         {"compute_loss", core_compute_loss},
                                         {"compute_metrics", core_compute_metrics},
                                         {"model_results", core_model_results},
                                         {"reset_metrics", core_reset_metrics},
                                         {"model_metrics", core_model_metrics},
                                         {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
