/* The Lua sources, compiled in. */
#ifndef DL_GLUE_SOURCES_H
#define DL_GLUE_SOURCES_H

#include <stddef.h>

#include "glue.h"

typedef struct glue_source {
    /* "layers" for dl/layers.lua. */
    const char *name;
    const char *bytes;
    size_t length;
    /* 1: scripts may say require "dl.layers". */
    int is_public;
} glue_source;

GLUE_HIDDEN extern const glue_source glue_sources[];

#endif
