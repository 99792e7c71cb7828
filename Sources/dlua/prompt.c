/* The prompt: lines are edited and remembered by libedit; what is an expression is printed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <editline/readline.h>

#include "dlua.h"
#include "lauxlib.h"

/* 1 where lines are edited; its address is also where an unfinished statement waits in the registry. */
static int edits;

/* The file that lines are remembered in, or NULL. */
static const char *history_file(void)
{
    static char path[4096];
    const char *home = getenv("HOME");
    if (!home || !*home || strlen(home) + 20 > sizeof path) return NULL;
    snprintf(path, sizeof path, "%s/.dlua_history", home);
    return path;
}

static void begin(void)
{
    edits = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    if (!edits) return;
    rl_readline_name = "dlua";
    using_history();
    stifle_history(1000);
    if (history_file()) read_history(history_file());
}

static void end(void)
{
    if (edits && history_file()) write_history(history_file());
}

/* Reads a line and pushes it; 0 at the end of the input. */
static int push_line(lua_State *L, int first)
{
    const char *prompt = first ? "> " : ">> ";
    size_t length;
    lua_getglobal(L, first ? "_PROMPT" : "_PROMPT2");
    if (!lua_isnil(L, -1)) prompt = luaL_tolstring(L, -1, NULL);
    if (edits) {
        char *line = readline(prompt);
        if (!line) return 0;
        lua_pushstring(L, line);
        free(line);
    } else {
        luaL_Buffer b;
        int c, any = 0;
        fputs(prompt, stdout);
        fflush(stdout);
        luaL_buffinit(L, &b);
        while ((c = getchar()) != EOF && c != '\n') {
            luaL_addchar(&b, (char)c);
            any = 1;
        }
        luaL_pushresult(&b);
        if (c == EOF && !any) return 0;
    }
    /* "=x" is an old way to say "return x". */
    if (first && lua_tostring(L, -1)[0] == '=') {
        lua_pushfstring(L, "return %s", lua_tostring(L, -1) + 1);
    }
    lua_tolstring(L, -1, &length);
    lua_replace(L, 1);
    lua_settop(L, 1);
    return 1;
}

static void remember(const char *line)
{
    if (edits && line[0]) add_history(line);
}

/* Whether a message of the compiler says that the chunk ends too early. */
static int is_incomplete(lua_State *L, int status)
{
    size_t length;
    const char *text;
    if (status != LUA_ERRSYNTAX) return 0;
    text = lua_tolstring(L, -1, &length);
    return length >= 5 && strcmp(text + length - 5, "<eof>") == 0;
}

/* Loads a statement, with as many lines as it needs. -1 at the end of the input; else the chunk or a message is on top. */
static int load_statement(lua_State *L)
{
    int status;
    lua_settop(L, 0);
    lua_pushnil(L);
    if (!push_line(L, 1)) return -1;
    lua_pushfstring(L, "return %s", lua_tostring(L, 1));
    status = luaL_loadbuffer(L, lua_tostring(L, -1), lua_rawlen(L, -1), "=stdin");
    if (status == LUA_OK) {
        remember(lua_tostring(L, 1));
        lua_remove(L, 2);
        return LUA_OK;
    }
    lua_settop(L, 1);
    for (;;) {
        status = luaL_loadbuffer(L, lua_tostring(L, 1), lua_rawlen(L, 1), "=stdin");
        if (!is_incomplete(L, status)) break;
        lua_settop(L, 1);
        /* The lines so far step aside for the next one. */
        lua_pushvalue(L, 1);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &edits);
        if (!push_line(L, 0)) {
            lua_pushliteral(L, "unfinished statement");
            return LUA_ERRSYNTAX;
        }
        lua_rawgetp(L, LUA_REGISTRYINDEX, &edits);
        lua_pushliteral(L, "\n");
        lua_pushvalue(L, 1);
        lua_concat(L, 3);
        lua_replace(L, 1);
    }
    remember(lua_tostring(L, 1));
    return status;
}

static void print_results(lua_State *L)
{
    int count = lua_gettop(L) - 1;
    if (count == 0) return;
    luaL_checkstack(L, LUA_MINSTACK, "too many results to print");
    lua_getglobal(L, "print");
    lua_insert(L, 2);
    if (lua_pcall(L, count, 0, 0) != LUA_OK) {
        lua_pushfstring(L, "error calling 'print' (%s)", lua_tostring(L, -1));
        dlua_message(lua_tostring(L, -1));
    }
}

void dlua_prompt(lua_State *L)
{
    const char *name = dlua_name;
    int status;
    /* Errors of lines come without the program's name, as they do in lua. */
    dlua_name = NULL;
    begin();
    while ((status = load_statement(L)) != -1) {
        if (status == LUA_OK) status = dlua_call(L, 0, LUA_MULTRET);
        if (status == LUA_OK) {
            print_results(L);
        } else {
            dlua_report(L, status);
        }
    }
    end();
    lua_settop(L, 0);
    fputc('\n', stdout);
    fflush(stdout);
    dlua_name = name;
}
