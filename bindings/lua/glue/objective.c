/* Losses, metrics and optimizers as objects of their own. */
#include "glue.h"

/* loss(name, config or nil) */
static int core_loss(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1), *config = NULL;
    glue_box *box;
    lua_settop(L, 2);
    if (!lua_isnil(L, 2)) config = glue_json_encode(L, 2);
    box = glue_push(L, GLUE_LOSS);
    GLUE_TRY(L, dl_loss_create((dl_loss **)&box->handle, name, config));
    return 1;
}

/* loss_call(loss, y_true, y_pred, sample_weight or nil) -> tensor */
static int core_loss_call(lua_State *L)
{
    dl_loss *loss = glue_check(L, 1, GLUE_LOSS)->handle;
    dl_tensor *y_true, *y_pred, *weight;
    glue_box *box;
    lua_settop(L, 4);
    y_true = glue_operand(L, 2, DL_FLOAT32);
    y_pred = glue_operand(L, 3, DL_FLOAT32);
    weight = lua_isnil(L, 4) ? NULL : glue_operand(L, 4, DL_FLOAT32);
    box = glue_push(L, GLUE_TENSOR);
    GLUE_TRY(L, dl_loss_call((dl_tensor **)&box->handle, loss, y_true, y_pred, weight));
    glue_account(L, box);
    return 1;
}

/* metric(name, config or nil) */
static int core_metric(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1), *config = NULL;
    glue_box *box;
    lua_settop(L, 2);
    if (!lua_isnil(L, 2)) config = glue_json_encode(L, 2);
    box = glue_push(L, GLUE_METRIC);
    GLUE_TRY(L, dl_metric_create((dl_metric **)&box->handle, name, config));
    return 1;
}

/* metric_update(metric, y_true, y_pred or nil, sample_weight or nil) */
static int core_metric_update(lua_State *L)
{
    dl_metric *metric = glue_check(L, 1, GLUE_METRIC)->handle;
    dl_tensor *y_true, *y_pred, *weight;
    lua_settop(L, 4);
    y_true = glue_operand(L, 2, DL_FLOAT32);
    y_pred = lua_isnil(L, 3) ? NULL : glue_operand(L, 3, DL_FLOAT32);
    weight = lua_isnil(L, 4) ? NULL : glue_operand(L, 4, DL_FLOAT32);
    GLUE_TRY(L, dl_metric_update(metric, y_true, y_pred, weight));
    return 0;
}

static int core_metric_result(lua_State *L)
{
    dl_metric *metric = glue_check(L, 1, GLUE_METRIC)->handle;
    glue_box *box = glue_push(L, GLUE_TENSOR);
    GLUE_TRY(L, dl_metric_result((dl_tensor **)&box->handle, metric));
    glue_account(L, box);
    return 1;
}

/* label_base(loss or metric, 0 or 1) */
static int core_label_base(lua_State *L)
{
    int32_t base = (int32_t)luaL_checkinteger(L, 2);
    glue_box *box = glue_test(L, 1, GLUE_LOSS);
    if (box) {
        dl_loss *loss = glue_check(L, 1, GLUE_LOSS)->handle;
        GLUE_TRY(L, dl_loss_set_label_base(loss, base));
    } else {
        dl_metric *metric = glue_check(L, 1, GLUE_METRIC)->handle;
        GLUE_TRY(L, dl_metric_set_label_base(metric, base));
    }
    return 0;
}

static int core_metric_reset(lua_State *L)
{
    dl_metric *metric = glue_check(L, 1, GLUE_METRIC)->handle;
    GLUE_TRY(L, dl_metric_reset(metric));
    return 0;
}

/* optimizer(name, config or nil) */
static int core_optimizer(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1), *config = NULL;
    glue_box *box;
    lua_settop(L, 2);
    if (!lua_isnil(L, 2)) config = glue_json_encode(L, 2);
    box = glue_push(L, GLUE_OPTIMIZER);
    GLUE_TRY(L, dl_optimizer_create((dl_optimizer **)&box->handle, name, config));
    return 1;
}

/* optimizer_apply(optimizer, gradients, variables): false where a variable has no gradient */
static int core_optimizer_apply(lua_State *L)
{
    dl_optimizer *optimizer = glue_check(L, 1, GLUE_OPTIMIZER)->handle;
    dl_tensor **gradients, **variables;
    int32_t gradient_count, count;
    gradients = (dl_tensor **)glue_handles(L, 2, GLUE_TENSOR, 1, &gradient_count);
    variables = (dl_tensor **)glue_handles(L, 3, GLUE_TENSOR, 0, &count);
    if (gradient_count != count)
        return glue_fail(L, "ARGUMENT", "%d gradients for %d variables", (int)gradient_count, (int)count);
    GLUE_TRY(L, dl_optimizer_apply(optimizer, gradients, variables, count));
    return 0;
}

static int core_optimizer_iterations(lua_State *L)
{
    dl_optimizer *optimizer = glue_check(L, 1, GLUE_OPTIMIZER)->handle;
    int64_t iterations;
    GLUE_TRY(L, dl_optimizer_iterations(&iterations, optimizer));
    lua_pushinteger(L, iterations);
    return 1;
}

/* optimizer_rate(optimizer, rate or nil) -> rate */
static int core_optimizer_rate(lua_State *L)
{
    dl_optimizer *optimizer = glue_check(L, 1, GLUE_OPTIMIZER)->handle;
    double rate;
    if (!lua_isnoneornil(L, 2)) {
        double wanted = luaL_checknumber(L, 2);
        GLUE_TRY(L, dl_optimizer_set_learning_rate(optimizer, wanted));
    }
    GLUE_TRY(L, dl_optimizer_learning_rate(&rate, optimizer));
    lua_pushnumber(L, rate);
    return 1;
}

/* schedule_rate(schedule as a table, step) -> rate */
static int core_schedule_rate(lua_State *L)
{
    double rate;
    int64_t step = luaL_checkinteger(L, 2);
    const char *schedule = glue_json_encode(L, 1);
    GLUE_TRY(L, dl_schedule_rate(&rate, schedule, step));
    lua_pushnumber(L, rate);
    return 1;
}

/* objective_to_json(loss or metric) -> text */
static int core_objective_to_json(lua_State *L)
{
    char *text = NULL;
    if (glue_test(L, 1, GLUE_LOSS)) {
        dl_loss *loss = glue_check(L, 1, GLUE_LOSS)->handle;
        GLUE_TRY(L, dl_loss_to_json(&text, loss));
    } else {
        dl_metric *metric = glue_check(L, 1, GLUE_METRIC)->handle;
        GLUE_TRY(L, dl_metric_to_json(&text, metric));
    }
    glue_push_text(L, text);
    return 1;
}

/* description_to_json(category, description as a table) -> text */
static int core_description_to_json(lua_State *L)
{
    const char *category = luaL_checkstring(L, 1), *description = glue_json_encode(L, 2);
    char *text = NULL;
    GLUE_TRY(L, dl_description_to_json(&text, category, description));
    glue_push_text(L, text);
    return 1;
}

static int core_optimizer_to_json(lua_State *L)
{
    dl_optimizer *optimizer = glue_check(L, 1, GLUE_OPTIMIZER)->handle;
    char *text = NULL;
    GLUE_TRY(L, dl_optimizer_to_json(&text, optimizer));
    glue_push_text(L, text);
    return 1;
}

void glue_open_objective(lua_State *L)
{
    static const luaL_Reg functions[] = {{"loss", core_loss},
                                         {"loss_call", core_loss_call},
                                         {"metric", core_metric},
                                         {"metric_update", core_metric_update},
                                         {"metric_result", core_metric_result},
                                         {"metric_reset", core_metric_reset},
                                         {"label_base", core_label_base},
                                         {"optimizer", core_optimizer},
                                         {"optimizer_apply", core_optimizer_apply},
                                         {"optimizer_iterations", core_optimizer_iterations},
                                         {"optimizer_rate", core_optimizer_rate},
                                         {"optimizer_to_json", core_optimizer_to_json},
                                         {"objective_to_json", core_objective_to_json},
                                         {"description_to_json", core_description_to_json},
                                         {"schedule_rate", core_schedule_rate},
                                         {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
