/* Pictures, folders and checksums of files. */
#include "glue.h"

/* The options at an index as JSON, or NULL. */
static const char *options_at(lua_State *L, int index)
{
    return lua_isnoneornil(L, index) ? NULL : glue_json_encode(L, index);
}

/* image_load(path, options or nil) -> tensor, or nil, message, code */
static int core_image_load(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1), *options;
    glue_box *box;
    glue_check_files(L);
    lua_settop(L, 2);
    options = options_at(L, 2);
    box = glue_push(L, GLUE_TENSOR);
    GLUE_FILE(L, dl_image_load((dl_tensor **)&box->handle, path, options));
    glue_account(L, box);
    return 1;
}

/* image_decode(bytes, options or nil) -> tensor, or nil, message, code */
static int core_image_decode(lua_State *L)
{
    size_t count;
    const char *bytes = luaL_checklstring(L, 1, &count), *options;
    glue_box *box;
    lua_settop(L, 2);
    options = options_at(L, 2);
    box = glue_push(L, GLUE_TENSOR);
    GLUE_FILE(L, dl_image_decode((dl_tensor **)&box->handle, bytes, (int64_t)count, options));
    glue_account(L, box);
    return 1;
}

/* image_save(tensor, path, options or nil) -> true, or nil, message, code */
static int core_image_save(lua_State *L)
{
    dl_tensor *tensor = glue_tensor(L, 1);
    const char *path = luaL_checkstring(L, 2), *options;
    glue_check_files(L);
    lua_settop(L, 3);
    options = options_at(L, 3);
    GLUE_FILE(L, dl_image_save(tensor, path, options));
    lua_pushboolean(L, 1);
    return 1;
}

/* folder_list(path) -> list of { name, kind, is_link }, or nil, message, code */
static int core_folder_list(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    char *text = NULL;
    glue_check_files(L);
    GLUE_FILE(L, dl_folder_list(&text, path));
    glue_push_json(L, text);
    return 1;
}

/* file_hash(path, algorithm) -> text, or nil, message, code */
static int core_file_hash(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1), *algorithm = luaL_checkstring(L, 2);
    char *text = NULL;
    glue_check_files(L);
    GLUE_FILE(L, dl_file_hash(&text, path, algorithm));
    glue_push_text(L, text);
    return 1;
}

void glue_open_picture(lua_State *L)
{
    static const luaL_Reg functions[] = {{"image_load", core_image_load},
                                         {"image_decode", core_image_decode},
                                         {"image_save", core_image_save},
                                         {"folder_list", core_folder_list},
                                         {"file_hash", core_file_hash},
                                         {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
