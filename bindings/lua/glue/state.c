/* One Lua state: its calls into the library, the callbacks that come back, and the bytes its tensors hold. */
#include "glue.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* After so many bytes of new tensors the collector is told that so much was allocated. */
#define GLUE_BUDGET ((int64_t)16 << 20)
/* So much more than twice what the last full collection kept calls for the next. */
#define GLUE_SLACK ((int64_t)64 << 20)

struct glue_shared {
    atomic_int references;
    pthread_mutex_t mutex;
    /* The rest is guarded by the mutex, but for `host`, which is set once. */
    int closed;
    /* References in the registry whose owners have gone; dropped when the state next has time. */
    int *dead;
    int dead_count, dead_capacity;
    glue_host host;
};

typedef struct glue_state {
    glue_shared *shared;
    int64_t tensor_bytes;
    /* New bytes since the collector was last told. */
    int64_t debt;
    /* tensor_bytes after the last full collection. */
    int64_t kept;
} glue_state;

struct glue_ref {
    glue_shared *shared;
    int ref;
};

static const char state_key = 0;
/* The calls in progress on this thread, innermost first. */
static _Thread_local glue_frame *frames;

static void shared_release(glue_shared *shared)
{
    if (atomic_fetch_sub(&shared->references, 1) != 1) return;
    pthread_mutex_destroy(&shared->mutex);
    free(shared->dead);
    free(shared);
}

static int state_gc(lua_State *L)
{
    glue_state *state = lua_touserdata(L, 1);
    glue_shared *shared = state->shared;
    if (shared) {
        pthread_mutex_lock(&shared->mutex);
        shared->closed = 1;
        pthread_mutex_unlock(&shared->mutex);
        state->shared = NULL;
        shared_release(shared);
    }
    return 0;
}

/* The state's record, made when first asked for. NULL only while the state closes. */
static glue_state *get_state(lua_State *L)
{
    glue_state *state;
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &state_key) == LUA_TUSERDATA) {
        state = lua_touserdata(L, -1);
        lua_pop(L, 1);
        return state->shared ? state : NULL;
    }
    lua_pop(L, 1);
    state = lua_newuserdatauv(L, sizeof *state, 0);
    memset(state, 0, sizeof *state);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, state_gc);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    state->shared = calloc(1, sizeof *state->shared);
    if (!state->shared || pthread_mutex_init(&state->shared->mutex, NULL)) {
        free(state->shared);
        state->shared = NULL;
        luaL_error(L, "not enough memory");
    }
    atomic_init(&state->shared->references, 1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &state_key);
    return state;
}

/* ---- Calls --------------------------------------------------------------------------------------------------- */

void glue_enter(lua_State *L, glue_frame *frame)
{
    glue_state *state = get_state(L);
    frame->shared = state ? state->shared : NULL;
    frame->L = L;
    frame->outer = frames;
    frame->error_at = 0;
    frames = frame;
}

void glue_leave(glue_frame *frame) { frames = frame->outer; }

int glue_retry(glue_frame *frame)
{
    if (frame->error_at) return 0;
    lua_gc(frame->L, LUA_GCCOLLECT);
    return 1;
}

/* Pushes "file:line: " for the innermost caller outside of dl's own files, or "". */
static void push_where(lua_State *L)
{
    lua_Debug ar;
    int level;
    for (level = 0; lua_getstack(L, level, &ar); level++) {
        lua_getinfo(L, "Sl", &ar);
        if (ar.currentline > 0 && strncmp(ar.source, "=dl/", 4) != 0) {
            lua_pushfstring(L, "%s:%d: ", ar.short_src, ar.currentline);
            return;
        }
    }
    lua_pushliteral(L, "");
}

int glue_fail_top(lua_State *L, const char *tag)
{
    luaL_checkstack(L, 6, NULL);
    push_where(L);
    lua_pushfstring(L, "dl[E_%s] ", tag);
    lua_pushvalue(L, -3);
    lua_concat(L, 3);
    return lua_error(L);
}

int glue_fail(lua_State *L, const char *tag, const char *format, ...)
{
    va_list arguments;
    luaL_checkstack(L, 8, NULL);
    va_start(arguments, format);
    lua_pushvfstring(L, format, arguments);
    va_end(arguments);
    return glue_fail_top(L, tag);
}

static const char *tag_of(dl_status status)
{
    const char *name = dl_status_name(status);
    return strncmp(name, "DL_ERROR_", 9) == 0 ? name + 9 : name;
}

/* Whether a message of the library gives an axis or a position by number, which counts from 0. Numbers from the end are the
 * same here and there. */
static int names_position(const char *text)
{
    static const char *const words[] = {"axis ", "axes ", "position "};
    size_t i;
    for (i = 0; i < sizeof words / sizeof *words; i++) {
        const char *at = text;
        while ((at = strstr(at, words[i])) != NULL) {
            at += strlen(words[i]);
            if (*at == '[') at++;
            if (*at >= '0' && *at <= '9') return 1;
        }
    }
    return 0;
}

int glue_raise(lua_State *L, const glue_frame *frame, dl_status status)
{
    const char *text;
    if (frame && frame->error_at) {
        lua_pushvalue(L, frame->error_at);
        return lua_error(L);
    }
    luaL_checkstack(L, 8, NULL);
    text = lua_pushstring(L, dl_last_error());
    if ((status == DL_ERROR_RANGE || status == DL_ERROR_SHAPE || status == DL_ERROR_ARGUMENT) && names_position(text)
        && !strstr(text, "count from")) {
        lua_pushfstring(L, "%s (axes and positions in this message count from 0)", text);
        lua_remove(L, -2);
    }
    return glue_fail_top(L, tag_of(status));
}

int glue_is_outside(dl_status status)
{
    return status == DL_ERROR_NOT_FOUND || status == DL_ERROR_IO || status == DL_ERROR_FORMAT;
}

int glue_push_failure(lua_State *L, dl_status status)
{
    luaL_checkstack(L, 4, NULL);
    lua_pushnil(L);
    lua_pushstring(L, dl_last_error());
    lua_pushfstring(L, "E_%s", tag_of(status));
    return 3;
}

/* ---- Bytes --------------------------------------------------------------------------------------------------- */

static void drop_dead(lua_State *L, glue_shared *shared)
{
    for (;;) {
        int ref = LUA_NOREF;
        pthread_mutex_lock(&shared->mutex);
        if (shared->dead_count) ref = shared->dead[--shared->dead_count];
        pthread_mutex_unlock(&shared->mutex);
        if (ref == LUA_NOREF) return;
        luaL_unref(L, LUA_REGISTRYINDEX, ref);
    }
}

static int64_t bytes_of(dl_tensor *tensor)
{
    int32_t kind = DL_KIND_SYMBOLIC;
    dl_dtype dtype = 0;
    int64_t size = 0;
    if (dl_tensor_kind(&kind, tensor) || kind == DL_KIND_SYMBOLIC) return 0;
    if (dl_tensor_dtype(&dtype, tensor) || dl_tensor_size(&size, tensor)) return 0;
    return size * glue_dtype_size(dtype);
}

/* Tells the collector, when much has come together. */
static void pay(lua_State *L, glue_state *state)
{
    int64_t limit = state->shared->host.memory_limit, budget = GLUE_BUDGET, slack = GLUE_SLACK;
    if (limit > 0 && limit / 8 < budget) budget = limit / 8;
    if (limit > 0 && limit / 4 < slack) slack = limit / 4;
    if (state->debt < budget) return;
    state->debt = 0;
    if (lua_gc(L, LUA_GCISRUNNING)) {
        /* To the collector a tensor is a few bytes: left alone it would keep old ones until the heap of those has
         * doubled. */
        if (state->tensor_bytes > 2 * state->kept + slack) {
            lua_gc(L, LUA_GCCOLLECT);
            state->kept = state->tensor_bytes;
        } else {
            lua_gc(L, LUA_GCSTEP, (int)(budget >> 10) + 1);
        }
    }
    drop_dead(L, state->shared);
}

static void count(lua_State *L, glue_box *box, int64_t bytes)
{
    glue_state *state = get_state(L);
    if (!state) return;
    state->tensor_bytes += bytes - box->bytes;
    if (bytes > box->bytes) state->debt += bytes - box->bytes;
    box->bytes = bytes;
    pay(L, state);
}

void glue_account(lua_State *L, glue_box *box) { count(L, box, bytes_of(box->handle)); }

void glue_account_weights(lua_State *L, int index)
{
    char *text = NULL;
    dl_layer *layer;
    if (glue_get_host(L)->memory_limit <= 0) return;
    layer = glue_layer(L, index);
    if (dl_layer_info(&text, layer) != DL_OK) return;
    glue_push_json(L, text);
    lua_getfield(L, -1, "params");
    /* Weights, gradients and two states of an optimizer, in the widest type. */
    count(L, lua_touserdata(L, index), (int64_t)lua_tointeger(L, -1) * 32);
    lua_pop(L, 2);
}

int64_t glue_tensor_bytes(lua_State *L)
{
    glue_state *state = get_state(L);
    return state ? state->tensor_bytes : 0;
}

void glue_release(lua_State *L, glue_box *box, glue_kind kind)
{
    void *handle = box->handle;
    glue_state *state;
    box->handle = NULL;
    if (box->layer) {
        dl_layer_release(box->layer);
        box->layer = NULL;
    }
    if (!handle) return;
    switch (kind) {
    case GLUE_TENSOR: dl_tensor_release(handle); break;
    case GLUE_TAPE: dl_tape_release(handle); break;
    case GLUE_LAYER: dl_layer_release(handle); break;
    case GLUE_MODEL: dl_model_release(handle); break;
    case GLUE_LOSS: dl_loss_release(handle); break;
    case GLUE_METRIC: dl_metric_release(handle); break;
    case GLUE_OPTIMIZER: dl_optimizer_release(handle); break;
    case GLUE_FIT: dl_fit_release(handle); break;
    case GLUE_FUNCTION: dl_function_release(handle); break;
    case GLUE_KINDS: break;
    }
    state = get_state(L);
    if (!state) return;
    state->tensor_bytes -= box->bytes;
    box->bytes = 0;
    if (kind != GLUE_TENSOR) drop_dead(L, state->shared);
}

/* ---- Callbacks ----------------------------------------------------------------------------------------------- */

glue_ref *glue_ref_create(lua_State *L)
{
    glue_state *state = get_state(L);
    glue_ref *ref;
    int number;
    if (!state) luaL_error(L, "the Lua state is being closed");
    drop_dead(L, state->shared);
    number = luaL_ref(L, LUA_REGISTRYINDEX);
    ref = malloc(sizeof *ref);
    if (!ref) {
        luaL_unref(L, LUA_REGISTRYINDEX, number);
        luaL_error(L, "not enough memory");
    }
    ref->shared = state->shared;
    ref->ref = number;
    atomic_fetch_add(&state->shared->references, 1);
    return ref;
}

void glue_ref_destroy(void *payload)
{
    glue_ref *ref = payload;
    glue_shared *shared;
    if (!ref) return;
    shared = ref->shared;
    pthread_mutex_lock(&shared->mutex);
    if (!shared->closed) {
        if (shared->dead_count == shared->dead_capacity) {
            int capacity = shared->dead_capacity ? shared->dead_capacity * 2 : 16;
            int *dead = realloc(shared->dead, (size_t)capacity * sizeof *dead);
            if (dead) {
                shared->dead = dead;
                shared->dead_capacity = capacity;
            }
        }
        /* Without memory to note it, the value stays in the registry until the state is closed. */
        if (shared->dead_count < shared->dead_capacity) shared->dead[shared->dead_count++] = ref->ref;
    }
    pthread_mutex_unlock(&shared->mutex);
    shared_release(shared);
    free(ref);
}

int glue_ref_is_of(lua_State *L, const glue_ref *ref)
{
    const glue_state *state = get_state(L);
    return state && state->shared == ref->shared;
}

void glue_ref_push(lua_State *L, const glue_ref *ref) { lua_rawgeti(L, LUA_REGISTRYINDEX, ref->ref); }

typedef struct run_call {
    void (*body)(lua_State *L, const glue_ref *ref, void *argument);
    const glue_ref *ref;
    void *argument;
} run_call;

static int run_protected(lua_State *L)
{
    run_call *call = lua_touserdata(L, 1);
    lua_settop(L, 0);
    luaL_checkstack(L, 20, "callback");
    call->body(L, call->ref, call->argument);
    return 0;
}

static int run_in(lua_State *L, run_call *call)
{
    if (!lua_checkstack(L, 8)) return 1;
    lua_pushcfunction(L, run_protected);
    lua_pushlightuserdata(L, call);
    return lua_pcall(L, 1, 0, 0) != LUA_OK;
}

int glue_run(const glue_ref *ref, void (*body)(lua_State *L, const glue_ref *ref, void *argument), void *argument)
{
    glue_shared *shared = ref->shared;
    run_call call = {body, ref, argument};
    glue_frame *frame;
    int failed = 1, begun = 0;
    for (frame = frames; frame; frame = frame->outer) {
        if (frame->shared != shared) continue;
        failed = run_in(frame->L, &call);
        /* The error stays on the stack of the function that made the call, which raises it later. */
        if (failed) frame->error_at = lua_gettop(frame->L);
        return failed;
    }
    pthread_mutex_lock(&shared->mutex);
    if (!shared->closed && shared->host.begin) begun = shared->host.begin(shared->host.owner);
    pthread_mutex_unlock(&shared->mutex);
    if (!begun) return 1;
    failed = run_in(shared->host.L, &call);
    if (failed) lua_pop(shared->host.L, 1);
    shared->host.end(shared->host.owner);
    return failed;
}

/* ---- The host ------------------------------------------------------------------------------------------------ */

void glue_set_host(lua_State *L, const glue_host *host)
{
    glue_state *state = get_state(L);
    if (state) state->shared->host = *host;
}

const glue_host *glue_get_host(lua_State *L)
{
    static const glue_host none;
    glue_state *state = get_state(L);
    return state ? &state->shared->host : &none;
}

void glue_check_files(lua_State *L)
{
    if (glue_get_host(L)->no_files) glue_fail(L, "UNSUPPORTED", "files are closed to this script by its host");
}
