#define _GNU_SOURCE
#include "dl_handle.h"
#include "locks.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>

/* The low five bits of a handle say which use of the cell it is: 0, 8, 16 or 24, so that handles stay aligned. */
typedef struct cell {
    _Atomic int32_t references;
    _Atomic int32_t kind;
    _Atomic(void *) object;
    uint32_t next_free;
    _Atomic uint32_t use;
    uint64_t padding;
} cell;

_Static_assert(sizeof(cell) == 32, "a handle's low bits are the use of its cell");

enum {
    uses = 4,
    step = 2048,                     /* cells made usable at a time: 64 KB */
    most_cells = 1 << 24,            /* half a gigabyte of address space, not of memory */
    fewest_cells = 1 << 15,          /* what is asked for where address space is limited */
    quarantine = 1 << 16,            /* released cells that wait while fresh ones are left */
};
static const uint32_t none = UINT32_MAX;

static struct {
    pthread_mutex_t mutex;
    _Atomic(cell *) cells;
    /* Cells that have been made usable; what lies beyond must not be touched. */
    _Atomic uint32_t usable;
    uint32_t reserved, fresh;
    /* A queue: released at the tail, used again from the head. */
    uint32_t head, tail, waiting;
    _Atomic int64_t live[DL_HANDLE_KINDS];
} table = {.mutex = PTHREAD_MUTEX_INITIALIZER, .head = UINT32_MAX, .tail = UINT32_MAX};

void dl_handle_lock(void) { pthread_mutex_lock(&table.mutex); }
void dl_handle_unlock(void) { pthread_mutex_unlock(&table.mutex); }

/* Present where a leak checker runs: objects that only a handle holds are not leaks. */
extern void __lsan_register_root_region(const void *start, size_t size) __attribute__((weak));

/* The lock is held, in this and the next three. */
static int reserve(void) {
    for (uint32_t cells = most_cells; cells >= fewest_cells; cells /= 2) {
        void *range = mmap(NULL, (size_t)cells * sizeof(cell), PROT_NONE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (range == MAP_FAILED) { continue; }
        table.reserved = cells;
        atomic_store(&table.cells, range);
        return 1;
    }
    return 0;
}

static int extend(void) {
    uint32_t usable = atomic_load(&table.usable);
    if (table.reserved - usable < step) { return 0; }
    cell *start = atomic_load(&table.cells) + usable;
    if (mprotect(start, step * sizeof(cell), PROT_READ | PROT_WRITE) != 0) { return 0; }
    if (__lsan_register_root_region) { __lsan_register_root_region(start, step * sizeof(cell)); }
    atomic_store(&table.usable, usable + step);
    return 1;
}

static cell *take_fresh(void) {
    if (atomic_load(&table.cells) == NULL && !reserve()) { return NULL; }
    if (table.fresh == atomic_load(&table.usable) && !extend()) { return NULL; }
    return atomic_load(&table.cells) + table.fresh++;
}

static cell *take_released(void) {
    if (table.head == none) { return NULL; }
    cell *c = atomic_load(&table.cells) + table.head;
    table.head = c->next_free;
    if (table.head == none) { table.tail = none; }
    table.waiting--;
    return c;
}

void *dl_handle_create(int32_t kind, void *object) {
    if (kind < 1 || kind >= DL_HANDLE_KINDS || object == NULL) { return NULL; }
    dl_handle_lock();
    cell *c = table.waiting >= quarantine ? take_released() : take_fresh();
    if (c == NULL) { c = take_released(); }
    dl_handle_unlock();
    if (c == NULL) { return NULL; }
    uint32_t use = atomic_load(&c->use);
    atomic_store(&c->object, object);
    atomic_store(&c->kind, kind);
    atomic_store(&c->references, 1);
    atomic_fetch_add(&table.live[kind], 1);
    return (char *)c + 8 * use;
}

/* The cell of a live handle, or NULL. */
static cell *find(const void *handle) {
    uintptr_t start = (uintptr_t)atomic_load_explicit(&table.cells, memory_order_acquire);
    uintptr_t offset = (uintptr_t)handle - start;
    if (start == 0 || (uintptr_t)handle < start) { return NULL; }
    uint32_t usable = atomic_load_explicit(&table.usable, memory_order_acquire);
    if (offset / sizeof(cell) >= usable) { return NULL; }
    cell *c = (cell *)start + offset / sizeof(cell);
    if (atomic_load_explicit(&c->references, memory_order_acquire) <= 0) { return NULL; }
    if (offset % sizeof(cell) != 8 * atomic_load_explicit(&c->use, memory_order_relaxed)) { return NULL; }
    return c;
}

static cell *find_kind(const void *handle, int32_t kind) {
    cell *c = find(handle);
    return c != NULL && atomic_load_explicit(&c->kind, memory_order_relaxed) == kind ? c : NULL;
}

void *dl_handle_object(const void *handle, int32_t kind) {
    cell *c = find_kind(handle, kind);
    return c == NULL ? NULL : atomic_load_explicit(&c->object, memory_order_relaxed);
}

int32_t dl_handle_kind(const void *handle) {
    cell *c = find(handle);
    return c == NULL ? 0 : atomic_load_explicit(&c->kind, memory_order_relaxed);
}

int dl_handle_retain(const void *handle, int32_t kind) {
    cell *c = find_kind(handle, kind);
    if (c == NULL) { return 0; }
    int32_t references = atomic_load(&c->references);
    do {
        if (references <= 0 || references == INT32_MAX) { return 0; }
    } while (!atomic_compare_exchange_weak(&c->references, &references, references + 1));
    return 1;
}

int dl_handle_release(const void *handle, int32_t kind, void **object) {
    *object = NULL;
    cell *c = find_kind(handle, kind);
    if (c == NULL) { return -1; }
    int32_t references = atomic_load(&c->references);
    do {
        if (references <= 0) { return -1; }
    } while (!atomic_compare_exchange_weak(&c->references, &references, references - 1));
    if (references > 1) { return 0; }
    *object = atomic_exchange(&c->object, NULL);
    atomic_store(&c->kind, 0);
    atomic_store(&c->use, (atomic_load(&c->use) + 1) % uses);
    atomic_fetch_sub(&table.live[kind], 1);
    uint32_t index = (uint32_t)(c - atomic_load(&table.cells));
    dl_handle_lock();
    c->next_free = none;
    if (table.tail == none) {
        table.head = index;
    } else {
        atomic_load(&table.cells)[table.tail].next_free = index;
    }
    table.tail = index;
    table.waiting++;
    dl_handle_unlock();
    return 1;
}

int64_t dl_handle_count(int32_t kind) {
    if (kind > 0 && kind < DL_HANDLE_KINDS) { return atomic_load(&table.live[kind]); }
    int64_t all = 0;
    for (int k = 1; kind == 0 && k < DL_HANDLE_KINDS; k++) { all += atomic_load(&table.live[k]); }
    return all;
}
