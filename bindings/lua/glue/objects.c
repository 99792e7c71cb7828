/* Classes written in Lua that stand in the place of the library's: initializers, regularizers, constraints, losses,
 * schedules, optimizers, and metrics with states. */
#include "glue.h"

/* ---- Classes without states ------------------------------------------------------------------------------------ */

/* The function gets what is asked for, the configuration as text, and tensors; it returns a tensor, a number, or a list. */
static void run_object(lua_State *L, const glue_ref *ref, void *argument)
{
    const dl_object_call *call = argument;
    int32_t i;
    lua_Integer at;
    luaL_checkstack(L, 12, NULL);
    glue_ref_push(L, ref);
    lua_pushstring(L, call->what);
    lua_pushstring(L, call->config);
    lua_createtable(L, call->input_count, 0);
    for (i = 0; i < call->input_count; i++) {
        glue_push_borrowed(L, GLUE_TENSOR, call->inputs[i]);
        lua_rawseti(L, -2, i + 1);
    }
    lua_call(L, 3, 1);
    if (!lua_istable(L, -1)) {
        dl_tensor *tensor = glue_operand(L, -1, DL_FLOAT32);
        GLUE_TRY(L, dl_step_output(call->results, tensor));
        return;
    }
    for (at = 1; lua_rawgeti(L, -1, at) != LUA_TNIL; at++) {
        dl_tensor *tensor = glue_operand(L, -1, DL_FLOAT32);
        GLUE_TRY(L, dl_step_output(call->results, tensor));
        lua_pop(L, 1);
    }
}

static int32_t on_object(const dl_object_call *call, void *payload)
{
    return glue_run(payload, run_object, (void *)(uintptr_t)call);
}

/* object_register(category, class name, function) */
static int core_object_register(lua_State *L)
{
    const char *category = luaL_checkstring(L, 1), *name = luaL_checkstring(L, 2);
    glue_ref *ref;
    luaL_checktype(L, 3, LUA_TFUNCTION);
    lua_settop(L, 3);
    ref = glue_ref_create(L);
    GLUE_ONCE(L, dl_object_register(category, name, on_object, glue_ref_destroy, ref));
    return 0;
}

/* object_check(category, {class_name, config} or name): raises where it is none */
static int core_object_check(lua_State *L)
{
    const char *category = luaL_checkstring(L, 1), *json;
    lua_settop(L, 2);
    json = glue_json_encode(L, 2);
    GLUE_TRY(L, dl_object_check(category, json));
    return 0;
}

/* object_apply(category, {class_name, config} or name, tensor) -> tensor */
static int core_object_apply(lua_State *L)
{
    const char *category = luaL_checkstring(L, 1), *json;
    dl_tensor *tensor;
    glue_box *box;
    lua_settop(L, 3);
    tensor = glue_operand(L, 3, DL_FLOAT32);
    json = glue_json_encode(L, 2);
    box = glue_push(L, GLUE_TENSOR);
    GLUE_TRY(L, dl_object_apply((dl_tensor **)&box->handle, category, json, tensor));
    glue_account(L, box);
    return 1;
}

/* ---- Metrics --------------------------------------------------------------------------------------------------- */

typedef struct metric_call {
    dl_metric *metric;
    dl_tensor *y_true, *y_pred, *weight;
    dl_tensor **out;
} metric_call;

static void push_metric(lua_State *L, const glue_ref *ref, dl_metric *metric)
{
    glue_push_borrowed(L, GLUE_METRIC, metric);
    glue_ref_push(L, ref);
    lua_setiuservalue(L, -2, 1);
}

static void push_method(lua_State *L, const glue_ref *ref, const char *name)
{
    glue_ref_push(L, ref);
    lua_getfield(L, -1, name);
    lua_remove(L, -2);
}

static void push_tensor(lua_State *L, dl_tensor *tensor)
{
    if (tensor) glue_push_borrowed(L, GLUE_TENSOR, tensor);
    else lua_pushnil(L);
}

static void run_update(lua_State *L, const glue_ref *ref, void *argument)
{
    const metric_call *call = argument;
    push_method(L, ref, "update_state");
    push_metric(L, ref, call->metric);
    push_tensor(L, call->y_true);
    push_tensor(L, call->y_pred);
    push_tensor(L, call->weight);
    lua_call(L, 4, 0);
}

static int32_t on_update(dl_metric *metric, dl_tensor *y_true, dl_tensor *y_pred, dl_tensor *weight, void *payload)
{
    metric_call call = {metric, y_true, y_pred, weight, NULL};
    return glue_run(payload, run_update, &call);
}

static void run_result(lua_State *L, const glue_ref *ref, void *argument)
{
    const metric_call *call = argument;
    dl_tensor *tensor;
    push_method(L, ref, "result");
    push_metric(L, ref, call->metric);
    lua_call(L, 1, 1);
    if (!lua_isuserdata(L, -1) && lua_type(L, -1) != LUA_TNUMBER) {
        glue_fail(L, "ARGUMENT", "'result' of a metric returned %s; expected a tensor or a number", luaL_typename(L, -1));
        return;
    }
    tensor = glue_operand(L, -1, DL_FLOAT32);
    GLUE_TRY(L, dl_tensor_retain(tensor));
    *call->out = tensor;
}

static int32_t on_result(dl_tensor **out, dl_metric *metric, void *payload)
{
    metric_call call = {metric, NULL, NULL, NULL, out};
    *out = NULL;
    return glue_run(payload, run_result, &call);
}

/* metric_class(class name, config, fields) -> metric */
static int core_metric_class(lua_State *L)
{
    static const dl_metric_callbacks callbacks = {1, 0, on_update, on_result, glue_ref_destroy};
    const char *name = luaL_checkstring(L, 1), *config;
    glue_box *box;
    glue_ref *ref;
    luaL_checktype(L, 3, LUA_TTABLE);
    lua_settop(L, 3);
    config = glue_json_encode(L, 2);
    box = glue_push(L, GLUE_METRIC);
    lua_pushvalue(L, 3);
    lua_setiuservalue(L, -2, 1);
    lua_pushvalue(L, 3);
    ref = glue_ref_create(L);
    GLUE_ONCE(L, dl_metric_create_stateful((dl_metric **)&box->handle, name, config, &callbacks, ref));
    return 1;
}

/* metric_add_variable(metric, name, tensor) -> variable */
static int core_metric_add_variable(lua_State *L)
{
    dl_metric *metric = glue_check(L, 1, GLUE_METRIC)->handle;
    const char *name = luaL_checkstring(L, 2);
    dl_tensor *value = glue_tensor(L, 3);
    glue_box *box = glue_push(L, GLUE_TENSOR);
    GLUE_TRY(L, dl_metric_add_variable((dl_tensor **)&box->handle, metric, name, value));
    return 1;
}

typedef struct make_call {
    dl_metric **out;
    const char *config;
} make_call;

static void run_make(lua_State *L, const glue_ref *ref, void *argument)
{
    make_call *call = argument;
    dl_metric *metric;
    glue_ref_push(L, ref);
    glue_json_decode(L, call->config ? call->config : "{}");
    lua_call(L, 1, 1);
    metric = glue_check(L, -1, GLUE_METRIC)->handle;
    GLUE_TRY(L, dl_metric_retain(metric));
    *call->out = metric;
}

static int32_t on_make(dl_metric **out, const char *config, void *payload)
{
    make_call call = {out, config};
    *out = NULL;
    return glue_run(payload, run_make, &call);
}

/* metric_register(class name, function(config) -> metric) */
static int core_metric_register(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    glue_ref *ref;
    luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_settop(L, 2);
    ref = glue_ref_create(L);
    GLUE_ONCE(L, dl_metric_register(name, on_make, glue_ref_destroy, ref));
    return 0;
}

/* optimizer_exclude(optimizer, variables, names) */
static int core_optimizer_exclude(lua_State *L)
{
    dl_optimizer *optimizer = glue_check(L, 1, GLUE_OPTIMIZER)->handle;
    dl_tensor **variables;
    const char *names;
    int32_t count;
    lua_settop(L, 3);
    variables = (dl_tensor **)glue_handles(L, 2, GLUE_TENSOR, 0, &count);
    names = glue_json_encode(L, 3);
    GLUE_TRY(L, dl_optimizer_exclude_from_weight_decay(optimizer, variables, count, names));
    return 0;
}

void glue_open_objects(lua_State *L)
{
    static const luaL_Reg functions[] = {{"object_register", core_object_register},
                                         {"object_check", core_object_check},
                                         {"object_apply", core_object_apply},
                                         {"metric_class", core_metric_class},
                                         {"metric_add_variable", core_metric_add_variable},
                                         {"metric_register", core_metric_register},
                                         {"optimizer_exclude", core_optimizer_exclude},
                                         {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
