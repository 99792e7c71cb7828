/* Running scripts, calling their functions, and their global variables. */
#include "script.h"
#include "script_call.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../bindings/lua/glue/glue.h"

int luaopen_dl(lua_State *L);

/* The call that a body is run for, its only argument. */
static script_call *call_of(lua_State *L)
{
    script_call *call = lua_touserdata(L, 1);
    lua_settop(L, 0);
    luaL_checkstack(L, 20, NULL);
    return call;
}

static dl_status missing(const char *argument)
{
    char message[80] = "'";
    strncat(message, argument, 40);
    strcat(message, "' must not be NULL");
    return script_fail(DL_ERROR_ARGUMENT, message);
}

/* Opens the part of dl that gives a kind of value its methods, before the first value goes in. */
static void open_dl(lua_State *L, const char *part)
{
    luaL_requiref(L, "dl", luaopen_dl, 0);
    lua_getfield(L, -1, part);
    lua_pop(L, 2);
}

/* ---- Running ------------------------------------------------------------------------------------------------- */

static int run_source(lua_State *L)
{
    script_call *call = call_of(L);
    if (luaL_loadbufferx(L, call->source, call->length, call->name, "t") != LUA_OK) return lua_error(L);
    lua_call(L, 0, 0);
    return 0;
}

/* "@name", as messages want it, in memory of its own. */
static char *chunk_name(const char *name)
{
    size_t length = strlen(name);
    char *copy = malloc(length + 2);
    if (!copy) return NULL;
    copy[0] = '@';
    memcpy(copy + 1, name, length + 1);
    return copy;
}

dl_status dl_script_run(dl_script *script, const char *source, const char *name)
{
    script_call call = {0};
    char *chunk = NULL;
    dl_status status;
    if (!source) return missing("source");
    if (name) {
        chunk = chunk_name(name);
        if (!chunk) return script_fail(DL_ERROR_MEMORY, "out of memory");
    }
    call.source = source;
    call.length = strlen(source);
    call.name = chunk ? chunk : "=script";
    status = script_run_body(script, run_source, &call);
    free(chunk);
    return status;
}

dl_status dl_script_run_file(dl_script *script, const char *path)
{
    /* Sources beyond this are no sources. */
    enum { most = 64 << 20 };
    script_call call = {0};
    char *bytes = NULL, *chunk;
    int64_t length = 0;
    int error;
    dl_status status;
    if (!path) return missing("path");
    if (dl_handle_kind(script) == 0) return script_run_body(script, run_source, &call);
    error = dl_file_read(path, most, &bytes, &length);
    if (error) {
        char words[160], message[512];
        dl_system_error_text(error, words, sizeof words);
        snprintf(message, sizeof message, "cannot read '%.300s': %s", path, words);
        return script_fail(error == ENOENT || error == ENOTDIR ? DL_ERROR_NOT_FOUND : DL_ERROR_IO, message);
    }
    chunk = chunk_name(path);
    call.source = bytes;
    call.length = (size_t)length;
    call.name = chunk ? chunk : "=script";
    /* A first line with '#' is the shell's. Its end stays, so that lines keep their numbers. */
    if (length > 0 && bytes[0] == '#') {
        size_t skipped = strcspn(bytes, "\n");
        call.source += skipped;
        call.length -= skipped;
    }
    status = script_run_body(script, run_source, &call);
    free(chunk);
    dl_file_free(bytes);
    return status;
}

/* ---- Calling ------------------------------------------------------------------------------------------------- */

static int call_function(lua_State *L)
{
    script_call *call = call_of(L);
    int32_t i, count;
    open_dl(L, "ops");
    if (lua_getglobal(L, call->name) == LUA_TNIL)
        return script_refuse(L, call, DL_ERROR_NOT_FOUND, "the script has no function '%s'", call->name, NULL);
    luaL_checkstack(L, call->argument_count + 8, "too many arguments");
    for (i = 0; i < call->argument_count; i++) glue_push_borrowed(L, GLUE_TENSOR, call->arguments[i]);
    lua_call(L, call->argument_count, LUA_MULTRET);
    count = lua_gettop(L);
    if (count > call->capacity)
        return script_refuse(L, call, DL_ERROR_ARGUMENT, "'%s' returned more results than 'capacity' has room for%s",
                             call->name, "");
    for (i = 0; i < count; i++) {
        dl_tensor *tensor;
        if (!glue_test(L, i + 1, GLUE_TENSOR) && lua_type(L, i + 1) != LUA_TNUMBER)
            return script_refuse(L, call, DL_ERROR_DTYPE, "'%s' returned a %s; expected tensors or numbers", call->name,
                                 luaL_typename(L, i + 1));
        tensor = glue_operand(L, i + 1, DL_FLOAT32);
        if (dl_tensor_retain(tensor) != DL_OK)
            return script_refuse(L, call, DL_ERROR_MEMORY, "out of memory for the results of '%s'%s", call->name, "");
        call->results[i] = tensor;
        /* Known from here on, so that a failure of a later one can give it back. */
        call->count = i + 1;
    }
    return 0;
}

dl_status dl_script_call(dl_tensor **results, int32_t capacity, int32_t *count, dl_script *script, const char *function,
                         dl_tensor *const *arguments, int32_t argument_count)
{
    script_call call = {0};
    dl_status status;
    int32_t i;
    if (count) *count = 0;
    if (results)
        for (i = 0; i < capacity && i < 1 << 16; i++) results[i] = NULL;
    if (!function) return missing("function");
    if (capacity < 0 || argument_count < 0) return script_fail(DL_ERROR_ARGUMENT, "counts must not be negative");
    if (capacity > 0 && !results) return missing("results");
    if (argument_count > 0 && !arguments) return missing("arguments");
    call.name = function;
    call.arguments = arguments;
    call.argument_count = argument_count;
    call.results = results;
    call.capacity = capacity;
    status = script_run_body(script, call_function, &call);
    if (status != DL_OK) {
        while (call.count > 0) {
            dl_tensor_release(results[--call.count]);
            results[call.count] = NULL;
        }
        return status;
    }
    if (count) *count = call.count;
    return DL_OK;
}

/* ---- Global variables ---------------------------------------------------------------------------------------- */

static int set_tensor(lua_State *L)
{
    script_call *call = call_of(L);
    int32_t kind;
    dl_status status = dl_tensor_kind(&kind, call->handle);
    if (status != DL_OK) {
        call->status = status;
        return 0;
    }
    open_dl(L, "ops");
    glue_push_borrowed(L, GLUE_TENSOR, call->handle);
    lua_setglobal(L, call->name);
    return 0;
}

static int set_model(lua_State *L)
{
    script_call *call = call_of(L);
    dl_status status = dl_model_retain(call->handle);
    if (status != DL_OK) {
        call->status = status;
        return 0;
    }
    dl_model_release(call->handle);
    open_dl(L, "models");
    glue_push_borrowed(L, GLUE_MODEL, call->handle);
    lua_setglobal(L, call->name);
    return 0;
}

static int set_number(lua_State *L)
{
    script_call *call = call_of(L);
    lua_Integer whole;
    /* 3 and not 3.0 where the number is whole, as scripts expect of counts. */
    if (lua_numbertointeger(call->number, &whole) && (double)whole == call->number) lua_pushinteger(L, whole);
    else lua_pushnumber(L, call->number);
    lua_setglobal(L, call->name);
    return 0;
}

static int set_text(lua_State *L)
{
    script_call *call = call_of(L);
    lua_pushstring(L, call->source);
    lua_setglobal(L, call->name);
    return 0;
}

/* Pushes the global; 0 and a status where it is nil. */
static int push_global(lua_State *L, script_call *call)
{
    if (lua_getglobal(L, call->name) != LUA_TNIL) return 1;
    script_refuse(L, call, DL_ERROR_NOT_FOUND, "the script has no global '%s'", call->name, NULL);
    return 0;
}

static int refuse_type(lua_State *L, script_call *call, const char *format)
{
    const char *found = luaL_typename(L, -1);
    if (luaL_getmetafield(L, -1, "__name") == LUA_TSTRING) found = lua_tostring(L, -1);
    return script_refuse(L, call, DL_ERROR_DTYPE, format, call->name, found);
}

static int get_tensor(lua_State *L)
{
    script_call *call = call_of(L);
    glue_box *box;
    if (!push_global(L, call)) return 0;
    open_dl(L, "ops");
    box = glue_test(L, -1, GLUE_TENSOR);
    if (!box || !box->handle) return refuse_type(L, call, "the global '%s' must be an open tensor. Received: %s");
    call->status = dl_tensor_retain(box->handle);
    if (call->status == DL_OK) call->handle = box->handle;
    return 0;
}

static int get_model(lua_State *L)
{
    script_call *call = call_of(L);
    glue_box *box;
    if (!push_global(L, call)) return 0;
    open_dl(L, "ops");
    box = glue_test(L, -1, GLUE_MODEL);
    if (!box || !box->handle) return refuse_type(L, call, "the global '%s' must be an open model. Received: %s");
    call->status = dl_model_retain(box->handle);
    if (call->status == DL_OK) call->handle = box->handle;
    return 0;
}

static int get_number(lua_State *L)
{
    script_call *call = call_of(L);
    if (!push_global(L, call)) return 0;
    if (lua_type(L, -1) != LUA_TNUMBER) return refuse_type(L, call, "the global '%s' must be a number. Received: %s");
    call->number = (double)lua_tonumber(L, -1);
    return 0;
}

static int get_text(lua_State *L)
{
    script_call *call = call_of(L);
    if (!push_global(L, call)) return 0;
    if (lua_type(L, -1) != LUA_TSTRING) return refuse_type(L, call, "the global '%s' must be text. Received: %s");
    call->text = dl_system_copy_text(lua_tostring(L, -1));
    if (!call->text)
        return script_refuse(L, call, DL_ERROR_MEMORY, "out of memory for the global '%s'%s", call->name, "");
    return 0;
}

dl_status dl_script_set_tensor(dl_script *script, const char *name, dl_tensor *tensor)
{
    script_call call = {0};
    if (!name) return missing("name");
    call.name = name;
    call.handle = tensor;
    return script_run_body(script, set_tensor, &call);
}

dl_status dl_script_get_tensor(dl_tensor **out, dl_script *script, const char *name)
{
    script_call call = {0};
    dl_status status;
    if (!out) return missing("out");
    *out = NULL;
    if (!name) return missing("name");
    call.name = name;
    status = script_run_body(script, get_tensor, &call);
    if (status == DL_OK) *out = call.handle;
    return status;
}

dl_status dl_script_set_number(dl_script *script, const char *name, double number)
{
    script_call call = {0};
    if (!name) return missing("name");
    call.name = name;
    call.number = number;
    return script_run_body(script, set_number, &call);
}

dl_status dl_script_get_number(double *number, dl_script *script, const char *name)
{
    script_call call = {0};
    dl_status status;
    if (!number) return missing("number");
    *number = 0;
    if (!name) return missing("name");
    call.name = name;
    status = script_run_body(script, get_number, &call);
    if (status == DL_OK) *number = call.number;
    return status;
}

dl_status dl_script_set_text(dl_script *script, const char *name, const char *text)
{
    script_call call = {0};
    if (!name) return missing("name");
    if (!text) return missing("text");
    call.name = name;
    call.source = text;
    return script_run_body(script, set_text, &call);
}

dl_status dl_script_get_text(char **text, dl_script *script, const char *name)
{
    script_call call = {0};
    dl_status status;
    if (!text) return missing("text");
    *text = NULL;
    if (!name) return missing("name");
    call.name = name;
    status = script_run_body(script, get_text, &call);
    if (status == DL_OK) *text = call.text;
    return status;
}

dl_status dl_script_set_model(dl_script *script, const char *name, dl_model *model)
{
    script_call call = {0};
    if (!name) return missing("name");
    call.name = name;
    call.handle = model;
    return script_run_body(script, set_model, &call);
}

dl_status dl_script_get_model(dl_model **out, dl_script *script, const char *name)
{
    script_call call = {0};
    dl_status status;
    if (!out) return missing("out");
    *out = NULL;
    if (!name) return missing("name");
    call.name = name;
    status = script_run_body(script, get_model, &call);
    if (status == DL_OK) *out = call.handle;
    return status;
}
