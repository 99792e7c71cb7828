/* An application that embeds the script host: it hands a tensor to a script, takes one back, lets the script train a
 * small model, and goes on unharmed when a script fails, loops for ever or allocates without end.
 *
 *     cc host.c $(pkg-config --cflags --libs libdl) -o host && ./host */
#include <dl.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What scripts print comes here; nothing of it reaches the terminal unless the application says so. */
static void on_print(const char *text, int64_t length, void *payload)
{
    int64_t *printed = payload;
    *printed += length;
    printf("  script says: %.*s", (int)length, text);
    if (length == 0 || text[length - 1] != '\n') printf("\n");
}

#define CHECK(call)                                                                            \
    do {                                                                                       \
        if ((call) != DL_OK) {                                                                 \
            fprintf(stderr, "line %d: %s: %s\n", __LINE__, dl_status_name(dl_last_status()), dl_last_error()); \
            goto done;                                                                         \
        }                                                                                      \
    } while (0)

static const char doubles[] = "function double(x) return x * 2 end";

static const char trains[] =
    "local dl = require 'dl'\n"
    "local model = dl.Sequential{ dl.layers.Input{ shape = { 1 } }, dl.layers.Dense{ 1 } }\n"
    "model:compile{ optimizer = dl.optimizers.SGD{ learning_rate = 0.1 }, loss = 'mse' }\n"
    "local history = model:fit(x, y, { epochs = 50, batch_size = 4, verbose = 0 })\n"
    "loss = history.loss[#history.loss]\n"
    "print(('trained, loss %.5f'):format(loss))\n"
    "trained = model\n";

/* Scripts no application wants to meet, and the status each must end with. */
static const struct {
    const char *what, *source;
    dl_status expected;
} hostile[] = {
    {"fails", "error('no good')", DL_ERROR_SCRIPT},
    {"is no Lua at all", "this is not Lua", DL_ERROR_SCRIPT},
    {"loops for ever", "while true do end", DL_ERROR_LIMIT},
    {"loops in spite of pcall", "while true do pcall(function() while true do end end) end", DL_ERROR_LIMIT},
    {"allocates without end", "local t = {} while true do t[#t + 1] = ('x'):rep(1 << 20) .. #t end", DL_ERROR_LIMIT},
    {"allocates tensors without end", "local dl = require 'dl' local t = {} while true do t[#t + 1] = dl.zeros{ 1024, 1024 } end",
     DL_ERROR_LIMIT},
    {"wants a file", "local f = io.open('/etc/passwd')", DL_ERROR_SCRIPT},
    {"wants to end the process", "os.exit(1)", DL_ERROR_SCRIPT},
    {"multiplies what does not fit", "local dl = require 'dl' return dl.ones{ 2, 3 }:matmul(dl.ones{ 2, 3 })", DL_ERROR_SCRIPT},
};

int main(void)
{
    int result = EXIT_FAILURE;
    int64_t printed = 0;
    dl_script *script = NULL;
    dl_tensor *x = NULL, *y = NULL, *answer = NULL, *predicted = NULL;
    dl_model *model = NULL;
    const int64_t shape[2] = {4, 1};
    const float inputs[4] = {0, 1, 2, 3}, targets[4] = {1, 3, 5, 7};
    float numbers[4];
    double loss;
    int32_t count;

    dl_script_options options = DL_SCRIPT_OPTIONS_INIT;
    options.libraries = DL_SCRIPT_SAFE;
    options.memory_limit = 64 << 20;
    options.instruction_limit = 50 * 1000 * 1000;
    options.print = on_print;
    options.payload = &printed;
    CHECK(dl_script_create(&script, &options));
    CHECK(dl_tensor_create(&x, DL_FLOAT32, 2, shape, inputs));
    CHECK(dl_tensor_create(&y, DL_FLOAT32, 2, shape, targets));

    printf("a function of the script's, called with a tensor:\n");
    CHECK(dl_script_run(script, doubles, "=doubles"));
    CHECK(dl_script_call(&answer, 1, &count, script, "double", &x, 1));
    CHECK(dl_tensor_read(numbers, (int64_t)sizeof numbers, answer));
    printf("  %g %g %g %g\n", numbers[0], numbers[1], numbers[2], numbers[3]);

    printf("a script that trains on the application's tensors:\n");
    CHECK(dl_script_set_tensor(script, "x", x));
    CHECK(dl_script_set_tensor(script, "y", y));
    CHECK(dl_script_run(script, trains, "=trains"));
    CHECK(dl_script_get_number(&loss, script, "loss"));
    CHECK(dl_script_get_model(&model, script, "trained"));
    CHECK(dl_model_predict(&predicted, 1, &count, model, &x, 1, 0));
    CHECK(dl_tensor_read(numbers, (int64_t)sizeof numbers, predicted));
    printf("  loss %.5f, the model's answers: %.2f %.2f %.2f %.2f\n", loss, numbers[0], numbers[1], numbers[2], numbers[3]);

    for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++) {
        dl_status status = dl_script_run(script, hostile[i].source, "=hostile");
        printf("a script that %s: %s\n", hostile[i].what, dl_status_name(status));
        if (status != hostile[i].expected) {
            fprintf(stderr, "expected %s. Received: %s\n", dl_status_name(hostile[i].expected), dl_last_error());
            goto done;
        }
    }
    printf("and the interpreter still works:\n");
    CHECK(dl_script_run(script, "print('alive')", "=alive"));
    result = printed > 0 ? EXIT_SUCCESS : EXIT_FAILURE;

done:
    dl_script_release(script);
    dl_tensor_release(x);
    dl_tensor_release(y);
    dl_tensor_release(answer);
    dl_tensor_release(predicted);
    dl_model_release(model);
    return result;
}
