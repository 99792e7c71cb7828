#include "failure.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void picture_failure(dl_picture_failure *failure, int32_t code, size_t offset, const char *format, ...)
{
    va_list arguments;
    if (failure->code) return;
    failure->code = code;
    failure->offset = (int64_t)offset;
    va_start(arguments, format);
    vsnprintf(failure->reason, sizeof failure->reason, format, arguments);
    va_end(arguments);
}

void dl_picture_free(unsigned char *bytes) { free(bytes); }
