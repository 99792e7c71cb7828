/* Threads, memory and handles from many threads at once, for the sanitizers: their reports are the result. */
#include "dl_shims.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { hosts = 4, rounds = 300, pieces = 37 };

static int failures;

static void expect(int holds, const char *what) {
    if (holds) { return; }
    printf("failed: %s\n", what);
    __atomic_fetch_add(&failures, 1, __ATOMIC_RELAXED);
}

typedef struct sums {
    int64_t values[pieces];
    int host;
} sums;

static void nested(void *argument, int64_t piece) { ((int64_t *)argument)[0] += piece; }

static void piece_of_work(void *argument, int64_t piece) {
    sums *s = argument;
    int64_t inner = 0;
    dl_pool_parallel_for(NULL, 5, nested, &inner);
    s->values[piece] += piece + inner;
    size_t bytes = 64 + (size_t)piece * 1000;
    char *block = dl_memory_allocate(bytes);
    expect(block != NULL, "allocation");
    memset(block, (int)piece, bytes);
    expect(block[bytes - 1] == (char)piece, "contents");
    dl_memory_release(block, bytes);
}

static void *host(void *argument) {
    sums s = {{0}, (int)(intptr_t)argument};
    for (int round = 0; round < rounds; round++) {
        /* One host changes the number of threads while the others work. */
        if (s.host == 0 && round % 16 == 0) { dl_pool_set_threads(1 + round / 16 % 5); }
        if (s.host == 1 && round % 50 == 0) { dl_memory_trim(); }
        if (s.host == 2 && round % 40 == 0) { dl_pool_shutdown(); }
        dl_pool_parallel_for(NULL, pieces, piece_of_work, &s);
        void *object = NULL;
        void *handle = dl_handle_create(1 + s.host, &s);
        expect(dl_handle_object(handle, 1 + s.host) == &s, "handle");
        expect(dl_handle_retain(handle, 1 + s.host) == 1, "retain");
        expect(dl_handle_release(handle, 1 + s.host, &object) == 0, "first release");
        expect(dl_handle_release(handle, 1 + s.host, &object) == 1 && object == &s, "last release");
        char text[600];
        int length = snprintf(text, sizeof text, "%*d", 300 + round % 200, round);
        dl_error_state_set(round, text, (size_t)length);
        expect(strcmp(dl_error_state_text(), text) == 0, "message");
    }
    for (int64_t piece = 0; piece < pieces; piece++) {
        expect(s.values[piece] == rounds * (piece + 10), "every piece once a round");
    }
    return NULL;
}

int main(void) {
    pthread_t threads[hosts];
    for (intptr_t i = 0; i < hosts; i++) { pthread_create(&threads[i], NULL, host, (void *)i); }
    for (int i = 0; i < hosts; i++) { pthread_join(threads[i], NULL); }
    expect(dl_handle_count(0) == 0, "no handle left");
    dl_memory_statistics statistics;
    dl_memory_get_statistics(&statistics);
    expect(statistics.in_use == 0, "no block left");
    expect(dl_pool_shutdown() == 1 && dl_pool_workers() == 0, "shutdown");
    dl_memory_trim();

    pid_t child = fork();
    if (child == 0) {
        alarm(60);
        failures = 0;
        host((void *)(intptr_t)3);
        dl_pool_shutdown();
        dl_memory_trim();
        _exit(failures != 0);
    }
    int status = 1;
    waitpid(child, &status, 0);
    expect(status == 0, "child of fork");
    return failures != 0;
}
