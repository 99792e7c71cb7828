/* dlua: the Lua interpreter with libdl in it. Options and habits are those of `lua`. */
#include <dl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../bindings/lua/glue/glue.h"
#include "dlua.h"
#include "lualib.h"

const char *dlua_name = "dlua";

static lua_State *running;

/* ---- Messages and calls -------------------------------------------------------------------------------------- */

void dlua_message(const char *text)
{
    if (dlua_name) fprintf(stderr, "%s: ", dlua_name);
    fprintf(stderr, "%s\n", text);
    fflush(stderr);
}

int dlua_report(lua_State *L, int status)
{
    if (status != LUA_OK) {
        const char *text = lua_tostring(L, -1);
        dlua_message(text ? text : "(error object is no text)");
        lua_pop(L, 1);
    }
    return status;
}

static int add_traceback(lua_State *L)
{
    const char *message = lua_tostring(L, 1);
    if (!message) {
        if (luaL_callmeta(L, 1, "__tostring") && lua_type(L, -1) == LUA_TSTRING) return 1;
        message = lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, 1));
    }
    luaL_traceback(L, L, message, 1);
    return 1;
}

static void stop(lua_State *L, lua_Debug *ar)
{
    (void)ar;
    lua_sethook(L, NULL, 0, 0);
    luaL_error(L, "interrupted!");
}

static void on_interrupt(int number)
{
    signal(number, SIG_DFL);
    lua_sethook(running, stop, LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT, 1);
}

int dlua_call(lua_State *L, int arguments, int results)
{
    int status, base = lua_gettop(L) - arguments;
    void (*before)(int);
    lua_pushcfunction(L, add_traceback);
    lua_insert(L, base);
    running = L;
    before = signal(SIGINT, on_interrupt);
    status = lua_pcall(L, arguments, results, base);
    signal(SIGINT, before);
    lua_remove(L, base);
    return status;
}

void dlua_print_version(void)
{
    printf("dlua %s, %s\n", dl_version(), LUA_COPYRIGHT);
    fflush(stdout);
}

static void usage(const char *wrong)
{
    fflush(stdout);
    if (wrong && (wrong[1] == 'e' || wrong[1] == 'l')) fprintf(stderr, "%s: '%s' needs argument\n", dlua_name, wrong);
    else if (wrong) fprintf(stderr, "%s: unrecognized option '%s'\n", dlua_name, wrong);
    fprintf(stderr,
            "usage: %s [options] [script [args]]\n"
            "Available options are:\n"
            "  -e stat   execute string 'stat'\n"
            "  -i        enter interactive mode after executing 'script'\n"
            "  -l mod    require library 'mod' into global 'mod'\n"
            "  -l g=mod  require library 'mod' into global 'g'\n"
            "  -v        show version information\n"
            "  -E        ignore environment variables\n"
            "  -W        turn warnings on\n"
            "  --        stop handling options\n"
            "  -         stop handling options and execute stdin\n"
            "Commands:\n"
            "  info      show version, processor, threads and kernels\n"
            "  doc [NAME]  describe a layer, operation, loss, optimizer and so on; list them\n",
            dlua_name);
}

/* ---- Chunks -------------------------------------------------------------------------------------------------- */

/* Runs the chunk on top of the stack, or prints why it could not be loaded. */
static int run_chunk(lua_State *L, int status)
{
    if (status == LUA_OK) status = dlua_call(L, 0, 0);
    return dlua_report(L, status);
}

static int run_file(lua_State *L, const char *name) { return run_chunk(L, luaL_loadfile(L, name)); }

static int run_text(lua_State *L, const char *text, const char *name)
{
    return run_chunk(L, luaL_loadbuffer(L, text, strlen(text), name));
}

/* "mod" or "global=mod"; a suffix after '-' is no part of the global's name. */
static int run_library(lua_State *L, const char *given)
{
    const char *equals = strchr(given, '='), *module = equals ? equals + 1 : given;
    int status;
    if (equals) {
        lua_pushlstring(L, given, (size_t)(equals - given));
    } else {
        lua_pushlstring(L, module, strcspn(module, "-"));
    }
    lua_getglobal(L, "require");
    lua_pushstring(L, module);
    status = dlua_call(L, 1, 1);
    if (status == LUA_OK) {
        lua_setglobal(L, lua_tostring(L, -2));
        lua_pop(L, 1);
        return LUA_OK;
    }
    lua_remove(L, -2);
    return dlua_report(L, status);
}

static int run_init(lua_State *L)
{
    const char *name = "LUA_INIT_" LUA_VERSION_MAJOR "_" LUA_VERSION_MINOR, *init = getenv(name);
    if (!init) {
        name = "LUA_INIT";
        init = getenv(name);
    }
    if (!init) return LUA_OK;
    if (init[0] == '@') return run_file(L, init + 1);
    lua_pushfstring(L, "=%s", name);
    return run_text(L, init, lua_tostring(L, -1));
}

/* arg[0] is the script, arg[1] its first argument, what stands before it has negative places. */
static void set_arguments(lua_State *L, char **arguments, int count, int script)
{
    int i;
    if (script >= count) script = 0;
    lua_createtable(L, count - script, script + 1);
    for (i = 0; i < count; i++) {
        lua_pushstring(L, arguments[i]);
        lua_rawseti(L, -2, i - script);
    }
    lua_setglobal(L, "arg");
}

static int run_script(lua_State *L, char **arguments, int count, int script)
{
    const char *name = arguments[script];
    int i, status, given = count - script - 1;
    if (strcmp(name, "-") == 0 && strcmp(arguments[script - 1], "--") != 0) name = NULL;
    status = luaL_loadfile(L, name);
    if (status == LUA_OK) {
        luaL_checkstack(L, given + 4, "too many arguments to script");
        for (i = 1; i <= given; i++) lua_pushstring(L, arguments[script + i]);
        status = dlua_call(L, given, LUA_MULTRET);
    }
    return dlua_report(L, status);
}

/* ---- Options ------------------------------------------------------------------------------------------------- */

typedef struct options {
    /* Place of the script among the arguments, or their number. */
    int script;
    int interactive, version, execute, no_environment;
    /* The argument that is wrong, or NULL. */
    const char *wrong;
} options;

static options read_options(int count, char **arguments)
{
    options o = {0};
    int i;
    for (i = 1; i < count; i++) {
        const char *word = arguments[i];
        if (word[0] != '-') break;
        if (strcmp(word, "-") == 0) break;
        if (strcmp(word, "--") == 0) {
            i++;
            break;
        }
        switch (word[1]) {
        case 'E':
            if (word[2]) o.wrong = word;
            o.no_environment = 1;
            break;
        case 'W':
            if (word[2]) o.wrong = word;
            break;
        case 'i':
            if (word[2]) o.wrong = word;
            o.interactive = o.version = 1;
            break;
        case 'v':
            if (word[2]) o.wrong = word;
            o.version = 1;
            break;
        case 'e': o.execute = 1; /* fall through */
        case 'l':
            if (!word[2]) {
                i++;
                if (i >= count || arguments[i][0] == '-') o.wrong = word;
            }
            break;
        default: o.wrong = word; break;
        }
        if (o.wrong) return o;
    }
    o.script = i < count ? i : count;
    return o;
}

/* -e, -l and -W, in their order. */
static int run_options(lua_State *L, char **arguments, int script)
{
    int i, status = LUA_OK;
    for (i = 1; i < script && status == LUA_OK; i++) {
        const char *word = arguments[i], *value;
        if (strcmp(word, "--") == 0) break;
        if (word[1] == 'W') lua_warning(L, "@on", 0);
        if (word[1] != 'e' && word[1] != 'l') continue;
        value = word[2] ? word + 2 : arguments[++i];
        status = word[1] == 'e' ? run_text(L, value, "=(command line)") : run_library(L, value);
    }
    return status;
}

/* ---- Main ---------------------------------------------------------------------------------------------------- */

typedef struct program {
    int count;
    char **arguments;
    int code;
} program;

static int run_program(lua_State *L)
{
    program *p = lua_touserdata(L, 1);
    options o = read_options(p->count, p->arguments);
    p->code = EXIT_FAILURE;
    if (p->arguments[0] && p->arguments[0][0]) dlua_name = p->arguments[0];
    luaL_checkversion(L);
    if (o.wrong) {
        usage(o.wrong);
        return 0;
    }
    if (o.version) dlua_print_version();
    if (o.no_environment) {
        lua_pushboolean(L, 1);
        lua_setfield(L, LUA_REGISTRYINDEX, "LUA_NOENV");
    }
    luaL_openlibs(L);
    glue_preload(L);
    set_arguments(L, p->arguments, p->count, o.script);
    lua_gc(L, LUA_GCRESTART);
    lua_gc(L, LUA_GCGEN, 0, 0);
    if (!o.no_environment && run_init(L) != LUA_OK) return 0;
    if (o.script == 1 && dlua_command(L, p->count, p->arguments, &p->code)) return 0;
    if (run_options(L, p->arguments, o.script) != LUA_OK) return 0;
    if (o.script < p->count && run_script(L, p->arguments, p->count, o.script) != LUA_OK && !o.interactive) return 0;
    if (o.interactive) {
        dlua_prompt(L);
    } else if (o.script >= p->count && !o.execute && !o.version) {
        if (isatty(STDIN_FILENO)) {
            dlua_print_version();
            dlua_prompt(L);
        } else {
            /* lua takes no notice of how that ends, either. */
            run_file(L, NULL);
        }
    }
    p->code = EXIT_SUCCESS;
    return 0;
}

int main(int count, char **arguments)
{
    program p = {count, arguments, EXIT_FAILURE};
    lua_State *L = luaL_newstate();
    int status;
    if (!L) {
        dlua_message("cannot create state: not enough memory");
        return EXIT_FAILURE;
    }
    lua_gc(L, LUA_GCSTOP);
    lua_pushcfunction(L, run_program);
    lua_pushlightuserdata(L, &p);
    status = lua_pcall(L, 1, 0, 0);
    dlua_report(L, status);
    lua_close(L);
    return status == LUA_OK ? p.code : EXIT_FAILURE;
}
