#include "dl_system.h"

#include <stdlib.h>
#include <string.h>

char *dl_system_copy_text(const char *text) { return strdup(text); }

void dl_system_free_text(char *text) { free(text); }
