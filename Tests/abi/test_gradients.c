/* Tapes, and losses, metrics and optimizers in a loop of one's own. */
#include "check.h"

static void tapes(void)
{
    const float numbers[3] = {1, 2, 3};
    dl_tensor *x = tensor_of(DL_FLOAT32, 1, 3, 0, 0, numbers), *v = NULL, *frozen = NULL, *y, *z, *gradients[3] = {NULL, NULL, NULL},
              *sources[3];
    dl_tape *tape = NULL;
    OK(dl_variable_create(&v, x, NULL, 1));
    OK(dl_variable_create(&frozen, x, NULL, 0));
    OK(dl_tape_start(&tape, 1));
    OK(dl_tape_watch(tape, x));
    y = apply("multiply", x, v, NULL);
    z = apply("multiply", y, y, NULL);
    OK(dl_tape_stop(tape));
    sources[0] = x, sources[1] = v, sources[2] = frozen;
    /* d(x v)^2 / dx = 2 x v^2. */
    OK(dl_tape_gradient(gradients, tape, z, sources, 3));
    CHECK(at(gradients[0], 0) == 2 && at(gradients[0], 2) == 54 && at(gradients[1], 1) == 16 && gradients[2] == NULL);
    dl_tensor_release(gradients[0]);
    dl_tensor_release(gradients[1]);
    FAILS(dl_tape_gradient(gradients, tape, z, NULL, 3), DL_ERROR_ARGUMENT, "sources");
    FAILS(dl_tape_gradient(NULL, tape, z, sources, 3), DL_ERROR_ARGUMENT, "gradients");
    FAILS(dl_tape_gradient(gradients, tape, NULL, sources, 3), DL_ERROR_HANDLE, "target");
    FAILS(dl_tape_watch(tape, NULL), DL_ERROR_HANDLE, "tensor");
    dl_tape_release(tape);
    dl_tape_release(NULL);
    FAILS(dl_tape_stop(NULL), DL_ERROR_HANDLE, "dl_tape");
    FAILS(dl_tape_stop((dl_tape *)(void *)x), DL_ERROR_HANDLE, "a dl_tensor");
    dl_tensor_release(x);
    dl_tensor_release(v);
    dl_tensor_release(frozen);
    dl_tensor_release(y);
    dl_tensor_release(z);
}

/* Half the squared error. */
static int32_t half_squares(dl_tensor **out, dl_tensor *y_true, dl_tensor *y_pred, void *payload)
{
    dl_tensor *two[2], *difference = NULL, *square = NULL, *half = scalar(0.5f);
    int32_t count;
    ++*(int *)payload;
    two[0] = y_true, two[1] = y_pred;
    if (dl_operation_apply(&difference, 1, &count, "subtract", two, 2, NULL) == DL_OK) {
        two[0] = two[1] = difference;
        if (dl_operation_apply(&square, 1, &count, "multiply", two, 2, NULL) == DL_OK) {
            two[0] = square, two[1] = half;
            (void)!dl_operation_apply(out, 1, &count, "multiply", two, 2, NULL);
        }
    }
    dl_tensor_release(difference);
    dl_tensor_release(square);
    dl_tensor_release(half);
    return *out == NULL ? 3 : 0;
}

static int32_t refuses(dl_tensor **out, dl_tensor *y_true, dl_tensor *y_pred, void *payload)
{
    (void)out, (void)y_true, (void)y_pred;
    return *(int *)payload;
}

static int32_t gives_nothing(dl_tensor **out, dl_tensor *y_true, dl_tensor *y_pred, void *payload)
{
    (void)out, (void)y_true, (void)y_pred, (void)payload;
    return 0;
}

static int destroyed;
static void on_destroy(void *payload)
{
    (void)payload;
    destroyed++;
}

static void losses(void)
{
    const float truth[2] = {0, 1}, guess[2] = {2, 2}, weight[2] = {1, 0};
    dl_tensor *y_true = floats(2, 1, truth), *y_pred = floats(2, 1, guess), *w = tensor_of(DL_FLOAT32, 1, 2, 0, 0, weight), *out = NULL,
              *wrong = floats(3, 2, NULL);
    dl_loss *loss = NULL;
    int calls = 0, code = 42;
    OK(dl_loss_create(&loss, "mean_squared_error", NULL));
    OK(dl_loss_call(&out, loss, y_true, y_pred, NULL));
    CHECK(item(out) == 2.5);
    dl_tensor_release(out);
    OK(dl_loss_call(&out, loss, y_true, y_pred, w));
    CHECK(item(out) == 2);
    dl_tensor_release(out);
    OK(dl_loss_retain(loss));
    dl_loss_release(loss);
    FAILS(dl_loss_call(&out, loss, y_true, wrong, NULL), DL_ERROR_SHAPE, "(3, 2)");
    FAILS(dl_loss_call(&out, loss, y_true, NULL, NULL), DL_ERROR_HANDLE, "y_pred");
    dl_loss_release(loss);
    loss = NULL;
    FAILS(dl_loss_create(&loss, "mean_squarred_error", NULL), DL_ERROR_NOT_FOUND, "did you mean");
    FAILS(dl_loss_create(&loss, "Huber", "{\"dleta\": 1}"), DL_ERROR_ARGUMENT, "delta");
    FAILS(dl_loss_create(&loss, NULL, NULL), DL_ERROR_ARGUMENT, "name");
    CHECK(loss == NULL);

    destroyed = 0;
    OK(dl_loss_create_custom(&loss, "half", half_squares, on_destroy, &calls));
    OK(dl_loss_call(&out, loss, y_true, y_pred, NULL));
    CHECK(item(out) == 1.25 && calls == 1);
    dl_tensor_release(out);
    CHECK(destroyed == 0);
    dl_loss_release(loss);
    CHECK(destroyed == 1);
    OK(dl_loss_create_custom(&loss, "refuses", refuses, on_destroy, &code));
    FAILS(dl_loss_call(&out, loss, y_true, y_pred, NULL), DL_ERROR_CALLBACK, "refuses");
    CHECK(dl_last_callback_status() == 42 && out == NULL);
    dl_loss_release(loss);
    CHECK(destroyed == 2);
    OK(dl_loss_create_custom(&loss, "nothing", gives_nothing, NULL, NULL));
    FAILS(dl_loss_call(&out, loss, y_true, y_pred, NULL), DL_ERROR_CALLBACK, "nothing");
    dl_loss_release(loss);
    loss = NULL;
    FAILS(dl_loss_create_custom(&loss, "none", NULL, on_destroy, NULL), DL_ERROR_ARGUMENT, "call");
    CHECK(destroyed == 3 && loss == NULL);
    dl_tensor_release(y_true);
    dl_tensor_release(y_pred);
    dl_tensor_release(w);
    dl_tensor_release(wrong);
}

static void metrics(void)
{
    const float truth[4] = {1, 0, 1, 1}, guess[4] = {0.9f, 0.2f, 0.3f, 0.8f}, weight[4] = {1, 1, 0, 0};
    dl_tensor *y_true = floats(4, 1, truth), *y_pred = floats(4, 1, guess), *w = tensor_of(DL_FLOAT32, 1, 4, 0, 0, weight), *out = NULL;
    dl_metric *metric = NULL;
    int calls = 0;
    OK(dl_metric_create(&metric, "BinaryAccuracy", "{\"threshold\": 0.5}"));
    OK(dl_metric_update(metric, y_true, y_pred, NULL));
    OK(dl_metric_result(&out, metric));
    CHECK(item(out) == 0.75);
    dl_tensor_release(out);
    OK(dl_metric_reset(metric));
    OK(dl_metric_update(metric, y_true, y_pred, w));
    OK(dl_metric_result(&out, metric));
    CHECK(item(out) == 1);
    dl_tensor_release(out);
    OK(dl_metric_retain(metric));
    dl_metric_release(metric);
    FAILS(dl_metric_update(metric, NULL, y_pred, NULL), DL_ERROR_HANDLE, "y_true");
    dl_metric_release(metric);
    OK(dl_metric_create(&metric, "Mean", NULL));
    OK(dl_metric_update(metric, y_true, NULL, NULL));
    OK(dl_metric_result(&out, metric));
    CHECK(item(out) == 0.75);
    dl_tensor_release(out);
    dl_metric_release(metric);
    destroyed = 0;
    OK(dl_metric_create_custom(&metric, "half", half_squares, on_destroy, &calls));
    OK(dl_metric_update(metric, y_true, y_true, NULL));
    OK(dl_metric_result(&out, metric));
    CHECK(item(out) == 0 && calls == 1);
    dl_tensor_release(out);
    dl_metric_release(metric);
    CHECK(destroyed == 1);
    metric = NULL;
    FAILS(dl_metric_create(&metric, "Acuracy", NULL), DL_ERROR_NOT_FOUND, "did you mean");
    FAILS(dl_metric_create_custom(&metric, "none", NULL, on_destroy, NULL), DL_ERROR_ARGUMENT, "call");
    CHECK(destroyed == 2);
    dl_tensor_release(y_true);
    dl_tensor_release(y_pred);
    dl_tensor_release(w);
}

static void optimizers(void)
{
    const float start[2] = {1, 2}, slope[2] = {10, 0};
    dl_tensor *x = tensor_of(DL_FLOAT32, 1, 2, 0, 0, start), *g = tensor_of(DL_FLOAT32, 1, 2, 0, 0, slope), *v = NULL, *w = NULL,
              *variables[2], *gradients[2], *wrong = floats(2, 2, NULL);
    dl_optimizer *optimizer = NULL;
    int64_t iterations = -1;
    double rate = 0;
    char *text = NULL;
    OK(dl_variable_create(&v, x, "v", 1));
    OK(dl_variable_create(&w, x, "w", 1));
    OK(dl_optimizer_create(&optimizer, "SGD", "{\"learning_rate\": 0.125}"));
    variables[0] = v, variables[1] = w;
    gradients[0] = g, gradients[1] = NULL;
    OK(dl_optimizer_apply(optimizer, gradients, variables, 2));
    CHECK(at(v, 0) == -0.25f && at(v, 1) == 2 && at(w, 0) == 1);
    OK(dl_optimizer_iterations(&iterations, optimizer));
    CHECK(iterations == 1);
    OK(dl_optimizer_learning_rate(&rate, optimizer));
    CHECK(rate == 0.125);
    OK(dl_optimizer_set_learning_rate(optimizer, 0.5));
    OK(dl_optimizer_learning_rate(&rate, optimizer));
    CHECK(rate == 0.5);
    OK(dl_optimizer_to_json(&text, optimizer));
    CHECK(strstr(text, "\"SGD\"") != NULL && strstr(text, "learning_rate") != NULL);
    dl_text_free(text);
    gradients[0] = wrong;
    FAILS(dl_optimizer_apply(optimizer, gradients, variables, 2), DL_ERROR_SHAPE, "(2, 2)");
    CHECK(at(v, 0) == -0.25f);
    gradients[0] = g, variables[0] = x;
    FAILS(dl_optimizer_apply(optimizer, gradients, variables, 2), DL_ERROR_ARGUMENT, "variables[0]");
    FAILS(dl_optimizer_apply(optimizer, NULL, variables, 1), DL_ERROR_ARGUMENT, "");
    OK(dl_optimizer_retain(optimizer));
    dl_optimizer_release(optimizer);
    dl_optimizer_release(optimizer);
    optimizer = NULL;
    FAILS(dl_optimizer_create(&optimizer, "Adma", NULL), DL_ERROR_NOT_FOUND, "did you mean");
    FAILS(dl_optimizer_create(&optimizer, "SGD", "{\"learning_rate\": \"fast\"}"), DL_ERROR_ARGUMENT, "learning_rate");
    CHECK(optimizer == NULL);
    dl_tensor_release(x);
    dl_tensor_release(g);
    dl_tensor_release(v);
    dl_tensor_release(w);
    dl_tensor_release(wrong);
}

static void tests(void)
{
    tapes();
    losses();
    metrics();
    optimizers();
}

int main(void) { return run_tests("test_gradients", tests); }
