#include "locks.h"

#include <pthread.h>

static void prepare(void) {
    dl_handle_lock();
    dl_memory_lock();
}

static void parent(void) {
    dl_memory_unlock();
    dl_handle_unlock();
}

static void child(void) {
    parent();
    dl_pool_after_fork();
}

/* The only thing the library does when it is loaded. */
__attribute__((constructor)) static void register_fork_handlers(void) { pthread_atfork(prepare, parent, child); }
