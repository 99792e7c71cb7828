/* Gradients. */
#include "glue.h"

/* tape(watch_variables) */
static int core_tape(lua_State *L)
{
    int watch = lua_isnoneornil(L, 1) ? 1 : lua_toboolean(L, 1);
    glue_box *box = glue_push(L, GLUE_TAPE);
    GLUE_TRY(L, dl_tape_start((dl_tape **)&box->handle, watch));
    return 1;
}

static int core_watch(lua_State *L)
{
    dl_tape *tape = glue_check(L, 1, GLUE_TAPE)->handle;
    dl_tensor *tensor = glue_tensor(L, 2);
    GLUE_TRY(L, dl_tape_watch(tape, tensor));
    return 0;
}

static int core_tape_stop(lua_State *L)
{
    dl_tape *tape = glue_check(L, 1, GLUE_TAPE)->handle;
    GLUE_TRY(L, dl_tape_stop(tape));
    return 0;
}

/* gradient(tape, target, list of sources) -> list of gradients, false where there is none */
static int core_gradient(lua_State *L)
{
    dl_tape *tape = glue_check(L, 1, GLUE_TAPE)->handle;
    dl_tensor *target = glue_tensor(L, 2), **sources, **gradients;
    int32_t count, i;
    sources = (dl_tensor **)glue_handles(L, 3, GLUE_TENSOR, 0, &count);
    gradients = lua_newuserdatauv(L, ((size_t)count + 1) * sizeof *gradients, 0);
    lua_createtable(L, count, 0);
    /* Every box first: what the library gives out then has its place. */
    for (i = 0; i < count; i++) {
        glue_push(L, GLUE_TENSOR);
        lua_rawseti(L, -2, i + 1);
    }
    if (count) GLUE_TRY(L, dl_tape_gradient(gradients, tape, target, sources, count));
    for (i = 0; i < count; i++) {
        glue_box *box;
        lua_rawgeti(L, -1, i + 1);
        box = lua_touserdata(L, -1);
        box->handle = gradients[i];
        lua_pop(L, 1);
    }
    for (i = 0; i < count; i++) {
        glue_box *box;
        lua_rawgeti(L, -1, i + 1);
        box = lua_touserdata(L, -1);
        if (box->handle) {
            glue_account(L, box);
        } else {
            lua_pushboolean(L, 0);
            lua_rawseti(L, -3, i + 1);
        }
        lua_pop(L, 1);
    }
    return 1;
}

void glue_open_tape(lua_State *L)
{
    static const luaL_Reg functions[] = {{"tape", core_tape},
                                         {"watch", core_watch},
                                         {"tape_stop", core_tape_stop},
                                         {"gradient", core_gradient},
                                         {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
