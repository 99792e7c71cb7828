#ifndef DL_POOL_H
#define DL_POOL_H

#include <stdint.h>

/* The process's one pool of worker threads.
 *
 * Workers start at the first region that can use them, block every signal, and are gone after fork: a child
 * starts its own when it needs them. Any thread may call any function here; fork from inside a task is the
 * one thing not supported. */

enum { DL_POOL_MAXIMUM_THREADS = 1024 };

/* Calls task(argument, piece) once for each piece in 0 ..< pieces and returns when all have finished. The caller
 * takes part. One caller at a time has the workers; a second one, and a caller inside a task, does its pieces alone.
 * A region of one piece is a plain call: regions inside it may still use the workers.
 * Workers compute in the caller's floating-point mode (rounding, denormals), so the split never shows in results.
 * context is ignored: the signature is that of dl_runtime.parallel_for. */
void dl_pool_parallel_for(void *context, int64_t pieces, void (*task)(void *argument, int64_t piece), void *argument);

/* How many threads a region may use, the caller included. */
int64_t dl_pool_threads(void);

/* Sets that number, clamped to 1 ... DL_POOL_MAXIMUM_THREADS; below 1 means dl_pool_default_threads() again.
 * Holds from the next region on. */
void dl_pool_set_threads(int64_t threads);

/* The processors this process may use (affinity mask, control group quota), at most DL_NUM_THREADS where the
 * environment has it. */
int64_t dl_pool_default_threads(void);

/* How many workers exist now. */
int64_t dl_pool_workers(void);

/* Ends the workers; a later region starts them again. Returns 0 and does nothing while a region runs. */
int dl_pool_shutdown(void);

#endif
