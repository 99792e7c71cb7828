/* JSON text to Lua values and back. Keys are written in order of their names, so that equal tables give equal text. */
#include "glue.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JSON_DEPTH 100

static const char array_key = 0;

/* ---- Text that grows ----------------------------------------------------------------------------------------- */

/* The bytes lie in a userdata at a fixed place of the stack, so values may be pushed above it meanwhile. */
typedef struct text {
    lua_State *L;
    int slot;
    char *bytes;
    size_t length, capacity;
} text;

static void text_open(lua_State *L, text *t)
{
    t->L = L;
    t->length = 0;
    t->capacity = 256;
    t->bytes = lua_newuserdatauv(L, t->capacity, 0);
    t->slot = lua_gettop(L);
}

static void text_add(text *t, const char *bytes, size_t length)
{
    if (length > t->capacity - t->length) {
        size_t capacity = t->capacity;
        char *grown;
        while (length > capacity - t->length) {
            if (capacity > (size_t)1 << 40) luaL_error(t->L, "text is too long");
            capacity *= 2;
        }
        grown = lua_newuserdatauv(t->L, capacity, 0);
        memcpy(grown, t->bytes, t->length);
        lua_replace(t->L, t->slot);
        t->bytes = grown;
        t->capacity = capacity;
    }
    memcpy(t->bytes + t->length, bytes, length);
    t->length += length;
}

static void text_put(text *t, const char *bytes) { text_add(t, bytes, strlen(bytes)); }

/* ---- Writing ------------------------------------------------------------------------------------------------- */

static void put_string(text *t, const char *bytes, size_t length)
{
    size_t i, start = 0;
    text_add(t, "\"", 1);
    for (i = 0; i < length; i++) {
        unsigned char c = (unsigned char)bytes[i];
        char escape[8];
        if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7f) continue;
        text_add(t, bytes + start, i - start);
        start = i + 1;
        if (c == '"' || c == '\\')
            snprintf(escape, sizeof escape, "\\%c", c);
        else
            snprintf(escape, sizeof escape, "\\u%04x", c);
        text_put(t, escape);
    }
    text_add(t, bytes + start, length - start);
    text_add(t, "\"", 1);
}

static void put_number(text *t, int index)
{
    char buffer[48];
    char *point;
    double value;
    int digits;
    if (lua_isinteger(t->L, index)) {
        snprintf(buffer, sizeof buffer, "%lld", (long long)lua_tointeger(t->L, index));
        text_put(t, buffer);
        return;
    }
    value = (double)lua_tonumber(t->L, index);
    if (!isfinite(value)) glue_fail(t->L, "ARGUMENT", "%s is no value for an option", value != value ? "nan" : "infinity");
    if (value == floor(value) && fabs(value) < 1e15) {
        snprintf(buffer, sizeof buffer, "%.0f.0", value);
    } else {
        for (digits = 15; digits <= 17; digits++) {
            snprintf(buffer, sizeof buffer, "%.*g", digits, value);
            if (strtod(buffer, NULL) == value) break;
        }
        /* The host's locale may write another decimal point. */
        for (point = buffer; *point; point++)
            if (!strchr("0123456789+-.eE", *point)) *point = '.';
    }
    text_put(t, buffer);
}

static int compare_keys(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static void put_value(text *t, int index, int depth);

static void put_object(text *t, int index, int depth)
{
    lua_State *L = t->L;
    const char **keys;
    size_t count = 0, i = 0;
    lua_pushnil(L);
    while (lua_next(L, index)) {
        if (lua_type(L, -2) != LUA_TSTRING)
            glue_fail(L, "ARGUMENT", "a table of options has the key %s among names", luaL_tolstring(L, -2, NULL));
        count++;
        lua_pop(L, 1);
    }
    keys = lua_newuserdatauv(L, (count + 1) * sizeof *keys, 0);
    lua_pushnil(L);
    while (lua_next(L, index)) {
        keys[i++] = lua_tostring(L, -2);
        lua_pop(L, 1);
    }
    qsort(keys, count, sizeof *keys, compare_keys);
    text_put(t, "{");
    for (i = 0; i < count; i++) {
        if (i) text_put(t, ",");
        put_string(t, keys[i], strlen(keys[i]));
        text_put(t, ":");
        lua_pushstring(L, keys[i]);
        lua_rawget(L, index);
        put_value(t, lua_gettop(L), depth + 1);
        lua_pop(L, 1);
    }
    text_put(t, "}");
    lua_pop(L, 1);
}

static int is_array(lua_State *L, int index)
{
    int marked;
    if (lua_rawlen(L, index) > 0) return 1;
    if (!lua_getmetatable(L, index)) return 0;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &array_key);
    marked = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return marked;
}

static void put_table(text *t, int index, int depth)
{
    lua_State *L = t->L;
    lua_Unsigned i, count;
    if (depth > JSON_DEPTH) glue_fail(L, "ARGUMENT", "options lie too deep inside each other");
    luaL_checkstack(L, 12, NULL);
    if (!is_array(L, index)) {
        put_object(t, index, depth);
        return;
    }
    count = lua_rawlen(L, index);
    text_put(t, "[");
    for (i = 1; i <= count; i++) {
        if (i > 1) text_put(t, ",");
        lua_rawgeti(L, index, (lua_Integer)i);
        put_value(t, lua_gettop(L), depth + 1);
        lua_pop(L, 1);
    }
    text_put(t, "]");
}

static void put_value(text *t, int index, int depth)
{
    lua_State *L = t->L;
    size_t length;
    const char *bytes;
    switch (lua_type(L, index)) {
    case LUA_TNIL: text_put(t, "null"); break;
    case LUA_TBOOLEAN: text_put(t, lua_toboolean(L, index) ? "true" : "false"); break;
    case LUA_TNUMBER: put_number(t, index); break;
    case LUA_TSTRING:
        bytes = lua_tolstring(L, index, &length);
        put_string(t, bytes, length);
        break;
    case LUA_TTABLE: put_table(t, index, depth); break;
    case LUA_TLIGHTUSERDATA:
        if (!lua_touserdata(L, index)) {
            text_put(t, "null");
            break;
        }
        /* fall through */
    default: glue_fail(L, "ARGUMENT", "a %s is no value for an option", luaL_typename(L, index));
    }
}

const char *glue_json_encode(lua_State *L, int index)
{
    text t;
    index = lua_absindex(L, index);
    luaL_checkstack(L, 8, NULL);
    text_open(L, &t);
    put_value(&t, index, 0);
    lua_pushlstring(L, t.bytes, t.length);
    lua_replace(L, t.slot);
    lua_settop(L, t.slot);
    return lua_tostring(L, -1);
}

/* ---- Reading ------------------------------------------------------------------------------------------------- */

typedef struct reader {
    lua_State *L;
    const char *start, *at;
} reader;

static void bad(reader *r, const char *what)
{
    glue_fail(r->L, "FORMAT", "JSON text: %s at byte %d", what, (int)(r->at - r->start));
}

static void skip_blanks(reader *r) { r->at += strspn(r->at, " \t\r\n"); }

static int take(reader *r, const char *word)
{
    size_t length = strlen(word);
    if (strncmp(r->at, word, length) != 0) return 0;
    r->at += length;
    return 1;
}

static unsigned hex4(reader *r)
{
    unsigned value = 0;
    int i;
    for (i = 0; i < 4; i++) {
        char c = *r->at;
        value <<= 4;
        if (c >= '0' && c <= '9') value |= (unsigned)(c - '0');
        else if (c >= 'a' && c <= 'f') value |= (unsigned)(c - 'a' + 10);
        else if (c >= 'A' && c <= 'F') value |= (unsigned)(c - 'A' + 10);
        else bad(r, "four hexadecimal digits are missing");
        r->at++;
    }
    return value;
}

static void read_escape(reader *r, text *t)
{
    static const char letters[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    const char *found;
    unsigned code;
    if (*r->at == 'u') {
        r->at++;
        code = hex4(r);
        if (code >= 0xd800 && code < 0xdc00 && r->at[0] == '\\' && r->at[1] == 'u') {
            r->at += 2;
            code = 0x10000 + ((code - 0xd800) << 10) + ((hex4(r) - 0xdc00) & 0x3ff);
        }
        lua_pushfstring(r->L, "%U", (unsigned long)code);
        text_add(t, lua_tostring(r->L, -1), lua_rawlen(r->L, -1));
        lua_pop(r->L, 1);
        return;
    }
    found = *r->at ? strchr(letters, *r->at) : NULL;
    if (!found) bad(r, "unknown escape");
    text_add(t, &values[found - letters], 1);
    r->at++;
}

/* The opening quote has been read. */
static void read_string(reader *r)
{
    text t;
    size_t plain = strcspn(r->at, "\"\\");
    if (r->at[plain] == '"') {
        lua_pushlstring(r->L, r->at, plain);
        r->at += plain + 1;
        return;
    }
    text_open(r->L, &t);
    for (;;) {
        plain = strcspn(r->at, "\"\\");
        text_add(&t, r->at, plain);
        r->at += plain;
        if (!*r->at) bad(r, "a string does not end");
        if (*r->at++ == '"') break;
        read_escape(r, &t);
    }
    lua_pushlstring(r->L, t.bytes, t.length);
    lua_replace(r->L, t.slot);
}

static void read_number(reader *r)
{
    char buffer[64];
    size_t length = strspn(r->at, "+-0123456789.eE");
    if (length == 0 || length >= sizeof buffer) bad(r, "a value is missing");
    memcpy(buffer, r->at, length);
    buffer[length] = 0;
    if (!lua_stringtonumber(r->L, buffer)) bad(r, "a number is malformed");
    r->at += length;
}

/* Pushes a value; null as nil. */
static void read_value(reader *r, int depth)
{
    lua_State *L = r->L;
    if (depth > 2 * JSON_DEPTH) bad(r, "too deep");
    luaL_checkstack(L, 12, NULL);
    skip_blanks(r);
    if (take(r, "null")) {
        lua_pushnil(L);
    } else if (take(r, "true")) {
        lua_pushboolean(L, 1);
    } else if (take(r, "false")) {
        lua_pushboolean(L, 0);
    } else if (take(r, "NaN")) {
        /* No JSON, but what a diverged loss is. */
        lua_pushnumber(L, (lua_Number)NAN);
    } else if (take(r, "Infinity")) {
        lua_pushnumber(L, (lua_Number)HUGE_VAL);
    } else if (take(r, "-Infinity")) {
        lua_pushnumber(L, -(lua_Number)HUGE_VAL);
    } else if (take(r, "\"")) {
        read_string(r);
    } else if (take(r, "[")) {
        lua_Integer i = 0;
        lua_newtable(L);
        skip_blanks(r);
        if (take(r, "]")) return;
        do {
            read_value(r, depth + 1);
            if (lua_isnil(L, -1)) {
                lua_pop(L, 1);
                lua_pushboolean(L, 0);
            }
            lua_rawseti(L, -2, ++i);
            skip_blanks(r);
        } while (take(r, ","));
        if (!take(r, "]")) bad(r, "']' is missing");
    } else if (take(r, "{")) {
        lua_newtable(L);
        skip_blanks(r);
        if (take(r, "}")) return;
        do {
            skip_blanks(r);
            if (!take(r, "\"")) bad(r, "a key is missing");
            read_string(r);
            skip_blanks(r);
            if (!take(r, ":")) bad(r, "':' is missing");
            read_value(r, depth + 1);
            lua_rawset(L, -3);
            skip_blanks(r);
        } while (take(r, ","));
        if (!take(r, "}")) bad(r, "'}' is missing");
    } else {
        read_number(r);
    }
}

void glue_json_decode(lua_State *L, const char *bytes)
{
    reader r = {L, bytes, bytes};
    read_value(&r, 0);
    skip_blanks(&r);
    if (*r.at) bad(&r, "there is more after the value");
}

/* ---- Texts of the library ------------------------------------------------------------------------------------ */

static int push_copy(lua_State *L)
{
    lua_pushstring(L, lua_touserdata(L, 1));
    return 1;
}

void glue_push_text(lua_State *L, char *bytes)
{
    int failed = 1;
    if (lua_checkstack(L, 4)) {
        lua_pushcfunction(L, push_copy);
        lua_pushlightuserdata(L, bytes);
        failed = lua_pcall(L, 1, 1, 0) != LUA_OK;
    }
    dl_text_free(bytes);
    if (failed) lua_error(L);
}

void glue_push_json(lua_State *L, char *bytes)
{
    glue_push_text(L, bytes);
    glue_json_decode(L, lua_tostring(L, -1));
    lua_remove(L, -2);
}

/* encode(value) -> text */
static int core_encode(lua_State *L)
{
    luaL_checkany(L, 1);
    glue_json_encode(L, 1);
    return 1;
}

/* decode(text) -> value */
static int core_decode(lua_State *L)
{
    glue_json_decode(L, luaL_checkstring(L, 1));
    return 1;
}

/* array(table) -> the same table, which is written as [] even if it is empty */
static int core_array(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &array_key);
    lua_setmetatable(L, 1);
    return 1;
}

void glue_open_json(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"encode", core_encode}, {"decode", core_decode}, {"array", core_array}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
    lua_createtable(L, 0, 0);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &array_key);
    lua_pushlightuserdata(L, NULL);
    lua_setfield(L, -2, "null");
}
