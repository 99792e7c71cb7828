#ifndef DLUA_H
#define DLUA_H

#include "lua.h"

/* The name that messages begin with. */
extern const char *dlua_name;

/* "dlua: message" to the standard error. */
void dlua_message(const char *text);

/* Calls the function below its arguments with a traceback for errors, which it prints. Interrupts raise an error
 * meanwhile. Returns the status. */
int dlua_call(lua_State *L, int arguments, int results);

/* Prints the error on top of the stack, if the status is one, and takes it off. Returns the status. */
int dlua_report(lua_State *L, int status);

/* Reads and runs lines until the input ends. */
void dlua_prompt(lua_State *L);

/* 1 where the first argument is a command of dlua's own, which then has run; *code is what to exit with. */
int dlua_command(lua_State *L, int count, char **arguments, int *code);

/* "dlua 0.1.0, Lua 5.4.7" */
void dlua_print_version(void);

#endif
