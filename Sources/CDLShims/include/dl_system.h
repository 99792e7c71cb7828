#ifndef DL_SYSTEM_H
#define DL_SYSTEM_H

#include <stddef.h>
#include <stdint.h>

/* Words for an errno value, in English whatever the locale: "No such file or directory". */
void dl_system_error_text(int error, char *text, size_t size);

/* Seconds since some fixed moment; never goes back. */
double dl_system_seconds(void);

/* The natural logarithm, for modules that use nothing else of the C library. */
double dl_system_log(double x);

/* Seconds since 1970-01-01 UTC. */
double dl_system_wall_seconds(void);

/* The variable's text, or NULL. Borrowed; valid until the host changes its environment. */
const char *dl_system_environment(const char *name);

/* 1 where the file descriptor is a terminal, and its width in columns, 0 where it has none. */
int dl_system_is_terminal(int file);
int dl_system_terminal_width(int file);

/* 64 bits from the system's random source, or from clock and process where it has none. */
uint64_t dl_system_entropy(void);

/* Writes the text to the standard error stream, in one piece where the system can; failures are ignored. */
void dl_system_report(const char *text);

/* A copy of the text, or NULL; and what gives it back. */
char *dl_system_copy_text(const char *text);
void dl_system_free_text(char *text);

#endif
