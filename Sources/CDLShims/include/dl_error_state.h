#ifndef DL_ERROR_STATE_H
#define DL_ERROR_STATE_H

#include <stddef.h>
#include <stdint.h>

/* The last error of the calling thread. The text is copied and may be of any length; where memory runs out it is cut. */
void dl_error_state_set(int32_t code, const char *text, size_t length);

/* Never NULL; "" before the first error. Valid until the same thread's next dl_error_state_set, or its end. */
const char *dl_error_state_text(void);

/* 0 before the first error. */
int32_t dl_error_state_code(void);

/* What a callback returned when it stopped the work; dl_error_state_set sets it to 0. */
void dl_error_state_set_callback(int32_t result);
int32_t dl_error_state_callback(void);

#endif
