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

/* Scratch memory that pieces share one after another, so that a thread meets what is in its cache: `taken` has a bit for
 * each of up to 64 slots, 0 at first. The lowest free slot is taken; there are as many slots as pieces, so none waits. */
static inline __attribute__((always_inline)) int64_t dl_take_slot(uint64_t *taken) {
    uint64_t before = __atomic_load_n(taken, __ATOMIC_RELAXED), bit;
    do bit = ~before & (before + 1);
    while (!__atomic_compare_exchange_n(taken, &before, before | bit, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED));
    return __builtin_ctzll(bit);
}
static inline __attribute__((always_inline)) void dl_return_slot(uint64_t *taken, int64_t slot) {
    __atomic_fetch_and(taken, ~((uint64_t)1 << slot), __ATOMIC_RELEASE);
}

#endif
