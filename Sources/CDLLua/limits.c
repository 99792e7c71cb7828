/* Memory and instructions that a script may use. */
#include "limits.h"
#include "script.h"

#include <stdlib.h>

/* Instructions between two looks at the limits. */
enum { count_interval = 1000 };

static _Thread_local script_host *current;
/* What a script's begin replaced, so that one host's callback may run another script. */
static _Thread_local struct {
    script_host *host;
    dl_memory_account *account;
} outer[16];
static _Thread_local int depth;

script_host *script_current(void) { return current; }

static int must_stop(script_host *host)
{
    if (atomic_load_explicit(&host->interrupted, memory_order_relaxed)) host->stopped = 1;
    if (host->instruction_limit > 0 && host->instructions > host->instruction_limit) host->stopped = 1;
    return host->stopped;
}

int script_over(size_t work)
{
    script_host *host = current;
    if (!host) return 0;
    host->instructions += (int64_t)work;
    return must_stop(host);
}

static void raise_limit(lua_State *L, script_host *host)
{
    /* From here on every instruction ends up here again, so that pcall cannot go on. */
    lua_sethook(L, lua_gethook(L), LUA_MASKCOUNT, 1);
    if (atomic_load(&host->interrupted)) luaL_error(L, "interrupted by the host");
    else luaL_error(L, "the limit of %I instructions is reached", (LUAI_UACINT)host->instruction_limit);
}

void script_step(lua_State *L)
{
    if (script_over(1)) raise_limit(L, current);
}

static void on_count(lua_State *L, lua_Debug *ar)
{
    script_host *host = script_of(L);
    (void)ar;
    host->instructions += count_interval;
    if (must_stop(host)) raise_limit(L, host);
}

static void set_hook(script_host *host)
{
    int64_t interval = count_interval;
    if (host->instruction_limit > 0 && host->instruction_limit < interval) interval = host->instruction_limit;
    lua_sethook(host->L, on_count, LUA_MASKCOUNT, (int)interval);
}

int script_begin(script_host *host)
{
    int free_before = 0;
    if (!atomic_compare_exchange_strong(&host->busy, &free_before, 1)) return 0;
    if (depth == (int)(sizeof outer / sizeof *outer)) {
        atomic_store(&host->busy, 0);
        return 0;
    }
    outer[depth].host = current;
    outer[depth].account = dl_memory_charge(&host->account);
    depth++;
    current = host;
    host->instructions = 0;
    host->stopped = 0;
    atomic_store(&host->interrupted, 0);
    set_hook(host);
    return 1;
}

void script_end(script_host *host)
{
    depth--;
    current = outer[depth].host;
    dl_memory_charge(outer[depth].account);
    atomic_store(&host->busy, 0);
}
