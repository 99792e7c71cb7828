#ifndef DL_TEXT_H
#define DL_TEXT_H

#include <stddef.h>

/* Numbers as text and back, with a decimal point whatever the host's locale says. Any thread. */

/* Like snprintf with "%.*e", "%.*f" or "%.*g"; style is 'e', 'f' or 'g', anything else counts as 'g'.
 * Returns the length the whole text has; at most size bytes are written, the zero included. */
size_t dl_text_from_double(char *text, size_t size, double value, char style, int precision);

/* The shortest text that reads back as the same number: "0.1", "1e+300", "nan", "-inf". 32 bytes hold any. */
size_t dl_text_shortest_double(char *text, size_t size, double value);
size_t dl_text_shortest_float(char *text, size_t size, float value);

/* Reads a decimal number (sign, digits, point, exponent; no blanks, no hexadecimal, no infinity) that takes up all
 * of the text. Rounds to nearest; beyond the range it gives an infinity or zero. Returns 1, or 0 for anything else. */
int dl_text_to_double(const char *text, size_t length, double *value);

#endif
