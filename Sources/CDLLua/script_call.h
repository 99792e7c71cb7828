#ifndef DL_SCRIPT_CALL_H
#define DL_SCRIPT_CALL_H

#include "script.h"

/* Work for an interpreter, and what comes of it. */
typedef struct script_call {
    script_host *host;
    /* What the body found wrong by itself; DL_OK otherwise. */
    dl_status status;
    const char *name;
    const char *source;
    size_t length;
    double number;
    char *text;
    void *handle;
    dl_tensor *const *arguments;
    dl_tensor **results;
    int32_t argument_count, capacity, count;
} script_call;

/* Runs body(call) in the interpreter of a handle, in protected mode. What the body raises becomes DL_ERROR_SCRIPT, or
 * DL_ERROR_LIMIT where a limit is behind it. */
dl_status script_run_body(dl_script *script, lua_CFunction body, script_call *call);

/* For bodies: ends with a status and a message about `name`, of which `found` is true. */
int script_refuse(lua_State *L, script_call *call, dl_status status, const char *format, const char *name,
                  const char *found);

dl_status script_fail(dl_status status, const char *message);

#endif
