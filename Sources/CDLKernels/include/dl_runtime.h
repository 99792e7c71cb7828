#ifndef DL_RUNTIME_H
#define DL_RUNTIME_H

#include <stdint.h>

/* What a kernel may ask of the world: to run pieces of its work in parallel.
 *
 * parallel_for calls task(argument, piece) once for each piece in 0 ..< pieces, on any threads, and
 * returns when all have finished. Which thread runs which piece is not defined, so a piece writes
 * only what no other piece writes. Called from inside a task it runs the pieces one after another.
 *
 * threads is a hint for sizing blocks. The numbers a kernel produces must not depend on it: the
 * order in which one output element is summed is fixed by the problem alone. */
typedef void (*dl_task)(void *argument, int64_t piece);

typedef struct dl_runtime {
    void *context;
    void (*parallel_for)(void *context, int64_t pieces, dl_task task, void *argument);
    int64_t threads;
} dl_runtime;

#endif
