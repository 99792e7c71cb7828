#include "dl_error_state.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Nearly every message fits here; longer ones are on the heap and freed when the thread ends. */
static _Thread_local char small_text[384];
static _Thread_local char *large_text;
static _Thread_local int32_t last_code;
static _Thread_local int32_t last_callback;

static pthread_key_t key;
static int key_made;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_key(void) { key_made = pthread_key_create(&key, free) == 0; }

/* Room for size bytes that the end of the thread gives back, or NULL. */
static char *room(size_t size) {
    pthread_once(&once, make_key);
    char *text = key_made ? malloc(size) : NULL;
    if (text != NULL && pthread_setspecific(key, text) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

void dl_error_state_set(int32_t code, const char *text, size_t length) {
    last_code = code;
    last_callback = 0;
    /* The text may be the last message itself, or a part of it. */
    char *old = large_text;
    char *target = small_text;
    size_t most = sizeof small_text - 1;
    if (length > most) {
        char *large = room(length + 1);
        if (large != NULL) {
            target = large;
            most = length;
        }
    }
    if (length > most) { length = most; }
    if (length > 0) { memmove(target, text, length); }
    target[length] = 0;
    large_text = target == small_text ? NULL : target;
    if (old != NULL) {
        if (large_text == NULL) { pthread_setspecific(key, NULL); }
        free(old);
    }
}

const char *dl_error_state_text(void) { return large_text != NULL ? large_text : small_text; }

int32_t dl_error_state_code(void) { return last_code; }

void dl_error_state_set_callback(int32_t result) { last_callback = result; }

int32_t dl_error_state_callback(void) { return last_callback; }
