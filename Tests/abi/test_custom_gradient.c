/* Functions with a gradient of the caller's: what they give, what they keep, what is refused. Random numbers by operation. */
#include "check.h"

typedef struct {
    int forwards, backwards, contexts, destroyed, fail;
} state;

static dl_tensor *applied(const char *name, dl_tensor *a, dl_tensor *b)
{
    dl_tensor *inputs[2], *out = NULL;
    int32_t count = 0;
    inputs[0] = a, inputs[1] = b;
    if (dl_operation_apply(&out, 1, &count, name, inputs, b ? 2 : 1, NULL) != DL_OK) return NULL;
    return out;
}

/* The square, whose gradient is ten times what it should be; the input is the context. */
static int32_t forward(dl_tensor **outputs, int32_t capacity, int32_t *count, void **context, dl_tensor *const *inputs,
                       int32_t input_count, void *payload)
{
    state *self = (state *)payload;
    self->forwards++;
    if (self->fail == 1 || capacity < 1 || input_count != 1) return 21;
    if (self->fail == 2) return 0;
    outputs[0] = applied("square", inputs[0], NULL);
    if (outputs[0] == NULL || dl_tensor_retain(inputs[0]) != DL_OK) return 22;
    *context = inputs[0];
    *count = 1;
    return 0;
}

static int32_t backward(dl_tensor **gradients, int32_t input_count, dl_tensor *const *upstream, int32_t output_count,
                        void *context, void *payload)
{
    state *self = (state *)payload;
    dl_tensor *twenty = scalar(20.0f), *product;
    self->backwards++;
    if (self->fail == 3 || input_count != 1 || output_count != 1 || context == NULL) {
        dl_tensor_release(twenty);
        return 23;
    }
    product = applied("multiply", upstream[0], (dl_tensor *)context);
    gradients[0] = self->fail == 4 ? scalar(1.0f) : self->fail == 5 ? NULL : product == NULL ? NULL : applied("multiply", product, twenty);
    dl_tensor_release(product);
    dl_tensor_release(twenty);
    return 0;
}

static void destroy_context(void *context, void *payload)
{
    ((state *)payload)->contexts++;
    dl_tensor_release((dl_tensor *)context);
}

static void destroy(void *payload) { ((state *)payload)->destroyed++; }

static const dl_custom_gradient_callbacks functions = {1, 0, forward, backward, destroy_context, destroy};

static void tapes(void)
{
    const float numbers[2] = {3, -1};
    state self = {0, 0, 0, 0, 0};
    dl_tensor *x = tensor_of(DL_FLOAT32, 1, 2, 0, 0, numbers), *y = NULL, *gradient = NULL;
    dl_tape *tape = NULL;
    int32_t count = 0;
    OK(dl_tape_start(&tape, 1));
    OK(dl_tape_watch(tape, x));
    OK(dl_custom_gradient(&y, 1, &count, "tenfold", &x, 1, &functions, &self));
    OK(dl_tape_stop(tape));
    CHECK(count == 1 && at(y, 0) == 9 && self.forwards == 1 && self.contexts == 0 && self.destroyed == 0);
    OK(dl_tape_gradient(&gradient, tape, y, &x, 1));
    CHECK(at(gradient, 0) == 60 && at(gradient, 1) == -20 && self.backwards == 1);
    dl_tensor_release(gradient);
    gradient = NULL;

    self.fail = 3;
    FAILS(dl_tape_gradient(&gradient, tape, y, &x, 1), DL_ERROR_CALLBACK, "tenfold");
    CHECK(dl_last_callback_status() == 23 && gradient == NULL);
    self.fail = 4;
    FAILS(dl_tape_gradient(&gradient, tape, y, &x, 1), DL_ERROR_SHAPE, "argument 1 of 1");
    self.fail = 5;
    OK(dl_tape_gradient(&gradient, tape, y, &x, 1));
    CHECK(gradient == NULL);
    dl_tape_release(tape);
    dl_tensor_release(y);
    CHECK(self.contexts == 1 && self.destroyed == 1);

    /* Without a tape nothing is kept. */
    self.fail = 0;
    OK(dl_custom_gradient(&y, 1, NULL, NULL, &x, 1, &functions, &self));
    CHECK(self.contexts == 2 && self.destroyed == 2);
    dl_tensor_release(y);
    dl_tensor_release(x);
}

static void models(void)
{
    const int64_t shape[1] = {4};
    const float target[4] = {1, 2, 3, 4};
    state self = {0, 0, 0, 0, 0};
    dl_tensor *input = NULL, *middle = NULL, *out, *x = noise(4, 4, 3), *y = floats(4, 1, target);
    dl_layer *dense = layer_of("Dense", "{\"units\": 1}");
    dl_model *model = NULL, *copy = NULL;
    dl_compile_options options = DL_COMPILE_OPTIONS_INIT;
    dl_data data = DL_DATA_INIT;
    double first[1], last[1];
    char *json = NULL;
    int32_t count = 0, k;
    OK(dl_input(&input, 1, shape, DL_FLOAT32, NULL));
    out = through(dense, input);
    OK(dl_custom_gradient(&middle, 1, &count, "tenfold", &out, 1, &functions, &self));
    OK(dl_model_create(&model, NULL, &input, 1, &middle, 1, NULL));
    options.optimizer = "{\"class_name\": \"SGD\", \"config\": {\"learning_rate\": 0.001}}";
    options.loss = "mean_squared_error";
    OK(dl_model_compile(model, &options));
    data.x_count = data.y_count = 1, data.x = &x, data.y = &y;
    OK(dl_model_train_on_batch(first, 1, &count, model, &data, NULL, 0));
    CHECK(self.backwards >= 1);
    for (k = 0; k < 20; k++) OK(dl_model_train_on_batch(last, 1, &count, model, &data, NULL, 0));
    CHECK(last[0] < first[0]);
    OK(dl_model_to_json(&json, model));
    FAILS(dl_model_from_json(&copy, json), DL_ERROR_UNSUPPORTED, "gradient of its own");
    CHECK(copy == NULL && self.destroyed == 0);
    dl_text_free(json);
    dl_model_release(model);
    dl_layer_release(dense);
    dl_tensor_release(input);
    dl_tensor_release(middle);
    dl_tensor_release(out);
    dl_tensor_release(x);
    dl_tensor_release(y);
    CHECK(self.destroyed == 1);
}

static void refused(void)
{
    state self = {0, 0, 0, 0, 1};
    dl_custom_gradient_callbacks half = functions;
    dl_tensor *x = floats(2, 2, NULL), *y = NULL, *v = NULL, *none = NULL;
    int32_t count = 7;
    FAILS(dl_custom_gradient(&y, 1, &count, "f", &x, 1, &functions, &self), DL_ERROR_CALLBACK, "21");
    CHECK(y == NULL && count == 0 && self.destroyed == 1);
    self.fail = 2;
    FAILS(dl_custom_gradient(&y, 1, &count, "f", &x, 1, &functions, &self), DL_ERROR_CALLBACK, "1 to 1024 outputs");
    self.fail = 0;
    FAILS(dl_custom_gradient(&y, 0, &count, "f", &x, 1, &functions, &self), DL_ERROR_ARGUMENT, "capacity");
    FAILS(dl_custom_gradient(NULL, 1, &count, "f", &x, 1, &functions, &self), DL_ERROR_ARGUMENT, "outputs");
    FAILS(dl_custom_gradient(&y, 1, &count, "f", &x, 0, &functions, &self), DL_ERROR_ARGUMENT, "at least one tensor");
    FAILS(dl_custom_gradient(&y, 1, &count, "f", &none, 1, &functions, &self), DL_ERROR_HANDLE, "inputs[0]");
    CHECK(self.destroyed == 6);
    FAILS(dl_custom_gradient(&y, 1, &count, "f", &x, 1, NULL, &self), DL_ERROR_ARGUMENT, "callbacks");
    half.backward = NULL;
    FAILS(dl_custom_gradient(&y, 1, &count, "f", &x, 1, &half, &self), DL_ERROR_ARGUMENT, "backward");
    CHECK(self.destroyed == 7);
    half.version = 9;
    FAILS(dl_custom_gradient(&y, 1, &count, "f", &x, 1, &half, &self), DL_ERROR_ARGUMENT, "version");
    OK(dl_variable_create(&v, x, NULL, 1));
    dl_tensor_release(v);
    dl_tensor_release(x);
}

/* Positions count from 0 here, and a seed gives the same numbers again. */
static void randomness(void)
{
    const int64_t seed[2] = {5, 1};
    const float sure[6] = {50, 0, 0, 0, 0, 50}, shape[2] = {2, 5};
    dl_tensor *s = tensor_of(DL_INT64, 1, 2, 0, 0, seed), *logits = floats(2, 3, sure), *alpha = tensor_of(DL_FLOAT32, 1, 2, 0, 0, shape),
              *inputs[3], *out = NULL, *again = NULL;
    const void *data = NULL;
    int32_t count = 0;
    inputs[0] = logits, inputs[1] = s;
    OK(dl_operation_apply(&out, 1, &count, "random_categorical", inputs, 2, "{\"num_samples\": 2}"));
    OK(dl_tensor_data(&data, out));
    CHECK(((const int32_t *)data)[0] == 0 && ((const int32_t *)data)[1] == 0 && ((const int32_t *)data)[2] == 2);
    dl_tensor_release(out);
    FAILS(dl_operation_apply(&out, 1, &count, "random_categorical", inputs, 2, "{\"num_samples\": 0}"), DL_ERROR_ARGUMENT, "num_samples");
    inputs[0] = alpha;
    FAILS(dl_operation_apply(&out, 1, &count, "random_categorical", inputs, 2, "{\"num_samples\": 1}"), DL_ERROR_SHAPE, "(batch, classes)");
    OK(dl_operation_apply(&out, 1, &count, "random_gamma", inputs, 2, "{\"shape\": [3, 2]}"));
    OK(dl_operation_apply(&again, 1, &count, "random_gamma", inputs, 2, "{\"shape\": [3, 2]}"));
    CHECK(same_bits(out, again) && at(out, 0) > 0);
    dl_tensor_release(out);
    dl_tensor_release(again);
    FAILS(dl_operation_apply(&out, 1, &count, "random_gamma", inputs, 2, "{\"shape\": [3]}"), DL_ERROR_SHAPE, "(2,)");
    inputs[1] = alpha, inputs[2] = s;
    OK(dl_operation_apply(&out, 1, &count, "random_beta", inputs, 3, NULL));
    CHECK(at(out, 0) > 0 && at(out, 1) < 1);
    dl_tensor_release(out);
    dl_tensor_release(s);
    dl_tensor_release(logits);
    dl_tensor_release(alpha);
}

static void tests(void)
{
    tapes();
    models();
    refused();
    randomness();
}

int main(void) { return run_tests("test_custom_gradient", tests); }
