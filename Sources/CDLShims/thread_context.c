#include "dl_thread_context.h"

#include <pthread.h>
#include <stddef.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static int has_key;

/* Read far more often than set, so the pointer itself is thread-local; the key only brings the destructor. */
static _Thread_local struct {
    void *context;
    void (*destroy)(void *context);
} slot;

static void end_of_thread(void *unused)
{
    (void)unused;
    void *context = slot.context;
    slot.context = NULL;
    if (context != NULL && slot.destroy != NULL) slot.destroy(context);
}

static void create_key(void) { has_key = pthread_key_create(&key, end_of_thread) == 0; }

void *dl_thread_context(void) { return slot.context; }

void dl_thread_context_set(void *context, void (*destroy)(void *context))
{
    slot.context = context;
    slot.destroy = destroy;
    pthread_once(&once, create_key);
    if (has_key) pthread_setspecific(key, &slot);
}
