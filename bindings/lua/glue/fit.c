/* A training run that advances event by event, so that the loop itself is Lua's. */
#include "glue.h"
#include "training.h"

#include <string.h>

static dl_event *event_of(glue_box *box) { return (dl_event *)(void *)(box + 1); }

/* Callbacks of the library's own that touch no file, for scripts to which files are closed. */
static void check_callbacks(lua_State *L, const char *json)
{
    static const char *const harmless[] = {"EarlyStopping", "LearningRateScheduler", "ReduceLROnPlateau", "TerminateOnNaN",
                                           "NaNGuard", NULL};
    lua_Integer i;
    if (!json || !glue_get_host(L)->no_files) return;
    glue_json_decode(L, json);
    for (i = 1; lua_istable(L, -1) && lua_rawgeti(L, -1, i) == LUA_TTABLE; i++) {
        const char *name;
        int at = 0;
        lua_getfield(L, -1, "class_name");
        name = lua_tostring(L, -1);
        while (harmless[at] && (!name || strcmp(name, harmless[at]) != 0)) at++;
        if (!harmless[at]) glue_check_files(L);
        lua_pop(L, 2);
    }
    lua_pop(L, 2);
}

/* fit(model, data, {epochs, batch_size, no_shuffle, initial_epoch, validation_freq, validation_batch_size, class_weight,
 * steps_per_epoch, validation_steps, validation_split, validation_data, callbacks}) */
static int core_fit(lua_State *L)
{
    dl_fit_options options = DL_FIT_OPTIONS_INIT;
    dl_data data, validation;
    glue_box *box;
    dl_model *model = glue_model(L, 1);
    luaL_checktype(L, 3, LUA_TTABLE);
    luaL_checkstack(L, 40, NULL);
    glue_read_data(L, 2, &data);
    options.epochs = glue_int_field(L, 3, "epochs", 0);
    options.batch_size = glue_int_field(L, 3, "batch_size", 0);
    options.no_shuffle = glue_int_field(L, 3, "no_shuffle", 0);
    options.initial_epoch = glue_int_field(L, 3, "initial_epoch", 0);
    options.validation_freq = glue_int_field(L, 3, "validation_freq", 0);
    options.validation_batch_size = glue_int_field(L, 3, "validation_batch_size", 0);
    options.steps_per_epoch = glue_int_field(L, 3, "steps_per_epoch", 0);
    options.validation_steps = glue_int_field(L, 3, "validation_steps", 0);
    options.validation_split = glue_number_field(L, 3, "validation_split");
    options.class_weight = glue_numbers(L, 3, "class_weight", &options.class_weight_count);
    options.callbacks = glue_text_field(L, 3, "callbacks");
    check_callbacks(L, options.callbacks);
    if (lua_getfield(L, 3, "validation_data") == LUA_TTABLE) {
        glue_read_data(L, lua_gettop(L), &validation);
        options.validation_data = &validation;
    }
    box = glue_push(L, GLUE_FIT);
    GLUE_TRY(L, dl_fit_create((dl_fit **)&box->handle, model, &data, &options));
    return 1;
}

/* fit_next(fit) -> kind or nil at the end, epoch from 1, epochs, step from 1, steps */
static int core_fit_next(lua_State *L)
{
    static const char *const kinds[] = {NULL,         "train_begin", "epoch_begin", "batch_begin", "batch_end",
                                        "test_begin", "test_end",    "epoch_end",   "train_end"};
    glue_box *box = glue_check(L, 1, GLUE_FIT);
    dl_event *event = event_of(box);
    memset(event, 0, sizeof *event);
    /* What has been trained already cannot be undone, so there is no second try. */
    GLUE_ONCE(L, dl_fit_next(event, box->handle));
    if (event->kind < 1 || event->kind >= (int32_t)(sizeof kinds / sizeof *kinds)) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushstring(L, kinds[event->kind]);
    lua_pushinteger(L, event->epoch + 1);
    lua_pushinteger(L, event->epochs);
    lua_pushinteger(L, event->step + 1);
    lua_pushinteger(L, event->steps);
    return 5;
}

/* fit_logs(fit) -> values by name, names in order: of the event it is at */
static int core_fit_logs(lua_State *L)
{
    dl_event *event = event_of(glue_check(L, 1, GLUE_FIT));
    int32_t i;
    lua_createtable(L, 0, event->log_count);
    lua_createtable(L, event->log_count, 0);
    for (i = 0; i < event->log_count; i++) {
        lua_pushstring(L, event->log_names[i]);
        lua_pushvalue(L, -1);
        lua_rawseti(L, -3, i + 1);
        lua_pushnumber(L, event->log_values[i]);
        lua_rawset(L, -4);
    }
    return 2;
}

/* fit_feed(fit, data): the batch of the next step, or one more to validate with */
static int core_fit_feed(lua_State *L)
{
    dl_data data;
    dl_fit *fit = glue_check(L, 1, GLUE_FIT)->handle;
    luaL_checkstack(L, 40, NULL);
    glue_read_data(L, 2, &data);
    GLUE_ONCE(L, dl_fit_feed(fit, &data));
    return 0;
}

static int core_fit_stop(lua_State *L)
{
    dl_fit *fit = glue_check(L, 1, GLUE_FIT)->handle;
    GLUE_TRY(L, dl_fit_stop(fit));
    return 0;
}

static int core_fit_history(lua_State *L)
{
    dl_fit *fit = glue_check(L, 1, GLUE_FIT)->handle;
    char *text = NULL;
    GLUE_TRY(L, dl_fit_history(&text, fit));
    glue_push_json(L, text);
    return 1;
}

void glue_open_fit(lua_State *L)
{
    static const luaL_Reg functions[] = {{"fit", core_fit},
                                         {"fit_next", core_fit_next},
                                         {"fit_logs", core_fit_logs},
                                         {"fit_feed", core_fit_feed},
                                         {"fit_stop", core_fit_stop},
                                         {"fit_history", core_fit_history},
                                         {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
