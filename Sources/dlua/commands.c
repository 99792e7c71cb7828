/* dlua info, dlua doc [NAME] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dlua.h"
#include "lauxlib.h"

/* The library's facts as lines "name  value". */
static const char info_source[] =
    "local dl = require 'dl'\n"
    "local function show(value)\n"
    "  if type(value) ~= 'table' then return tostring(value) end\n"
    "  local parts = {}\n"
    "  for _, entry in ipairs(value) do parts[#parts + 1] = show(entry) end\n"
    "  local names = {}\n"
    "  for name in pairs(value) do if type(name) == 'string' then names[#names + 1] = name end end\n"
    "  table.sort(names)\n"
    "  for _, name in ipairs(names) do parts[#parts + 1] = name .. ' ' .. show(value[name]) end\n"
    "  return table.concat(parts, ', ')\n"
    "end\n"
    "local info = dl.info()\n"
    "info.lua = _VERSION\n"
    "local names, seen = {}, {}\n"
    "for _, name in ipairs{ 'version', 'lua', 'processor', 'features', 'level', 'threads' } do\n"
    "  if info[name] ~= nil then names[#names + 1] = name seen[name] = true end\n"
    "end\n"
    "local rest = {}\n"
    "for name in pairs(info) do if not seen[name] then rest[#rest + 1] = name end end\n"
    "table.sort(rest)\n"
    "for _, name in ipairs(rest) do names[#names + 1] = name end\n"
    "for _, name in ipairs(names) do\n"
    "  local value = info[name]\n"
    "  if type(value) == 'table' and next(value) ~= nil and type(next(value)) == 'string' then\n"
    "    print(name)\n"
    "    local keys = {}\n"
    "    for key in pairs(value) do keys[#keys + 1] = key end\n"
    "    table.sort(keys)\n"
    "    for _, key in ipairs(keys) do print(('  %-22s %s'):format(key, show(value[key]))) end\n"
    "  else\n"
    "    print(('%-24s %s'):format(name, show(value)))\n"
    "  end\n"
    "end\n";

static const char doc_source[] =
    "local dl, name = require 'dl', ...\n"
    "local fine, message = pcall(dl.doc, name)\n"
    "if not fine then io.stderr:write((message:gsub('^.-dl%[%S+%] ', '')), '\\n') os.exit(1, true) end\n";

static int run(lua_State *L, const char *source, const char *argument)
{
    int status = luaL_loadbuffer(L, source, strlen(source), "=dlua");
    if (status == LUA_OK) {
        lua_pushstring(L, argument);
        status = dlua_call(L, 1, 0);
    }
    return dlua_report(L, status) == LUA_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

int dlua_command(lua_State *L, int count, char **arguments, int *code)
{
    if (count == 2 && strcmp(arguments[1], "info") == 0) {
        *code = run(L, info_source, NULL);
        return 1;
    }
    if ((count == 2 || count == 3) && strcmp(arguments[1], "doc") == 0) {
        *code = run(L, doc_source, count == 3 ? arguments[2] : NULL);
        return 1;
    }
    return 0;
}
