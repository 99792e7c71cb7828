#ifndef DL_THREAD_CONTEXT_H
#define DL_THREAD_CONTEXT_H

/* One pointer for each thread, and what to do with it when the thread ends. */
void *dl_thread_context(void);
void dl_thread_context_set(void *context, void (*destroy)(void *context));

#endif
