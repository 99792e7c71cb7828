#define _GNU_SOURCE
#include "dl_memory.h"
#include "locks.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <sys/mman.h>
#include <unistd.h>

enum {
    alignment = 64,
    linear_classes = 8, /* 64, 128 ... 512 */
    classes_per_doubling = 8,
    doublings = 38, /* up to 512 << 38 = 2^47 bytes, all that an x86-64 process can address */
    class_count = linear_classes + classes_per_doubling * doublings,
};

/* An address sanitizer sees the errors it is there to find only in blocks of malloc that are freed at once. */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* Blocks from here on are pages of their own, start at a huge page and ask for more of them: what malloc is given back
 * stays in its heap, where the next large block rarely fits. */
static const size_t huge_block = SANITIZED ? SIZE_MAX : (size_t)4 << 20;
static const size_t huge_page = (size_t)2 << 20;

/* A released block holds the link to the next one and its own size. */
typedef struct free_block {
    struct free_block *next;
    size_t bytes;
} free_block;

static struct {
    pthread_mutex_t mutex;
    free_block *lists[class_count];
    dl_memory_statistics statistics;
    int64_t cache_limit;
    int64_t limit;
} memory = {.mutex = PTHREAD_MUTEX_INITIALIZER, .cache_limit = SANITIZED ? 0 : (int64_t)256 << 20};

static _Thread_local int64_t fail_after;
static _Thread_local dl_memory_account *charged;

void dl_memory_lock(void) { pthread_mutex_lock(&memory.mutex); }
void dl_memory_unlock(void) { pthread_mutex_unlock(&memory.mutex); }

/* The class of a size and, in rounded, the bytes it stands for; -1 for a size no class holds. */
static int class_of(size_t bytes, size_t *rounded) {
    if (bytes == 0) { bytes = 1; }
    if (bytes > (size_t)512 << doublings) {
        *rounded = 0;
        return -1;
    }
    if (bytes <= 512) {
        int class = (int)((bytes - 1) / alignment);
        *rounded = (size_t)(class + 1) * alignment;
        return class;
    }
    /* 2^power < bytes <= 2^(power + 1), cut into eight steps. */
    int power = 63 - __builtin_clzll((unsigned long long)(bytes - 1));
    size_t step = (size_t)1 << (power - 3);
    size_t index = (bytes - 1 - ((size_t)1 << power)) / step;
    *rounded = ((size_t)1 << power) + (index + 1) * step;
    return linear_classes + (power - 9) * classes_per_doubling + (int)index;
}

size_t dl_memory_rounded(size_t bytes) {
    size_t rounded;
    class_of(bytes, &rounded);
    return rounded;
}

static void *allocate_from_system(size_t rounded) {
    void *block;
    if (rounded < huge_block) { return posix_memalign(&block, alignment, rounded) == 0 ? block : NULL; }
    /* Asked for with room to move the start, which is cut off again on both sides. */
    size_t reserved = rounded + huge_page;
    char *start = mmap(NULL, reserved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED) { return NULL; }
    size_t before = (huge_page - (uintptr_t)start % huge_page) % huge_page;
    if (before > 0) { munmap(start, before); }
    if (before < huge_page) { munmap(start + before + rounded, huge_page - before); }
    madvise(start + before, rounded, MADV_HUGEPAGE);
    return start + before;
}

static void return_to_system(void *block, size_t rounded) {
    if (rounded < huge_block) {
        free(block);
    } else {
        munmap(block, rounded);
    }
}

/* Takes the whole cache out of the lists, as one list. The lock is held. */
static free_block *take_cache(void) {
    free_block *all = NULL;
    for (int class = 0; class < class_count; class++) {
        while (memory.lists[class] != NULL) {
            free_block *block = memory.lists[class];
            memory.lists[class] = block->next;
            block->next = all;
            all = block;
        }
    }
    memory.statistics.cached = 0;
    return all;
}

static void give_back(free_block *list) {
    while (list != NULL) {
        free_block *next = list->next;
        return_to_system(list, list->bytes);
        list = next;
    }
}

/* The lock is held. */
static void count_grant(void) {
    dl_memory_statistics *statistics = &memory.statistics;
    statistics->allocations++;
    if (statistics->in_use > statistics->peak) { statistics->peak = statistics->in_use; }
}

/* What the machine has. More is refused at once: the system would grant it and end the process when it is touched. */
static int64_t physical_bytes(void) {
    static int64_t bytes;
    if (bytes == 0) {
        long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
        bytes = pages > 0 && size > 0 ? (int64_t)pages * size : INT64_MAX;
    }
    return bytes;
}

static void *allocate(int class, size_t rounded) {
    if (fail_after > 0 && --fail_after == 0) { return NULL; }
    dl_memory_lock();
    dl_memory_statistics *statistics = &memory.statistics;
    if (statistics->in_use + (int64_t)rounded > (memory.limit > 0 ? memory.limit : physical_bytes())) {
        dl_memory_unlock();
        return NULL;
    }
    /* Counted before the system is asked, so that two threads cannot pass the limit together. */
    statistics->in_use += (int64_t)rounded;
    free_block *block = memory.lists[class];
    if (block != NULL) {
        memory.lists[class] = block->next;
        statistics->cached -= (int64_t)rounded;
        count_grant();
        dl_memory_unlock();
        return block;
    }
    /* What is too large for the cache is there to stay (the arena of a plan, a table of weights): what the work before it
     * left cached would stay beside it, unused. */
    int crowded = statistics->cached > 0
        && ((int64_t)rounded > memory.cache_limit
            || (memory.limit > 0 && statistics->in_use + statistics->cached > memory.limit));
    free_block *surplus = crowded ? take_cache() : NULL;
    dl_memory_unlock();
    give_back(surplus);
    block = allocate_from_system(rounded);
    if (block == NULL) {
        dl_memory_trim();
        block = allocate_from_system(rounded);
    }
    dl_memory_lock();
    if (block != NULL) {
        statistics->system_allocations++;
        count_grant();
    } else {
        statistics->in_use -= (int64_t)rounded;
    }
    dl_memory_unlock();
    return block;
}

void *dl_memory_allocate(size_t bytes) {
    size_t rounded;
    int class = class_of(bytes, &rounded);
    if (class < 0) { return NULL; }
    dl_memory_account *account = charged;
    if (account == NULL) { return allocate(class, rounded); }
    if (account->limit > 0 && (int64_t)rounded > account->limit - account->used) { return NULL; }
    void *block = allocate(class, rounded);
    if (block != NULL) { account->used += (int64_t)rounded; }
    return block;
}

void dl_memory_release(void *pointer, size_t bytes) {
    if (pointer == NULL) { return; }
    size_t rounded;
    int class = class_of(bytes, &rounded);
    if (charged != NULL) { charged->used -= (int64_t)rounded; }
    free_block *block = pointer;
    block->bytes = rounded;
    free_block *surplus = NULL;
    dl_memory_lock();
    dl_memory_statistics *statistics = &memory.statistics;
    statistics->in_use -= (int64_t)rounded;
    if (class < 0 || (int64_t)rounded > memory.cache_limit) {
        block->next = NULL;
        surplus = block;
    } else {
        /* What fills the cache without being asked for belongs to work that is over. */
        if (statistics->cached + (int64_t)rounded > memory.cache_limit) { surplus = take_cache(); }
        block->next = memory.lists[class];
        memory.lists[class] = block;
        statistics->cached += (int64_t)rounded;
    }
    dl_memory_unlock();
    give_back(surplus);
}

void dl_memory_get_statistics(dl_memory_statistics *statistics) {
    dl_memory_lock();
    *statistics = memory.statistics;
    dl_memory_unlock();
}

void dl_memory_reset_peak(void) {
    dl_memory_lock();
    memory.statistics.peak = memory.statistics.in_use;
    dl_memory_unlock();
}

void dl_memory_trim(void) {
    dl_memory_lock();
    free_block *all = take_cache();
    dl_memory_unlock();
    give_back(all);
    /* The heap keeps what is freed inside it until it is told. */
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

int64_t dl_memory_cache_limit(void) {
    dl_memory_lock();
    int64_t bytes = memory.cache_limit;
    dl_memory_unlock();
    return bytes;
}

void dl_memory_set_cache_limit(int64_t bytes) {
    dl_memory_lock();
    memory.cache_limit = bytes > 0 ? bytes : 0;
    free_block *surplus = memory.statistics.cached > memory.cache_limit ? take_cache() : NULL;
    dl_memory_unlock();
    give_back(surplus);
}

int64_t dl_memory_limit(void) {
    dl_memory_lock();
    int64_t bytes = memory.limit;
    dl_memory_unlock();
    return bytes;
}

void dl_memory_set_limit(int64_t bytes) {
    dl_memory_lock();
    memory.limit = bytes > 0 ? bytes : 0;
    dl_memory_unlock();
}

void dl_memory_fail_at(int64_t n) { fail_after = n > 0 ? n : 0; }

dl_memory_account *dl_memory_charge(dl_memory_account *account) {
    dl_memory_account *before = charged;
    charged = account;
    return before;
}
