#ifndef DL_SCRIPT_H
#define DL_SCRIPT_H

#include <dl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "dl_shims.h"
#include "lauxlib.h"
#include "lua.h"
#include "lualib.h"

/* One interpreter of the library's own. */
typedef struct script_host {
    lua_State *L;
    int32_t libraries;
    void (*print)(const char *text, int64_t length, void *payload);
    void *payload;

    /* Bytes of the interpreter's data. */
    int64_t lua_bytes;
    /* These and the tensors that scripts allocate, against the limit of both. */
    dl_memory_account account;

    int64_t instruction_limit;
    int64_t instructions;
    /* Set when the instructions are used up or the host has interrupted; nothing but returning is possible then. */
    int stopped;
    atomic_int interrupted;
    /* 1 while a thread is inside. */
    atomic_int busy;
} script_host;

/* The script that runs on this thread, or NULL. */
script_host *script_current(void);

/* Takes the interpreter for this thread, with fresh counts. 0 where another thread, or a call further out, has it. */
int script_begin(script_host *host);
void script_end(script_host *host);

/* Opens what scripts may use; runs in protected mode. */
int script_open_libraries(lua_State *L);

/* Tells the host what a script prints. */
void script_print(script_host *host, const char *text, size_t length);

/* The host of a state. */
script_host *script_of(lua_State *L);

#endif
