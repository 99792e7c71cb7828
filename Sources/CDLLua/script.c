/* dl_script_create and release; running, calling, globals. */
#include "script.h"
#include "script_call.h"

#include <stdlib.h>
#include <string.h>

#include "../../bindings/lua/glue/glue.h"
#include "include/dl_script_host.h"

dl_status script_fail(dl_status status, const char *message)
{
    dl_error_state_set(status, message, strlen(message));
    return status;
}

/* ---- Life ---------------------------------------------------------------------------------------------------- */

static void *allocate(void *owner, void *block, size_t old_size, size_t new_size)
{
    script_host *host = owner;
    dl_memory_account *account = &host->account;
    int64_t before = block ? (int64_t)old_size : 0;
    void *moved;
    if (new_size == 0) {
        free(block);
        host->lua_bytes -= before;
        account->used -= before;
        return NULL;
    }
    if (new_size > (size_t)1 << 46) return NULL;
    if (account->limit > 0 && (int64_t)new_size > before && (int64_t)new_size - before > account->limit - account->used)
        return NULL;
    moved = realloc(block, new_size);
    /* Lua takes it for granted that a block can be made smaller. */
    if (!moved) return (int64_t)new_size <= before ? block : NULL;
    host->lua_bytes += (int64_t)new_size - before;
    account->used += (int64_t)new_size - before;
    return moved;
}

script_host *script_of(lua_State *L)
{
    void *owner;
    lua_getallocf(L, &owner);
    return owner;
}

void script_print(script_host *host, const char *text, size_t length)
{
    /* What the host does then is not the script's to pay for. */
    dl_memory_account *account;
    if (!host->print) return;
    account = dl_memory_charge(NULL);
    host->print(text, (int64_t)length, host->payload);
    dl_memory_charge(account);
}

static int begin_callback(void *owner) { return script_begin(owner); }
static void end_callback(void *owner) { script_end(owner); }

static int open_state(lua_State *L)
{
    script_host *host = script_of(L);
    glue_host settings = {1, host->libraries == DL_SCRIPT_SAFE, host->account.limit, L, begin_callback, end_callback, host};
    glue_set_host(L, &settings);
    return script_open_libraries(L);
}

dl_status dl_script_create(dl_script **out, const dl_script_options *options)
{
    static const dl_script_options defaults = DL_SCRIPT_OPTIONS_INIT;
    script_host *host;
    int status;
    if (!out) return script_fail(DL_ERROR_ARGUMENT, "'out' must not be NULL");
    *out = NULL;
    if (!options) options = &defaults;
    if (options->version != 1)
        return script_fail(DL_ERROR_ARGUMENT, "'options->version' must be 1; begin with DL_SCRIPT_OPTIONS_INIT");
    if (options->libraries < DL_SCRIPT_SAFE || options->libraries > DL_SCRIPT_ALL)
        return script_fail(DL_ERROR_ARGUMENT, "'options->libraries' must be DL_SCRIPT_SAFE, DL_SCRIPT_FILES or DL_SCRIPT_ALL");
    if (options->memory_limit < 0 || options->instruction_limit < 0)
        return script_fail(DL_ERROR_ARGUMENT, "limits of a script must not be negative");
    host = calloc(1, sizeof *host);
    if (!host) return script_fail(DL_ERROR_MEMORY, "out of memory");
    host->libraries = options->libraries;
    host->print = options->print;
    host->payload = options->payload;
    host->account.limit = options->memory_limit;
    host->L = lua_newstate(allocate, host);
    if (!host->L) {
        free(host);
        return script_fail(DL_ERROR_MEMORY, "no memory for an interpreter; the limit may be too low");
    }
    lua_pushcfunction(host->L, open_state);
    status = lua_pcall(host->L, 0, 0, 0);
    if (status == LUA_OK) {
        host->instruction_limit = options->instruction_limit;
        *out = dl_handle_create(DL_SCRIPT_HANDLE_KIND, host);
        if (*out) return DL_OK;
    }
    lua_close(host->L);
    free(host);
    return script_fail(DL_ERROR_MEMORY, "no memory for an interpreter; the limit may be too low");
}

/* Drops a reference; the last one closes the interpreter. */
static void drop(dl_script *script)
{
    void *object = NULL;
    script_host *host;
    if (dl_handle_release(script, DL_SCRIPT_HANDLE_KIND, &object) != 1 || !object) return;
    host = object;
    lua_close(host->L);
    free(host);
}

void dl_script_release(dl_script *script) { drop(script); }

/* The host of a handle, kept alive until drop; NULL after an error. */
static script_host *take(dl_script *script)
{
    script_host *host = NULL;
    if (dl_handle_retain(script, DL_SCRIPT_HANDLE_KIND)) host = dl_handle_object(script, DL_SCRIPT_HANDLE_KIND);
    if (!host)
        script_fail(DL_ERROR_HANDLE, script ? "'script' must be a dl_script. Received: a pointer that is no live handle"
                                     : "'script' must be a dl_script. Received: NULL");
    return host;
}

dl_status dl_script_interrupt(dl_script *script)
{
    script_host *host = take(script);
    if (!host) return DL_ERROR_HANDLE;
    atomic_store(&host->interrupted, 1);
    drop(script);
    return DL_OK;
}

/* ---- Work in the interpreter --------------------------------------------------------------------------------- */

static int add_traceback(lua_State *L)
{
    const char *message = lua_tostring(L, 1);
    if (!message) message = luaL_tolstring(L, 1, NULL);
    luaL_traceback(L, L, message, 1);
    return 1;
}

/* The message and traceback on top of the stack as the one line that dl_last_error is. */
static void report(lua_State *L, dl_status status)
{
    size_t length, i, at = 0;
    const char *text = lua_tolstring(L, -1, &length);
    char *line = text ? malloc(length * 2 + 1) : NULL;
    if (!line) {
        script_fail(status, text ? text : "an error that is no text");
        return;
    }
    for (i = 0; i < length; i++) {
        if (text[i] != '\n') {
            line[at++] = text[i] == '\t' || text[i] == '\r' ? ' ' : text[i];
            continue;
        }
        line[at++] = ';';
        line[at++] = ' ';
        while (i + 1 < length && (text[i + 1] == '\t' || text[i + 1] == ' ')) i++;
    }
    dl_error_state_set(status, line, at);
    free(line);
}

static int is_memory_error(lua_State *L)
{
    const char *text = lua_tostring(L, -1);
    return text && strstr(text, "dl[E_MEMORY]") != NULL;
}

dl_status script_run_body(dl_script *script, lua_CFunction body, script_call *call)
{
    script_host *host = take(script);
    lua_State *L;
    dl_status result = DL_OK;
    int status, base;
    if (!host) return DL_ERROR_HANDLE;
    if (!script_begin(host)) {
        drop(script);
        return script_fail(DL_ERROR_STATE, "the script is running already");
    }
    L = host->L;
    base = lua_gettop(L);
    call->host = host;
    /* Between two calls the host may have released what scripts gave it; what is still held is counted there. */
    if (host->account.used > host->lua_bytes + glue_tensor_bytes(L))
        host->account.used = host->lua_bytes + glue_tensor_bytes(L);
    lua_pushcfunction(L, add_traceback);
    lua_pushcfunction(L, body);
    lua_pushlightuserdata(L, call);
    status = lua_pcall(L, 1, 0, base + 1);
    if (status != LUA_OK) {
        int limited = host->stopped || status == LUA_ERRMEM;
        if (!limited && host->account.limit > 0) limited = is_memory_error(L);
        result = limited ? DL_ERROR_LIMIT : DL_ERROR_SCRIPT;
        if (status == LUA_ERRMEM) {
            lua_pushfstring(L, "the script's limit of %I bytes is reached", (LUAI_UACINT)host->account.limit);
        }
        report(L, result);
        lua_settop(L, base);
        /* What the failed run left behind is garbage now. */
        if (limited) lua_gc(L, LUA_GCCOLLECT);
    } else {
        result = call->status;
    }
    lua_settop(L, base);
    script_end(host);
    drop(script);
    return result;
}

int script_refuse(lua_State *L, script_call *call, dl_status status, const char *format, const char *name, const char *found)
{
    lua_pushfstring(L, format, name, found);
    call->status = status;
    dl_error_state_set(status, lua_tostring(L, -1), lua_rawlen(L, -1));
    return 0;
}
