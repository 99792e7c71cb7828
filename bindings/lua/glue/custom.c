/* Layers written in Lua: the library's callbacks into them.
 *
 * What the library keeps is a reference to the layer's table of fields, whose metatable finds the class. It must not
 * reach the layer's own userdata: the two would keep each other alive for ever. */
#include "glue.h"

#include <string.h>

/* Pushes the layer or model as `self`: a userdata of its own with the fields that the reference holds. */
static void push_self(lua_State *L, const glue_ref *ref, dl_layer *layer)
{
    int32_t is_model = 0;
    GLUE_TRY(L, dl_layer_is_model(&is_model, layer));
    if (is_model) {
        glue_box *box = glue_push(L, GLUE_MODEL);
        GLUE_TRY(L, dl_layer_as_model((dl_model **)&box->handle, layer));
    } else {
        glue_push_borrowed(L, GLUE_LAYER, layer);
    }
    glue_ref_push(L, ref);
    lua_setiuservalue(L, -2, 1);
}

/* Pushes a function of the class. 0: there is none. */
static int push_function(lua_State *L, const glue_ref *ref, const char *name)
{
    glue_ref_push(L, ref);
    lua_getfield(L, -1, name);
    lua_remove(L, -2);
    return !lua_isnil(L, -1);
}

/* Tells the library of the layers that the object's fields now hold, if any were set. */
static void track(lua_State *L, const glue_ref *ref, dl_layer *layer)
{
    int top = lua_gettop(L), changed;
    glue_ref_push(L, ref);
    changed = lua_getmetatable(L, -1) && lua_getfield(L, -1, "changed") == LUA_TBOOLEAN && lua_toboolean(L, -1);
    if (changed) {
        glue_push_class(L, GLUE_LAYER);
        lua_getfield(L, -1, "track");
        push_self(L, ref, layer);
        lua_call(L, 1, 0);
    }
    lua_settop(L, top);
}

typedef struct build_call {
    dl_layer *layer;
    int32_t count;
    const int32_t *ranks;
    const int64_t *const *shapes;
} build_call;

static void run_build(lua_State *L, const glue_ref *ref, void *argument)
{
    build_call *call = argument;
    int32_t i;
    if (!push_function(L, ref, "build")) return;
    push_self(L, ref, call->layer);
    if (call->count == 1) {
        glue_push_shape(L, call->ranks[0], call->shapes[0]);
    } else {
        lua_createtable(L, call->count, 0);
        for (i = 0; i < call->count; i++) {
            glue_push_shape(L, call->ranks[i], call->shapes[i]);
            lua_rawseti(L, -2, i + 1);
        }
    }
    lua_call(L, 2, 0);
    track(L, ref, call->layer);
}

static int32_t on_build(dl_layer *layer, int32_t count, const int32_t *ranks, const int64_t *const *shapes, void *payload)
{
    build_call call = {layer, count, ranks, shapes};
    return glue_run(payload, run_build, &call);
}

typedef struct layer_call {
    dl_layer *layer;
    dl_tensor **outputs;
    int32_t capacity;
    int32_t *count;
    dl_tensor *const *inputs;
    int32_t input_count;
    int32_t training;
} layer_call;

/* Gives the library its own reference to the tensor on top of the stack. */
static void give(lua_State *L, dl_tensor **out)
{
    dl_tensor *tensor = glue_operand(L, -1, DL_FLOAT32);
    GLUE_TRY(L, dl_tensor_retain(tensor));
    *out = tensor;
}

/* Whether the value on top of the stack is a list of tensors. */
static int is_list(lua_State *L)
{
    int list;
    if (!lua_istable(L, -1)) return 0;
    list = lua_rawgeti(L, -1, 1) == LUA_TUSERDATA;
    lua_pop(L, 1);
    return list;
}

static void run_call(lua_State *L, const glue_ref *ref, void *argument)
{
    layer_call *call = argument;
    int32_t i, count = 1;
    int list;
    if (!push_function(L, ref, "call")) {
        glue_fail(L, "ARGUMENT", "the layer has no function 'call'");
        return;
    }
    push_self(L, ref, call->layer);
    if (call->input_count == 1) {
        glue_push_borrowed(L, GLUE_TENSOR, call->inputs[0]);
    } else {
        lua_createtable(L, call->input_count, 0);
        for (i = 0; i < call->input_count; i++) {
            glue_push_borrowed(L, GLUE_TENSOR, call->inputs[i]);
            lua_rawseti(L, -2, i + 1);
        }
    }
    lua_createtable(L, 0, 1);
    if (call->training >= 0) {
        lua_pushboolean(L, call->training);
        lua_setfield(L, -2, "training");
    }
    if (call->input_count > 0) {
        dl_tensor *mask = NULL;
        GLUE_TRY(L, dl_tensor_mask(&mask, call->inputs[0]));
        if (mask) {
            glue_push_results(L, &mask, 1, 0);
            lua_setfield(L, -2, "mask");
        }
    }
    lua_call(L, 3, 1);
    track(L, ref, call->layer);
    list = is_list(L);
    if (!lua_isuserdata(L, -1) && !lua_istable(L, -1) && lua_type(L, -1) != LUA_TNUMBER) {
        glue_fail(L, "ARGUMENT", "'call' of the layer returned %s; expected a tensor or a list of tensors",
                  luaL_typename(L, -1));
        return;
    }
    if (list) count = (int32_t)lua_rawlen(L, -1);
    if (count > call->capacity) {
        glue_fail(L, "ARGUMENT", "'call' of the layer returned %d tensors, more than %d", (int)count, (int)call->capacity);
        return;
    }
    for (i = 0; i < count; i++) {
        if (list) lua_rawgeti(L, -1, i + 1);
        else lua_pushvalue(L, -1);
        give(L, &call->outputs[i]);
        /* Counted one by one, so that what was given is known if a later one fails. */
        *call->count = i + 1;
        lua_pop(L, 1);
    }
}

static int32_t on_call(dl_layer *layer, dl_tensor **outputs, int32_t capacity, int32_t *count, dl_tensor *const *inputs,
                       int32_t input_count, int32_t training, void *payload)
{
    layer_call call = {layer, outputs, capacity, count, inputs, input_count, training};
    int32_t failed;
    *count = 0;
    failed = glue_run(payload, run_call, &call);
    if (failed) {
        while (*count) dl_tensor_release(outputs[--*count]);
    }
    return failed;
}

static const dl_layer_callbacks layer_callbacks = {1, 0, on_build, on_call, glue_ref_destroy};

/* A box of a kind for an object of a script's own, left on the stack, and the reference to its fields that its callbacks
 * get: (class name, config, fields) */
static glue_box *push_custom(lua_State *L, glue_kind kind, const char **config, glue_ref **ref)
{
    glue_box *box;
    luaL_checkstring(L, 1);
    luaL_checktype(L, 3, LUA_TTABLE);
    lua_settop(L, 3);
    *config = lua_isnil(L, 2) ? NULL : glue_json_encode(L, 2);
    box = glue_push(L, kind);
    lua_pushvalue(L, 3);
    lua_setiuservalue(L, -2, 1);
    lua_pushvalue(L, 3);
    *ref = glue_ref_create(L);
    return box;
}

/* layer_custom(class name, config, fields) -> layer */
static int core_layer_custom(lua_State *L)
{
    const char *config;
    glue_ref *ref;
    glue_box *box = push_custom(L, GLUE_LAYER, &config, &ref);
    GLUE_ONCE(L, dl_layer_create_custom((dl_layer **)&box->handle, lua_tostring(L, 1), config, &layer_callbacks, ref));
    return 1;
}

/* model_custom(class name, config, fields) -> model */
static int core_model_custom(lua_State *L)
{
    const char *config;
    glue_ref *ref;
    glue_box *box = push_custom(L, GLUE_MODEL, &config, &ref);
    GLUE_ONCE(L, dl_model_create_custom((dl_model **)&box->handle, lua_tostring(L, 1), config, &layer_callbacks, ref));
    return 1;
}

typedef struct create_call {
    dl_layer **out;
    const char *config;
} create_call;

static void run_create(lua_State *L, const glue_ref *ref, void *argument)
{
    create_call *call = argument;
    dl_layer *layer;
    glue_ref_push(L, ref);
    glue_json_decode(L, call->config ? call->config : "{}");
    lua_call(L, 1, 1);
    layer = glue_layer(L, -1);
    GLUE_TRY(L, dl_layer_retain(layer));
    *call->out = layer;
}

static int32_t on_create(dl_layer **out, const char *config, void *payload)
{
    create_call call = {out, config};
    *out = NULL;
    return glue_run(payload, run_create, &call);
}

/* layer_register(class name, function(config) -> layer) */
static int core_layer_register(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    glue_ref *ref;
    luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_settop(L, 2);
    ref = glue_ref_create(L);
    GLUE_ONCE(L, dl_layer_register(name, on_create, glue_ref_destroy, ref));
    return 0;
}

/* ---- Losses and metrics -------------------------------------------------------------------------------------- */

typedef struct objective_call {
    dl_tensor **out;
    dl_tensor *y_true, *y_pred;
} objective_call;

static void run_objective(lua_State *L, const glue_ref *ref, void *argument)
{
    objective_call *call = argument;
    glue_ref_push(L, ref);
    glue_push_borrowed(L, GLUE_TENSOR, call->y_true);
    glue_push_borrowed(L, GLUE_TENSOR, call->y_pred);
    lua_call(L, 2, 1);
    if (!lua_isuserdata(L, -1) && lua_type(L, -1) != LUA_TNUMBER) {
        glue_fail(L, "ARGUMENT", "a loss or metric returned %s; expected a tensor or a number", luaL_typename(L, -1));
        return;
    }
    give(L, call->out);
}

static int32_t on_objective(dl_tensor **out, dl_tensor *y_true, dl_tensor *y_pred, void *payload)
{
    objective_call call = {out, y_true, y_pred};
    *out = NULL;
    return glue_run(payload, run_objective, &call);
}

/* loss_custom(name, function(y_true, y_pred)) */
static int core_loss_custom(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    glue_box *box;
    glue_ref *ref;
    luaL_checkany(L, 2);
    box = glue_push(L, GLUE_LOSS);
    lua_pushvalue(L, 2);
    ref = glue_ref_create(L);
    GLUE_ONCE(L, dl_loss_create_custom((dl_loss **)&box->handle, name, on_objective, glue_ref_destroy, ref));
    return 1;
}

static int core_metric_custom(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    glue_box *box;
    glue_ref *ref;
    luaL_checkany(L, 2);
    box = glue_push(L, GLUE_METRIC);
    lua_pushvalue(L, 2);
    ref = glue_ref_create(L);
    GLUE_ONCE(L, dl_metric_create_custom((dl_metric **)&box->handle, name, on_objective, glue_ref_destroy, ref));
    return 1;
}

typedef struct schedule_call {
    double *rate;
    int64_t step;
} schedule_call;

static void run_schedule(lua_State *L, const glue_ref *ref, void *argument)
{
    schedule_call *call = argument;
    glue_ref_push(L, ref);
    lua_pushinteger(L, call->step);
    lua_call(L, 1, 1);
    if (lua_type(L, -1) != LUA_TNUMBER) {
        glue_fail(L, "ARGUMENT", "a learning-rate schedule returned %s; expected a number", luaL_typename(L, -1));
        return;
    }
    *call->rate = lua_tonumber(L, -1);
}

static int32_t on_schedule(double *rate, int64_t step, void *payload)
{
    schedule_call call = {rate, step};
    return glue_run(payload, run_schedule, &call);
}

/* optimizer_schedule(optimizer, function(step) -> rate) */
static int core_optimizer_schedule(lua_State *L)
{
    dl_optimizer *optimizer = glue_check(L, 1, GLUE_OPTIMIZER)->handle;
    glue_ref *ref;
    luaL_checkany(L, 2);
    lua_settop(L, 2);
    ref = glue_ref_create(L);
    GLUE_ONCE(L, dl_optimizer_set_schedule(optimizer, on_schedule, glue_ref_destroy, ref));
    return 0;
}

/* ---- Compiled functions -------------------------------------------------------------------------------------- */

static void run_function(lua_State *L, const glue_ref *ref, void *argument)
{
    layer_call *call = argument;
    int32_t i, count;
    int base;
    luaL_checkstack(L, call->input_count + 8, NULL);
    base = lua_gettop(L);
    glue_ref_push(L, ref);
    for (i = 0; i < call->input_count; i++) glue_push_borrowed(L, GLUE_TENSOR, call->inputs[i]);
    lua_call(L, call->input_count, LUA_MULTRET);
    count = (int32_t)(lua_gettop(L) - base);
    if (count > call->capacity) {
        glue_fail(L, "ARGUMENT", "a compiled function returned %d values, more than %d", (int)count, (int)call->capacity);
        return;
    }
    for (i = 0; i < count; i++) {
        lua_pushvalue(L, base + 1 + i);
        if (!glue_test(L, -1, GLUE_TENSOR) && lua_type(L, -1) != LUA_TNUMBER) {
            glue_fail(L, "ARGUMENT", "a compiled function returned %s; expected tensors", luaL_typename(L, -1));
            return;
        }
        give(L, &call->outputs[i]);
        *call->count = i + 1;
        lua_pop(L, 1);
    }
}

static int32_t on_function(dl_tensor **outputs, int32_t capacity, int32_t *count, dl_tensor *const *inputs,
                           int32_t input_count, void *payload)
{
    layer_call call = {NULL, outputs, capacity, count, inputs, input_count, -1};
    int32_t failed;
    *count = 0;
    failed = glue_run(payload, run_function, &call);
    if (failed) {
        while (*count) {
            dl_tensor_release(outputs[--*count]);
            outputs[*count] = NULL;
        }
    }
    return failed;
}

/* function_create(function) -> compiled function */
static int core_function_create(lua_State *L)
{
    glue_box *box;
    glue_ref *ref;
    luaL_checkany(L, 1);
    lua_settop(L, 1);
    box = glue_push(L, GLUE_FUNCTION);
    lua_pushvalue(L, 1);
    ref = glue_ref_create(L);
    GLUE_ONCE(L, dl_function_create((dl_function **)&box->handle, "function", on_function, glue_ref_destroy, ref));
    return 1;
}

/* function_call(compiled function, list of tensors) -> tensors */
static int core_function_call(lua_State *L)
{
    dl_function *function = glue_check(L, 1, GLUE_FUNCTION)->handle;
    dl_tensor **inputs, *outputs[GLUE_RESULTS];
    int32_t input_count, count = 0;
    inputs = (dl_tensor **)glue_handles(L, 2, GLUE_TENSOR, 0, &input_count);
    GLUE_ONCE(L, dl_function_call(outputs, GLUE_RESULTS, &count, function, inputs, input_count));
    return glue_push_results(L, outputs, count, 1);
}

/* ---- Functions with a gradient of their own ------------------------------------------------------------------ */

typedef struct gradient_call {
    dl_tensor **results;
    int32_t capacity;
    int32_t *count;
    void **context;
    dl_tensor *const *inputs;
    int32_t input_count;
} gradient_call;

static void push_tensors(lua_State *L, dl_tensor *const *tensors, int32_t count)
{
    int32_t i;
    lua_createtable(L, count, 0);
    for (i = 0; i < count; i++) {
        glue_push_borrowed(L, GLUE_TENSOR, tensors[i]);
        lua_rawseti(L, -2, i + 1);
    }
}

/* The function gives a list of tensors and the function for the gradients. */
static void run_forward(lua_State *L, const glue_ref *ref, void *argument)
{
    gradient_call *call = argument;
    int32_t i, length;
    glue_ref_push(L, ref);
    push_tensors(L, call->inputs, call->input_count);
    lua_call(L, 1, 2);
    length = (int32_t)lua_rawlen(L, -2);
    if (length > call->capacity) {
        glue_fail(L, "ARGUMENT", "custom_gradient: the function returned %d tensors, more than %d", (int)length, (int)call->capacity);
        return;
    }
    for (i = 0; i < length; i++) {
        lua_rawgeti(L, -2, i + 1);
        give(L, &call->results[i]);
        *call->count = i + 1;
        lua_pop(L, 1);
    }
    *call->context = glue_ref_create(L);
}

static int32_t on_forward(dl_tensor **outputs, int32_t capacity, int32_t *count, void **context, dl_tensor *const *inputs,
                          int32_t input_count, void *payload)
{
    gradient_call call = {outputs, capacity, count, context, inputs, input_count};
    return glue_run(payload, run_forward, &call);
}

/* The function gives a list with one entry for each input, false where there is no gradient. */
static void run_backward(lua_State *L, const glue_ref *ref, void *argument)
{
    gradient_call *call = argument;
    int32_t i;
    glue_ref_push(L, ref);
    push_tensors(L, call->inputs, call->input_count);
    lua_call(L, 1, 1);
    for (i = 0; i < call->capacity; i++) {
        lua_rawgeti(L, -1, i + 1);
        if (lua_toboolean(L, -1)) give(L, &call->results[i]);
        lua_pop(L, 1);
    }
}

static int32_t on_backward(dl_tensor **gradients, int32_t input_count, dl_tensor *const *upstream, int32_t output_count,
                           void *context, void *payload)
{
    gradient_call call = {gradients, input_count, NULL, NULL, upstream, output_count};
    (void)payload;
    return glue_run(context, run_backward, &call);
}

static void on_context(void *context, void *payload)
{
    (void)payload;
    glue_ref_destroy(context);
}

/* custom_gradient(function(list) -> list, function(list) -> list, list of tensors) -> tensors */
static int core_custom_gradient(lua_State *L)
{
    static const dl_custom_gradient_callbacks callbacks = {1, 0, on_forward, on_backward, on_context, glue_ref_destroy};
    dl_tensor **inputs, *outputs[GLUE_RESULTS];
    int32_t input_count, count = 0;
    glue_ref *ref;
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 2);
    inputs = (dl_tensor **)glue_handles(L, 2, GLUE_TENSOR, 0, &input_count);
    lua_pushvalue(L, 1);
    ref = glue_ref_create(L);
    GLUE_ONCE(L, dl_custom_gradient(outputs, GLUE_RESULTS, &count, NULL, inputs, input_count, &callbacks, ref));
    return glue_push_results(L, outputs, count, 1);
}

/* optimizer_swap(optimizer) */
static int core_optimizer_swap(lua_State *L)
{
    dl_optimizer *optimizer = glue_check(L, 1, GLUE_OPTIMIZER)->handle;
    GLUE_ONCE(L, dl_optimizer_swap_averages(optimizer));
    return 0;
}

void glue_open_custom(lua_State *L)
{
    static const luaL_Reg functions[] = {{"layer_custom", core_layer_custom},
                                         {"model_custom", core_model_custom},
                                         {"layer_register", core_layer_register},
                                         {"loss_custom", core_loss_custom},
                                         {"metric_custom", core_metric_custom},
                                         {"optimizer_schedule", core_optimizer_schedule},
                                         {"optimizer_swap", core_optimizer_swap},
                                         {"function_create", core_function_create},
                                         {"function_call", core_function_call},
                                         {"custom_gradient", core_custom_gradient},
                                         {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
