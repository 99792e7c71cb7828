/* The glue between Lua 5.4 and dl.h, shared by its files.
 *
 * It is built twice: into the library with the interpreter that the library carries, and as the module dl.so, which
 * takes lua_* from its host. It knows dl.h, lua.h and lauxlib.h, and nothing else of the library.
 *
 * Lua raises errors with longjmp, and no frame of the library may lie under one. So a function here first makes room
 * for the result (a userdata), then calls the library, and raises only when the library has returned. What the library
 * calls back runs in lua_pcall; its error waits in the caller's frame and is raised afterwards. */
#ifndef DL_GLUE_H
#define DL_GLUE_H

#include <stddef.h>
#include <stdint.h>

#include <dl.h>

#include "lauxlib.h"
#include "lua.h"

#if defined(__GNUC__)
#define GLUE_HIDDEN __attribute__((visibility("hidden")))
#else
#define GLUE_HIDDEN
#endif

/* ---- Handles as userdata ------------------------------------------------------------------------------------- */

typedef enum glue_kind {
    GLUE_TENSOR,
    GLUE_TAPE,
    GLUE_LAYER,
    GLUE_MODEL,
    GLUE_LOSS,
    GLUE_METRIC,
    GLUE_OPTIMIZER,
    GLUE_FIT,
    GLUE_FUNCTION,
    GLUE_KINDS
} glue_kind;

/* What a userdata holds. handle is NULL before it is filled and after it is closed. */
typedef struct glue_box {
    void *handle;
    /* Bytes reported to the collector. */
    int64_t bytes;
    /* The same object seen as a layer, made when first asked for; models only. */
    dl_layer *layer;
} glue_box;

/* "dl.Tensor" and so on: the names of the metatables. */
GLUE_HIDDEN const char *glue_name(glue_kind kind);

/* Pushes an empty userdata of a kind. All but tensors have one user value, for the fields of objects
 * written in Lua. */
GLUE_HIDDEN glue_box *glue_push(lua_State *L, glue_kind kind);

/* Pushes a userdata over a handle that the caller borrows: it is retained. Raises for a dead handle. */
GLUE_HIDDEN glue_box *glue_push_borrowed(lua_State *L, glue_kind kind, void *handle);

/* The open box at an index; raises for anything else. */
GLUE_HIDDEN glue_box *glue_check(lua_State *L, int index, glue_kind kind);
/* The box at an index, open or closed, or NULL for anything else. */
GLUE_HIDDEN glue_box *glue_test(lua_State *L, int index, glue_kind kind);

GLUE_HIDDEN dl_tensor *glue_tensor(lua_State *L, int index);
/* A layer, or a model as one. */
GLUE_HIDDEN dl_layer *glue_layer(lua_State *L, int index);
GLUE_HIDDEN dl_model *glue_model(lua_State *L, int index);

/* Counts the bytes of a tensor just put into its box, and lets the collector work when many have come together. */
GLUE_HIDDEN void glue_account(lua_State *L, glue_box *box);

/* Counts what the weights of a layer or model and their training take, in states with a limit of memory. */
GLUE_HIDDEN void glue_account_weights(lua_State *L, int index);

/* Releases what a box holds; it counts as closed from then on. */
GLUE_HIDDEN void glue_release(lua_State *L, glue_box *box, glue_kind kind);

/* ---- Calls into the library ---------------------------------------------------------------------------------- */

/* What belongs to one Lua state and outlives it while the library still holds callbacks into it. */
typedef struct glue_shared glue_shared;

/* A call into the library in progress on this thread. */
typedef struct glue_frame {
    glue_shared *shared;
    lua_State *L;
    struct glue_frame *outer;
    /* Stack index of the error that a callback raised, or 0. */
    int error_at;
} glue_frame;

GLUE_HIDDEN void glue_enter(lua_State *L, glue_frame *frame);
GLUE_HIDDEN void glue_leave(glue_frame *frame);
/* Collects all garbage, so that the call may be tried once more. 1: it may. */
GLUE_HIDDEN int glue_retry(glue_frame *frame);
/* Raises for a status other than DL_OK: the error of the callback that failed, or the library's message. */
GLUE_HIDDEN int glue_raise(lua_State *L, const glue_frame *frame, dl_status status);

/* Evaluates a call of the library with nothing of Lua's in flux, and raises if it fails. Where memory is short, garbage
 * is collected and the call is made once more. */
#define GLUE_TRY(L, call)                                                        \
    do {                                                                         \
        glue_frame frame_;                                                       \
        dl_status status_;                                                       \
        glue_enter(L, &frame_);                                                  \
        status_ = (call);                                                        \
        if (status_ == DL_ERROR_MEMORY && glue_retry(&frame_)) status_ = (call); \
        glue_leave(&frame_);                                                     \
        if (status_ != DL_OK) glue_raise(L, &frame_, status_);                   \
    } while (0)

/* The same without a second try, for calls that may not be made twice. */
#define GLUE_ONCE(L, call)                                  \
    do {                                                    \
        glue_frame frame_;                                  \
        dl_status status_;                                  \
        glue_enter(L, &frame_);                             \
        status_ = (call);                                   \
        glue_leave(&frame_);                                \
        if (status_ != DL_OK) glue_raise(L, &frame_, status_); \
    } while (0)

/* Failures of the world outside, which scripts get as nil, message, code instead of an error. */
GLUE_HIDDEN int glue_is_outside(dl_status status);
/* Pushes nil, message, code for the library's last error; returns 3. */
GLUE_HIDDEN int glue_push_failure(lua_State *L, dl_status status);

/* For calls that work with files: failures of the world outside are returned as nil, message, code. glue_check_files comes
 * before it. */
#define GLUE_FILE(L, call)                                                       \
    do {                                                                         \
        glue_frame frame_;                                                       \
        dl_status status_;                                                       \
        glue_enter(L, &frame_);                                                  \
        status_ = (call);                                                        \
        if (status_ == DL_ERROR_MEMORY && glue_retry(&frame_)) status_ = (call); \
        glue_leave(&frame_);                                                     \
        if (glue_is_outside(status_)) return glue_push_failure(L, status_);      \
        if (status_ != DL_OK) return glue_raise(L, &frame_, status_);            \
    } while (0)

/* Formats like lua_pushfstring, and raises "file:line: dl[E_tag] message" with the position of the innermost caller that is not one of dl's own files. */
GLUE_HIDDEN int glue_fail(lua_State *L, const char *tag, const char *format, ...);
/* The same with the message on top of the stack. */
GLUE_HIDDEN int glue_fail_top(lua_State *L, const char *tag);

/* ---- Callbacks out of the library ---------------------------------------------------------------------------- */

/* A Lua value that the library keeps as a callback's payload. */
typedef struct glue_ref glue_ref;

/* Takes the value on top of the stack. */
GLUE_HIDDEN glue_ref *glue_ref_create(lua_State *L);
/* For `destroy` members: may run on any thread, also when the state is closed. */
GLUE_HIDDEN void glue_ref_destroy(void *ref);
GLUE_HIDDEN void glue_ref_push(lua_State *L, const glue_ref *ref);
/* Whether it belongs to this state. */
GLUE_HIDDEN int glue_ref_is_of(lua_State *L, const glue_ref *ref);

/* Runs body(L, argument) for a callback, in protected mode, in the state that the reference belongs to. 0, or 1 if it
 * raised, if the state is closed, or if it is not in a call of the library on this thread. */
GLUE_HIDDEN int glue_run(const glue_ref *ref, void (*body)(lua_State *L, const glue_ref *ref, void *argument),
                         void *argument);

/* ---- The host ------------------------------------------------------------------------------------------------ */

/* What the owner of a state may set before the module is opened. */
typedef struct glue_host {
    /* 1: training prints only where the script asks for it. */
    int quiet;
    /* 1: the script may not read or write files. */
    int no_files;
    /* The most bytes that the state and its tensors may have, 0 for any number. */
    int64_t memory_limit;
    /* The state to run callbacks in while no script runs, between begin (0: not now) and end. All NULL: none. */
    lua_State *L;
    int (*begin)(void *owner);
    void (*end)(void *owner);
    void *owner;
} glue_host;

GLUE_HIDDEN void glue_set_host(lua_State *L, const glue_host *host);
GLUE_HIDDEN const glue_host *glue_get_host(lua_State *L);
/* Raises where files are closed to scripts. */
GLUE_HIDDEN void glue_check_files(lua_State *L);
/* Lets require "dl" and its parts find the module in a state. */
GLUE_HIDDEN void glue_preload(lua_State *L);
/* Bytes of the tensors that the state's userdata hold. */
GLUE_HIDDEN int64_t glue_tensor_bytes(lua_State *L);

/* ---- Values -------------------------------------------------------------------------------------------------- */

/* Pushes the JSON text of the value at an index. */
GLUE_HIDDEN const char *glue_json_encode(lua_State *L, int index);
/* Pushes the value of a JSON text: null is nil, inside arrays false. */
GLUE_HIDDEN void glue_json_decode(lua_State *L, const char *text);
/* Pushes the value of a JSON text that the library gave out, and frees the text. */
GLUE_HIDDEN void glue_push_json(lua_State *L, char *text);
/* Pushes a text that the library gave out, and frees it. */
GLUE_HIDDEN void glue_push_text(lua_State *L, char *text);

/* The element type that a script names; raises for a name that is none. */
GLUE_HIDDEN dl_dtype glue_dtype(lua_State *L, int index);
GLUE_HIDDEN const char *glue_dtype_name(dl_dtype dtype);
GLUE_HIDDEN int64_t glue_dtype_size(dl_dtype dtype);

/* Sizes from a list of numbers, -1, false or nil for unknown ones. Returns the rank. */
GLUE_HIDDEN int32_t glue_shape(lua_State *L, int index, int64_t shape[DL_MAX_RANK]);
/* Pushes a list of sizes, false for unknown ones. */
GLUE_HIDDEN void glue_push_shape(lua_State *L, int32_t rank, const int64_t *shape);

/* Replaces a number, boolean or nested table at an index by a tensor; leaves a tensor alone. Numbers take the type
 * `like`, if that can hold them. */
GLUE_HIDDEN dl_tensor *glue_operand(lua_State *L, int index, dl_dtype like);

/* Pushes a block with the handles of a list of userdata, which the list keeps alive. NULL for entries that are false
 * where `optional`. NULL and count 0 for nil. */
GLUE_HIDDEN void **glue_handles(lua_State *L, int index, glue_kind kind, int optional, int32_t *count);

/* Pushes userdata over new references to tensors, which are taken over even if that raises. `counted`: their bytes are
 * the script's, and not a model's. Returns count. */
GLUE_HIDDEN int glue_push_results(lua_State *L, dl_tensor **results, int32_t count, int counted);

/* Most results of one call. */
#define GLUE_RESULTS 1024


/* ---- Parts --------------------------------------------------------------------------------------------------- */

/* Each adds its functions to the table on top of the stack. */
GLUE_HIDDEN void glue_open_process(lua_State *L);
GLUE_HIDDEN void glue_open_json(lua_State *L);
GLUE_HIDDEN void glue_open_tensor(lua_State *L);
GLUE_HIDDEN void glue_open_index(lua_State *L);
GLUE_HIDDEN void glue_open_operation(lua_State *L);
GLUE_HIDDEN void glue_open_tape(lua_State *L);
GLUE_HIDDEN void glue_open_layer(lua_State *L);
GLUE_HIDDEN void glue_open_custom(lua_State *L);
GLUE_HIDDEN void glue_open_model(lua_State *L);
GLUE_HIDDEN void glue_open_training(lua_State *L);
GLUE_HIDDEN void glue_open_fit(lua_State *L);
GLUE_HIDDEN void glue_open_objective(lua_State *L);
GLUE_HIDDEN void glue_open_steps(lua_State *L);
GLUE_HIDDEN void glue_open_picture(lua_State *L);
GLUE_HIDDEN void glue_open_objects(lua_State *L);

/* Pushes the table {methods, getters, setters} that the userdata of a kind look their fields up in. */
GLUE_HIDDEN void glue_push_class(lua_State *L, glue_kind kind);
/* Registers the metatables; called once for a state. */
GLUE_HIDDEN void glue_open_kinds(lua_State *L);

GLUE_HIDDEN int glue_tensor_index(lua_State *L);
GLUE_HIDDEN int glue_tensor_newindex(lua_State *L);
GLUE_HIDDEN const luaL_Reg *glue_tensor_metamethods(void);
GLUE_HIDDEN const luaL_Reg *glue_tensor_operators(void);

#endif
