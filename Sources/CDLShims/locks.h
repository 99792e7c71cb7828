#ifndef DL_LOCKS_H
#define DL_LOCKS_H

/* What happens around fork (fork.c): every lock of the library is taken before it and given back on both sides,
 * so that a child never inherits one that a thread of its parent holds. */

void dl_memory_lock(void);
void dl_memory_unlock(void);
void dl_handle_lock(void);
void dl_handle_unlock(void);
void dl_pool_after_fork(void);

#endif
