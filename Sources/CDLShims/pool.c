#define _GNU_SOURCE
#include "dl_pool.h"
#include "locks.h"

#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <xmmintrin.h>
#define CPU_RELAX() _mm_pause()
#else
#define CPU_RELAX() ((void)0)
#endif

typedef void (*task_function)(void *, int64_t);

/* One region after another passes through these fields.
 *
 * ticket holds generation << 32 | next piece. A thread takes a piece by raising it with compare-and-swap, which
 * succeeds only while the region it read the fields of is still the current one; the fields change only while the
 * ticket is closed (next piece = closed_ticket), after all pieces have been done. So a worker that wakes up late finds nothing to take, and nobody waits for it:
 * the caller waits for pieces, not for workers. */
static struct {
    _Alignas(64) _Atomic uint64_t ticket;
    _Alignas(64) _Atomic uint32_t done;
    _Atomic uint32_t caller_sleeps;
    _Alignas(64) _Atomic uint32_t wake_word;
    _Atomic uint32_t sleepers;
    _Alignas(64) _Atomic uint32_t count;
    _Atomic uint32_t float_mode;
    _Atomic int64_t base;
    _Atomic(task_function) task;
    _Atomic(void *) argument;
    /* Workers numbered from here on leave. */
    _Atomic uint32_t worker_limit;
    /* 1 while a caller owns the fields above. */
    _Alignas(64) _Atomic int busy;
    /* 0 until somebody asks. */
    _Atomic int64_t wanted_threads;
    _Atomic uint32_t workers;
    /* Touched by the owner of busy only. */
    pthread_t handles[DL_POOL_MAXIMUM_THREADS];
} pool;

static _Thread_local int inside_task;

static const double spin_seconds = 50e-6;
static const uint32_t closed_ticket = UINT32_MAX;
/* A pause takes 5 to 50 ns, depending on the processor; the clock is read once in so many. */
enum { pauses_between_clocks = 64 };

static void futex_wait(_Atomic uint32_t *word, uint32_t seen) {
    syscall(SYS_futex, (uint32_t *)word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word, int threads) {
    syscall(SYS_futex, (uint32_t *)word, FUTEX_WAKE_PRIVATE, threads, NULL, NULL, 0);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The control bits only: exception flags are each thread's own. */
static uint32_t get_float_mode(void) {
#if defined(__x86_64__)
    return _mm_getcsr() & ~0x3fu;
#else
    return 0;
#endif
}

static void set_float_mode(uint32_t mode) {
#if defined(__x86_64__)
    if (get_float_mode() != mode) { _mm_setcsr(mode); }
#else
    (void)mode;
#endif
}

/* Takes and does pieces until none is left. */
static void take_pieces(void) {
    for (;;) {
        uint64_t ticket = atomic_load(&pool.ticket);
        uint32_t piece = (uint32_t)ticket;
        uint32_t count = atomic_load_explicit(&pool.count, memory_order_relaxed);
        task_function task = atomic_load_explicit(&pool.task, memory_order_relaxed);
        void *argument = atomic_load_explicit(&pool.argument, memory_order_relaxed);
        int64_t base = atomic_load_explicit(&pool.base, memory_order_relaxed);
        uint32_t mode = atomic_load_explicit(&pool.float_mode, memory_order_relaxed);
        if (piece >= count) { return; }
        if (!atomic_compare_exchange_weak(&pool.ticket, &ticket, ticket + 1)) { continue; }
        set_float_mode(mode);
        task(argument, base + piece);
        if (atomic_fetch_add(&pool.done, 1) + 1 == count && atomic_load(&pool.caller_sleeps)) {
            futex_wake(&pool.done, 1);
        }
    }
}

/* Spins, then sleeps, until the generation differs from the given one or the worker has to leave. */
static void wait_for_region(uint32_t generation, uint32_t number) {
    double end = now() + spin_seconds;
    for (;;) {
        for (int i = 0; i < pauses_between_clocks; i++) {
            if ((uint32_t)(atomic_load(&pool.ticket) >> 32) != generation) { return; }
            if (number >= atomic_load_explicit(&pool.worker_limit, memory_order_relaxed)) { return; }
            CPU_RELAX();
        }
        if (now() >= end) { break; }
    }
    atomic_fetch_add(&pool.sleepers, 1);
    for (;;) {
        uint32_t word = atomic_load(&pool.wake_word);
        if ((uint32_t)(atomic_load(&pool.ticket) >> 32) != generation) { break; }
        if (number >= atomic_load(&pool.worker_limit)) { break; }
        futex_wait(&pool.wake_word, word);
    }
    atomic_fetch_sub(&pool.sleepers, 1);
}

static void *work(void *argument) {
    uint32_t number = (uint32_t)(uintptr_t)argument;
    inside_task = 1;
    while (number < atomic_load(&pool.worker_limit)) {
        uint32_t generation = (uint32_t)(atomic_load(&pool.ticket) >> 32);
        take_pieces();
        wait_for_region(generation, number);
    }
    return NULL;
}

static void wake_workers(int threads) {
    atomic_fetch_add(&pool.wake_word, 1);
    if (atomic_load(&pool.sleepers) > 0) { futex_wake(&pool.wake_word, threads); }
}

/* Brings the number of workers to the wanted one. The caller owns busy. */
static void adjust_workers(uint32_t wanted) {
    uint32_t present = atomic_load_explicit(&pool.workers, memory_order_relaxed);
    if (present == wanted) { return; }
    atomic_store(&pool.worker_limit, wanted);
    if (present > wanted) {
        wake_workers(DL_POOL_MAXIMUM_THREADS);
        while (present > wanted) {
            present--;
            pthread_join(pool.handles[present], NULL);
            atomic_store(&pool.workers, present);
        }
        return;
    }
    /* The new threads inherit the mask: signals belong to the host's own threads. */
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    while (present < wanted) {
        if (pthread_create(&pool.handles[present], NULL, work, (void *)(uintptr_t)present) != 0) {
            /* The system refuses more: be content, rather than ask again in every region. */
            atomic_store(&pool.wanted_threads, (int64_t)present + 1);
            break;
        }
        pthread_setname_np(pool.handles[present], "dl-worker");
        present++;
        atomic_store(&pool.workers, present);
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void wait_for_pieces(uint32_t count) {
    if (atomic_load(&pool.done) == count) { return; }
    double end = now() + spin_seconds;
    do {
        for (int i = 0; i < pauses_between_clocks; i++) {
            if (atomic_load(&pool.done) == count) { return; }
            CPU_RELAX();
        }
    } while (now() < end);
    atomic_store(&pool.caller_sleeps, 1);
    for (;;) {
        uint32_t done = atomic_load(&pool.done);
        if (done == count) { break; }
        futex_wait(&pool.done, done);
    }
    atomic_store(&pool.caller_sleeps, 0);
}

/* The caller owns busy. */
static void run_region(int64_t base, uint32_t count, task_function task, void *argument) {
    uint64_t generation = atomic_load(&pool.ticket) >> 32;
    /* A thread that has read the last ticket and will read the new fields fails at its compare-and-swap. */
    atomic_store(&pool.ticket, generation << 32 | closed_ticket);
    atomic_store_explicit(&pool.done, 0, memory_order_relaxed);
    atomic_store_explicit(&pool.count, count, memory_order_relaxed);
    atomic_store_explicit(&pool.task, task, memory_order_relaxed);
    atomic_store_explicit(&pool.argument, argument, memory_order_relaxed);
    atomic_store_explicit(&pool.base, base, memory_order_relaxed);
    atomic_store_explicit(&pool.float_mode, get_float_mode(), memory_order_relaxed);
    atomic_store(&pool.ticket, (generation + 1) << 32);
    uint32_t helpers = count - 1;
    wake_workers(helpers < DL_POOL_MAXIMUM_THREADS ? (int)helpers : DL_POOL_MAXIMUM_THREADS);
    inside_task = 1;
    take_pieces();
    inside_task = 0;
    wait_for_pieces(count);
}

void dl_pool_parallel_for(void *context, int64_t pieces, task_function task, void *argument) {
    (void)context;
    if (pieces <= 0) { return; }
    if (pieces == 1) {
        task(argument, 0);
        return;
    }
    int free = 0;
    int outer = inside_task;
    if (outer || dl_pool_threads() < 2 || !atomic_compare_exchange_strong(&pool.busy, &free, 1)) {
        inside_task = 1;
        for (int64_t piece = 0; piece < pieces; piece++) { task(argument, piece); }
        inside_task = outer;
        return;
    }
    adjust_workers((uint32_t)dl_pool_threads() - 1);
    for (int64_t base = 0; base < pieces;) {
        int64_t count = pieces - base < INT32_MAX ? pieces - base : INT32_MAX;
        run_region(base, (uint32_t)count, task, argument);
        base += count;
    }
    atomic_store(&pool.busy, 0);
}

int64_t dl_pool_threads(void) {
    int64_t threads = atomic_load_explicit(&pool.wanted_threads, memory_order_relaxed);
    if (threads > 0) { return threads; }
    int64_t found = dl_pool_default_threads();
    /* Another thread may have set the number meanwhile. */
    if (atomic_compare_exchange_strong(&pool.wanted_threads, &threads, found)) { return found; }
    return threads;
}

void dl_pool_set_threads(int64_t threads) {
    if (threads < 1) { threads = dl_pool_default_threads(); }
    if (threads > DL_POOL_MAXIMUM_THREADS) { threads = DL_POOL_MAXIMUM_THREADS; }
    atomic_store(&pool.wanted_threads, threads);
}

int64_t dl_pool_workers(void) { return atomic_load(&pool.workers); }

int dl_pool_shutdown(void) {
    int free = 0;
    if (inside_task || !atomic_compare_exchange_strong(&pool.busy, &free, 1)) { return 0; }
    adjust_workers(0);
    atomic_store(&pool.busy, 0);
    return 1;
}

void dl_pool_after_fork(void) {
    atomic_store(&pool.workers, 0);
    atomic_store(&pool.worker_limit, 0);
    atomic_store(&pool.sleepers, 0);
    atomic_store(&pool.caller_sleeps, 0);
    /* A region of another thread stays in the parent. Its pieces count as taken. */
    atomic_store(&pool.count, 0);
    atomic_store(&pool.busy, 0);
}
