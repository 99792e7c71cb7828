/* Fields of option tables, shared by the files about training. */
#ifndef DL_GLUE_TRAINING_H
#define DL_GLUE_TRAINING_H

#include "glue.h"

GLUE_HIDDEN int32_t glue_int_field(lua_State *L, int index, const char *name, int32_t otherwise);
GLUE_HIDDEN double glue_number_field(lua_State *L, int index, const char *name);
/* A string, or the JSON of a table; NULL for nil. It stays on the stack. */
GLUE_HIDDEN const char *glue_text_field(lua_State *L, int index, const char *name);
/* The list of numbers in a field, in a block on the stack; NULL for nil. */
GLUE_HIDDEN const double *glue_numbers(lua_State *L, int index, const char *name, int32_t *count);
/* Fills in data from {x, y, sample_weight}, lists of tensors; blocks with their handles stay on the stack. */
GLUE_HIDDEN void glue_read_data(lua_State *L, int index, dl_data *data);

#endif
