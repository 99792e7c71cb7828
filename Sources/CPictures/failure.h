#ifndef DL_PICTURES_FAILURE_H
#define DL_PICTURES_FAILURE_H

#include "dl_pictures.h"

/* Notes a failure; the first one counts. */
void picture_failure(dl_picture_failure *failure, int32_t code, size_t offset, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
