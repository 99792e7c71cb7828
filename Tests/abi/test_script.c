/* The script host: what goes in and out, and scripts that mean no good. */
#define _POSIX_C_SOURCE 200809L
#include <dl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int failures;

static void check(int holds, const char *what, int line)
{
    if (holds) return;
    failures++;
    printf("test_script.c:%d: %s; last error: %s\n", line, what, dl_last_error());
}

#define CHECK(condition) check((condition) ? 1 : 0, #condition, __LINE__)

static char printed[4096];

static void on_print(const char *text, int64_t length, void *payload)
{
    size_t used = strlen(printed);
    (void)payload;
    if (used + (size_t)length < sizeof printed) {
        memcpy(printed + used, text, (size_t)length);
        printed[used + (size_t)length] = 0;
    }
}

static dl_script *make(int32_t libraries, int64_t memory, int64_t instructions)
{
    dl_script_options options = DL_SCRIPT_OPTIONS_INIT;
    dl_script *script = NULL;
    options.libraries = libraries;
    options.memory_limit = memory;
    options.instruction_limit = instructions;
    options.print = on_print;
    printed[0] = 0;
    CHECK(dl_script_create(&script, &options) == DL_OK);
    return script;
}

static void values(void)
{
    dl_script *script = make(DL_SCRIPT_SAFE, 0, 0);
    float data[4] = {1, 2, 3, 4}, back[4] = {0};
    int64_t shape[2] = {2, 2};
    double number = 0;
    char *text = NULL;
    int32_t count = -1;
    dl_tensor *x = NULL, *y = NULL, *results[2] = {NULL, NULL};
    dl_model *model = NULL;
    CHECK(dl_tensor_create(&x, DL_FLOAT32, 2, shape, data) == DL_OK);
    CHECK(dl_script_set_tensor(script, "x", x) == DL_OK);
    CHECK(dl_script_set_number(script, "n", 3) == DL_OK);
    CHECK(dl_script_set_text(script, "who", "host") == DL_OK);
    CHECK(dl_script_run(script, "y = x * n; print(who, math.type(n)); io.write('a', 1)", "greet.lua") == DL_OK);
    CHECK(strcmp(printed, "host\tinteger\na1") == 0);
    CHECK(dl_script_get_tensor(&y, script, "y") == DL_OK);
    CHECK(dl_tensor_read(back, sizeof back, y) == DL_OK);
    CHECK(back[0] == 3 && back[3] == 12);
    CHECK(dl_script_get_number(&number, script, "n") == DL_OK && number == 3);
    CHECK(dl_script_get_text(&text, script, "who") == DL_OK && strcmp(text, "host") == 0);
    dl_text_free(text);
    CHECK(dl_script_get_number(&number, script, "who") == DL_ERROR_DTYPE);
    CHECK(dl_script_get_text(&text, script, "nothing") == DL_ERROR_NOT_FOUND && text == NULL);
    CHECK(dl_script_get_model(&model, script, "y") == DL_ERROR_DTYPE && model == NULL);
    CHECK(dl_script_run(script, "function twice(a) return a * 2, 7 end function odd() return 'x' end", NULL) == DL_OK);
    CHECK(dl_script_call(results, 2, &count, script, "twice", &x, 1) == DL_OK && count == 2);
    CHECK(dl_tensor_item(&number, results[1]) == DL_OK && number == 7);
    dl_tensor_release(results[0]);
    dl_tensor_release(results[1]);
    CHECK(dl_script_call(results, 1, &count, script, "twice", &x, 1) == DL_ERROR_ARGUMENT && count == 0 && !results[0]);
    CHECK(dl_script_call(results, 2, &count, script, "odd", NULL, 0) == DL_ERROR_DTYPE);
    CHECK(dl_script_call(results, 2, &count, script, "none", NULL, 0) == DL_ERROR_NOT_FOUND);
    CHECK(dl_script_set_tensor(script, "x", NULL) == DL_ERROR_HANDLE);
    dl_tensor_release(x);
    dl_tensor_release(y);
    dl_script_release(script);
    CHECK(dl_script_run(script, "x = 1", NULL) == DL_ERROR_HANDLE);
    CHECK(dl_script_interrupt(script) == DL_ERROR_HANDLE);
    dl_script_release(script);
    dl_script_release(NULL);
}

static void errors(void)
{
    dl_script *script = make(DL_SCRIPT_SAFE, 0, 0);
    CHECK(dl_script_run(script, "local a = 1\nerror 'boo'", "bad.lua") == DL_ERROR_SCRIPT);
    CHECK(strstr(dl_last_error(), "bad.lua:2: boo") != NULL);
    CHECK(strstr(dl_last_error(), "traceback") != NULL);
    CHECK(strchr(dl_last_error(), '\n') == NULL);
    CHECK(dl_script_run(script, "x = = 1", "bad.lua") == DL_ERROR_SCRIPT);
    CHECK(strstr(dl_last_error(), "bad.lua:1:") != NULL);
    CHECK(dl_script_run(script, "error({})", NULL) == DL_ERROR_SCRIPT);
    CHECK(dl_script_run(script, "error(setmetatable({}, { __tostring = function() error 'no' end }))", NULL)
          == DL_ERROR_SCRIPT);
    CHECK(dl_script_run(script, "local dl = require 'dl' dl.layers.Dense{ unit = 3 }", "l.lua") == DL_ERROR_SCRIPT);
    CHECK(strstr(dl_last_error(), "l.lua:1: dl[E_ARGUMENT]") != NULL);
    CHECK(strstr(dl_last_error(), "did you mean 'units'") != NULL);
    CHECK(dl_script_run(script, "\033Lua", NULL) == DL_ERROR_SCRIPT);
    CHECK(dl_script_run(script, NULL, NULL) == DL_ERROR_ARGUMENT);
    CHECK(dl_script_run_file(script, "/nonexistent.lua") == DL_ERROR_NOT_FOUND);
    CHECK(dl_script_run_file(script, "/") == DL_ERROR_IO);
    CHECK(dl_script_run(script, "x = 1", NULL) == DL_OK);
    dl_script_release(script);
}

/* Every line must end in DL_ERROR_LIMIT, and the interpreter must work afterwards. */
static void limits(void)
{
    static const char *const endless[] = {
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "while true do xpcall(function() while true do end end, function() while true do end end) end",
        "coroutine.wrap(function() while true do end end)()",
        "local co = coroutine.wrap(function() local x <close> = setmetatable({}, { __close = function() while true do end "
        "end }) while true do end end) pcall(co) while true do end",
        "local co = coroutine.create(function() local x <close> = setmetatable({}, { __close = function() while true do end "
        "end }) while true do end end) coroutine.resume(co) coroutine.close(co) while true do end",
        "local x <close> = setmetatable({}, { __close = function() while true do end end }) while true do end",
        "string.find(('a'):rep(40), ('a?'):rep(40) .. ('a'):rep(41)) while true do end",
        "string.find(('a'):rep(1e7), ('a'):rep(5e6) .. 'b', 1, true) while true do end",
        "table.insert(setmetatable({}, { __len = function() return 1 << 53 end }), 1, 0)",
        "table.move({}, 1, 1 << 53, 2)",
        "table.concat(setmetatable({}, { __index = function() return '' end }), '', 1, 1 << 53)",
        "table.sort(setmetatable({}, { __len = function() return (1 << 31) - 2 end, __index = function() return 1 end }))",
        "('x'):rep(1e6):gsub('.', function() while true do end end)",
        "load(function() while true do end end)",
        "setmetatable({}, { __index = function(t, k) return t[k + 1] end })[1] = nil while true do end",
        "local dl = require 'dl' while true do local t = dl.ones(10) + 1 end",
        "local dl = require 'dl' local f = dl.layers.Lambda(function(x) while true do end end) pcall(f, dl.ones(1)) "
        "while true do end",
        "goto a ::a:: goto a",
        "for i = 1, 1e18 do end",
    };
    static const char *const large[] = {
        "local t = {} for i = 1, 1e9 do t[i] = i end",
        "local s = 'x' while true do s = s .. s end",
        "local s = ('x'):rep(1e9)",
        "local t = {} while true do t[#t + 1] = ('x'):rep(1e6) end",
        "local dl = require 'dl' local t = {} while true do t[#t + 1] = dl.zeros(1000, 1000) end",
        "local dl = require 'dl' local t = dl.zeros(1e5, 1e5)",
        "local dl = require 'dl' local x = dl.ones(3000, 1) local y = x + dl.ones(1, 30000)",
        "local function f() return f() + 1 end local t = {} while true do t[#t + 1] = coroutine.create(f) end",
        "return ('x'):rep(1e5):gsub('.', ('y'):rep(1e5))",
        "local dl = require 'dl' local m = dl.Sequential{ dl.layers.Dense(3e4) } m:build{ false, 30000 }",
    };
    size_t i;
    dl_script *script = make(DL_SCRIPT_SAFE, (int64_t)256 << 20, 400000);
    for (i = 0; i < sizeof endless / sizeof *endless; i++) {
        dl_status status = dl_script_run(script, endless[i], "endless.lua");
        if (status != DL_ERROR_LIMIT) printf("endless %d gives %d\n", (int)i, (int)status);
        CHECK(status == DL_ERROR_LIMIT);
        CHECK(dl_script_run(script, "x = (x or 0) + 1", NULL) == DL_OK);
    }
    dl_script_release(script);
    script = make(DL_SCRIPT_SAFE, (int64_t)48 << 20, 0);
    for (i = 0; i < sizeof large / sizeof *large; i++) {
        dl_status status = dl_script_run(script, large[i], "large.lua");
        if (status != DL_ERROR_LIMIT) printf("large %d gives %d\n", (int)i, (int)status);
        CHECK(status == DL_ERROR_LIMIT);
        CHECK(dl_script_run(script, "collectgarbage() x = (x or 0) + 1", NULL) == DL_OK);
    }
    /* What is held and let go again many times is no growth. */
    CHECK(dl_script_run(script, "local dl = require 'dl' for i = 1, 100 do local t = dl.zeros(1000, 1000) end", NULL) == DL_OK);
    dl_script_release(script);
    /* Nor may it grow from run to run: tensors, models, layers. */
    {
        static const char *const growing[] = {
            "local dl = require 'dl' t = t or {} t[#t + 1] = dl.ones(1000, 1000)",
            "local dl = require 'dl' t = t or {} t[#t + 1] = dl.Sequential{ dl.layers.Input{ 1000 }, dl.layers.Dense(1000) }",
            "local dl = require 'dl' t = t or {} t[#t + 1] = dl.layers.Dense(1000) t[#t](dl.ones(1, 1000))",
            "t = t or {} t[#t + 1] = ('x'):rep(4e6)",
        };
        for (i = 0; i < sizeof growing / sizeof *growing; i++) {
            int rounds = 0;
            script = make(DL_SCRIPT_SAFE, (int64_t)48 << 20, 0);
            while (rounds < 40 && dl_script_run(script, growing[i], NULL) == DL_OK) rounds++;
            if (rounds < 1 || rounds >= 40) printf("growing %d: %d rounds\n", (int)i, rounds);
            CHECK(rounds >= 1 && rounds < 40);
            dl_script_release(script);
        }
    }
    /* A limit too low to begin with. */
    {
        dl_script_options options = DL_SCRIPT_OPTIONS_INIT;
        options.memory_limit = 3000;
        CHECK(dl_script_create(&script, &options) == DL_ERROR_MEMORY && script == NULL);
    }
}

/* A stack that is too deep, and other things that end in plain errors. */
static void hostile(void)
{
    static const char *const sources[] = {
        "local function f() return f() + 1 end f()",
        "local t = setmetatable({}, {}) getmetatable(t).__index = t return t.x.y",
        "error(nil)",
        "string.rep()",
        "os.exit()",
        "io.open('/etc/passwd')",
        "require 'os'.exit(0)",
        "dofile '/etc/passwd'",
        "debug.getregistry()",
        "load('\\27Lua')()",
        "setmetatable({}, { __gc = function() end })",
        "string.format('%d', 'x')",
        "local dl = require 'dl' dl.load '/etc/passwd'",
        "local dl = require 'dl' dl.datasets.fashion_mnist{}",
        "local dl = require 'dl' dl.save('/tmp/x.npy', dl.ones(1))",
        "local dl = require 'dl' dl.load_model '/etc/passwd'",
        "local dl = require 'dl' local L = dl.layers local m = dl.Sequential{ L.Input{ 1 }, L.Dense{ 1 } } m:save '/tmp/x'",
        "local dl = require 'dl' local L = dl.layers local m = dl.Sequential{ L.Input{ 1 }, L.Dense{ 1 } } "
        "m:compile{ loss = 'mse' } m:fit(dl.ones(1, 1), dl.ones(1, 1), { callbacks = { dl.callbacks.CSVLogger{ '/tmp/x' } } })",
        "getmetatable(require 'dl'.ones(1)).__gc(1)",
        "local p = pcall local function f() return p(f) end local ok, why = f() error(why)",
    };
    dl_script *script = make(DL_SCRIPT_SAFE, (int64_t)256 << 20, 100000000);
    size_t i;
    for (i = 0; i < sizeof sources / sizeof *sources; i++) {
        dl_status status = dl_script_run(script, sources[i], "hostile.lua");
        if (status != DL_ERROR_SCRIPT) printf("hostile %d gives %d\n", (int)i, (int)status);
        CHECK(status == DL_ERROR_SCRIPT);
    }
    CHECK(dl_script_run(script, "assert(not os and not debug and not io.open and not loadfile and not package)", NULL) == DL_OK);
    dl_script_release(script);

    script = make(DL_SCRIPT_FILES, 0, 0);
    CHECK(dl_script_run(script, "assert(io.open and os.time and not os.exit and not os.execute and not io.popen)", NULL) == DL_OK);
    CHECK(dl_script_run(script, "print 'a' io.write 'b' io.stdout:write 'c' io.stderr:write 'd'", NULL) == DL_OK);
    CHECK(strcmp(printed, "a\nbcd") == 0);
    dl_script_release(script);
    script = make(DL_SCRIPT_ALL, 0, 0);
    CHECK(dl_script_run(script, "assert(io.popen and os.execute and debug.traceback and package and not os.exit)", NULL) == DL_OK);
    dl_script_release(script);
}

static volatile int finished;

static void *interrupt_often(void *payload)
{
    const struct timespec pause = {0, 2000000};
    while (!finished) {
        if (dl_script_interrupt(payload) != DL_OK) break;
        nanosleep(&pause, NULL);
    }
    return NULL;
}

static void interrupt(void)
{
    dl_script *script = make(DL_SCRIPT_SAFE, 0, 0);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, interrupt_often, script) == 0);
    CHECK(dl_script_run(script, "while true do pcall(function() while true do end end) end", NULL) == DL_ERROR_LIMIT);
    CHECK(dl_script_run(script, "coroutine.wrap(function() while true do end end)()", NULL) == DL_ERROR_LIMIT);
    finished = 1;
    pthread_join(thread, NULL);
    CHECK(dl_script_run(script, "x = 1", NULL) == DL_OK);
    dl_script_release(script);
}

static void reenter(const char *text, int64_t length, void *payload)
{
    dl_script *script = *(dl_script **)payload;
    (void)text;
    (void)length;
    CHECK(dl_script_run(script, "x = 1", NULL) == DL_ERROR_STATE);
}

static void models(void)
{
    dl_script *script = make(DL_SCRIPT_SAFE, 0, 0), *other = make(DL_SCRIPT_SAFE, 0, 0), *again = NULL;
    dl_script_options options = DL_SCRIPT_OPTIONS_INIT;
    dl_model *model = NULL;
    dl_tensor *x = NULL, *out[1] = {NULL};
    int64_t shape[2] = {4, 2};
    float ones[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    double number;
    int32_t count;
    CHECK(dl_script_run(script,
                        "local dl = require 'dl' local L = dl.layers "
                        "m = dl.Sequential{ L.Input{ 2 }, L.Lambda(function(x) return x * 3 end), L.Flatten() }",
                        NULL) == DL_OK);
    CHECK(dl_script_get_model(&model, script, "m") == DL_OK);
    CHECK(dl_tensor_create(&x, DL_FLOAT32, 2, shape, ones) == DL_OK);
    /* The layer's function runs in the script's interpreter, though no script runs. */
    CHECK(dl_model_predict(out, 1, &count, model, &x, 1, 0) == DL_OK && count == 1);
    dl_tensor_release(out[0]);
    CHECK(dl_script_set_model(other, "m", model) == DL_OK);
    CHECK(dl_script_run(other, "local dl = require 'dl' s = m:predict(dl.ones(4, 2)):sum():item()", NULL) == DL_OK);
    CHECK(dl_script_get_number(&number, other, "s") == DL_OK && number == 24);
    dl_script_release(script);
    /* Its interpreter is gone: an error, or what was compiled before; no crash. */
    if (dl_model_predict(out, 1, &count, model, &x, 1, 2) == DL_OK) dl_tensor_release(out[0]);
    dl_model_release(model);
    dl_tensor_release(x);
    dl_script_release(other);

    options.print = reenter;
    options.payload = &again;
    CHECK(dl_script_create(&again, &options) == DL_OK);
    CHECK(dl_script_run(again, "print 'x'", NULL) == DL_OK);
    dl_script_release(again);
}

int main(void)
{
    int64_t before;
    dl_script *script = make(DL_SCRIPT_SAFE, 0, 0);
    CHECK(dl_script_run(script, "local dl = require 'dl' return dl.ones(1) + 1", NULL) == DL_OK);
    dl_script_release(script);
    before = dl_live_handles();
    values();
    errors();
    limits();
    hostile();
    interrupt();
    models();
    CHECK(dl_live_handles() == before);
    printf("test_script: %d failures\n", failures);
    return failures != 0;
}
