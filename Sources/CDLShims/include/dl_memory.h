#ifndef DL_MEMORY_H
#define DL_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/* Memory for tensors: aligned to 64 bytes, counted, and kept for the next request of its size.
 *
 * A request is rounded up to a size class (multiples of 64 bytes up to 512, then eight classes to each doubling, so
 * at most an eighth is lost). Released blocks go to a cache, which is emptied when it would grow beyond its limit.
 * Every function may be called from any thread. */

/* Returns a block whose contents are not defined, or NULL: out of memory, beyond the limit, or a made-up failure.
 * bytes may be 0. */
void *dl_memory_allocate(size_t bytes);

/* bytes is what the block was asked for with. NULL is ignored. */
void dl_memory_release(void *block, size_t bytes);

/* What a request of so many bytes takes from the limit; 0 where it is too large to be granted. */
size_t dl_memory_rounded(size_t bytes);

typedef struct dl_memory_statistics {
    /* Bytes of live blocks now, and the most since the start or dl_memory_reset_peak. */
    int64_t in_use, peak;
    /* Bytes of released blocks kept. */
    int64_t cached;
    /* Requests granted so far, and how many of them the cache could not serve. */
    int64_t allocations, system_allocations;
} dl_memory_statistics;

void dl_memory_get_statistics(dl_memory_statistics *statistics);
void dl_memory_reset_peak(void);

/* Gives the cache back to the system. */
void dl_memory_trim(void);

/* The most bytes the cache may hold: 256 MB unless set; 0 turns it off. */
int64_t dl_memory_cache_limit(void);
void dl_memory_set_cache_limit(int64_t bytes);

/* The most bytes that may be in use or cached, 0 for no limit (the default). Requests beyond it fail. */
int64_t dl_memory_limit(void);
void dl_memory_set_limit(int64_t bytes);

/* What one user of the library may have, here and in memory of its own: requests beyond the limit fail. */
typedef struct dl_memory_account {
    /* The most bytes, 0 for no limit, and the bytes now. */
    int64_t limit, used;
} dl_memory_account;

/* Charges what this thread requests and releases from now on to an account; NULL to none. Returns the one before. */
dl_memory_account *dl_memory_charge(dl_memory_account *account);

/* For tests: the n-th request of the calling thread from now fails (1 is the next), once. 0 calls it off. */
void dl_memory_fail_at(int64_t n);

#endif
