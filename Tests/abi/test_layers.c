/* Layers: made by name and from JSON, called, their weights; and layers that the caller writes. */
#include "check.h"

static void by_name(void)
{
    dl_layer *dense = NULL, *again = NULL;
    dl_tensor *x = noise(5, 4, 1), *y, *weights[2] = {NULL, NULL}, *wrong = noise(4, 2, 2), *three = tensor_of(DL_FLOAT32, 3, 2, 2, 2, NULL),
              *out = NULL;
    const int64_t shape[2] = {-1, 4};
    int32_t count = -1, rank;
    int64_t sizes[DL_MAX_RANK];
    char *text = NULL, *other = NULL;
    OK(dl_layer_create(&dense, "Dense", "{\"units\": 3, \"activation\": \"tanh\", \"name\": \"d\"}"));
    OK(dl_layer_weights(NULL, 0, &count, dense, DL_WEIGHTS_ALL));
    CHECK(count == 0);
    OK(dl_layer_build(dense, 2, shape));
    OK(dl_layer_weights(weights, 2, &count, dense, DL_WEIGHTS_ALL));
    CHECK(count == 2);
    OK(dl_tensor_shape(&rank, sizes, weights[0]));
    CHECK(rank == 2 && sizes[0] == 4 && sizes[1] == 3);
    y = through(dense, x);
    OK(dl_tensor_shape(&rank, sizes, y));
    CHECK(rank == 2 && sizes[0] == 5 && sizes[1] == 3);
    OK(dl_layer_info(&text, dense));
    CHECK(strstr(text, "\"params\":15") != NULL && strstr(text, "\"built\":true") != NULL && strstr(text, "kernel") != NULL);
    dl_text_free(text);

    /* A second layer from JSON with the same weights computes the same. */
    OK(dl_layer_to_json(&text, dense));
    OK(dl_layer_from_json(&again, text));
    OK(dl_layer_to_json(&other, again));
    CHECK(strcmp(text, other) == 0);
    dl_text_free(text);
    dl_text_free(other);
    OK(dl_layer_build(again, 2, shape));
    OK(dl_layer_set_weights(again, weights, 2));
    out = through(again, x);
    CHECK(same_bits(out, y));
    dl_tensor_release(out);
    out = NULL;

    OK(dl_layer_set_trainable(dense, 0));
    OK(dl_layer_weights(NULL, 0, &count, dense, DL_WEIGHTS_TRAINABLE));
    CHECK(count == 0);
    OK(dl_layer_weights(NULL, 0, &count, dense, DL_WEIGHTS_NON_TRAINABLE));
    CHECK(count == 2);
    OK(dl_layer_retain(dense));
    dl_layer_release(dense);

    FAILS(dl_layer_call(&out, 1, &count, dense, &wrong, 1, 0), DL_ERROR_SHAPE, "(4, 2)");
    FAILS(dl_layer_call(&out, 1, &count, dense, NULL, 1, 0), DL_ERROR_ARGUMENT, "inputs");
    FAILS(dl_layer_call(&out, 1, &count, NULL, &x, 1, 0), DL_ERROR_HANDLE, "dl_layer");
    FAILS(dl_layer_call(&out, 0, &count, dense, &x, 1, 0), DL_ERROR_ARGUMENT, "capacity");
    FAILS(dl_layer_weights(NULL, 0, &count, dense, 7), DL_ERROR_ARGUMENT, "7");
    FAILS(dl_layer_weights(&out, 1, &count, dense, DL_WEIGHTS_ALL), DL_ERROR_ARGUMENT, "capacity");
    {
        dl_tensor *bad[2];
        bad[0] = weights[0], bad[1] = wrong;
        FAILS(dl_layer_set_weights(again, bad, 2), DL_ERROR_SHAPE, "(4, 2)");
        FAILS(dl_layer_set_weights(again, bad, 1), DL_ERROR_ARGUMENT, "1");
        FAILS(dl_layer_set_weights(again, NULL, 2), DL_ERROR_ARGUMENT, "weights");
    }
    dl_layer_release(again);
    again = NULL;
    FAILS(dl_layer_output(&out, dense, 0), DL_ERROR_STATE, "d");
    FAILS(dl_layer_create(&again, "Dens", NULL), DL_ERROR_NOT_FOUND, "Dense");
    FAILS(dl_layer_create(&again, "Dense", NULL), DL_ERROR_ARGUMENT, "units");
    FAILS(dl_layer_create(&again, "Dense", "{\"unit\": 3}"), DL_ERROR_ARGUMENT, "did you mean 'units'");
    FAILS(dl_layer_create(&again, "Dense", "{\"units\": -3}"), DL_ERROR_ARGUMENT, "-3");
    FAILS(dl_layer_create(&again, "Dense", "{\"units\": 1e300}"), DL_ERROR_ARGUMENT, "units");
    FAILS(dl_layer_create(&again, "Dense", "[1]"), DL_ERROR_ARGUMENT, "");
    FAILS(dl_layer_create(&again, NULL, NULL), DL_ERROR_ARGUMENT, "class_name");
    FAILS(dl_layer_from_json(&again, "{\"class_name\": \"Dense\""), DL_ERROR_ARGUMENT, "JSON");
    FAILS(dl_layer_from_json(&again, NULL), DL_ERROR_ARGUMENT, "json");
    CHECK(again == NULL && out == NULL);
    dl_layer_release(dense);
    dl_tensor_release(weights[0]);
    dl_tensor_release(weights[1]);
    dl_tensor_release(x);
    dl_tensor_release(y);
    dl_tensor_release(wrong);
    dl_tensor_release(three);
}

/* A layer of the caller's: x * scale, with one weight for each column; training adds 100. */
typedef struct {
    dl_tensor *scale;
    int32_t failing; /* 1: build fails; 2: call fails; 3: call gives nothing; 4: call's own operation fails */
} scaler;

static int alive;

static int32_t scaler_build(dl_layer *layer, int32_t count, const int32_t *ranks, const int64_t *const *shapes, void *payload)
{
    scaler *self = (scaler *)payload;
    int64_t size = shapes[0][ranks[0] - 1];
    if (count != 1 || self->failing == 1) return 17;
    return dl_layer_add_weight(&self->scale, layer, "scale", DL_FLOAT32, 1, &size, "ones", "l2", 1);
}

static int32_t scaler_call(
    dl_layer *layer, dl_tensor **outputs, int32_t capacity, int32_t *count, dl_tensor *const *inputs, int32_t input_count,
    int32_t training, void *payload)
{
    scaler *self = (scaler *)payload;
    dl_tensor *two[2], *scaled = NULL, *hundred;
    dl_status status;
    (void)layer;
    if (self->failing == 2 || input_count != 1) return 18;
    if (self->failing == 3) return 0;
    two[0] = inputs[0], two[1] = self->scale;
    if (self->failing == 4) return dl_operation_apply(outputs, capacity, count, "no_such_operation", two, 2, NULL);
    if (!training) return dl_operation_apply(outputs, capacity, count, "multiply", two, 2, NULL);
    status = dl_operation_apply(&scaled, 1, count, "multiply", two, 2, NULL);
    hundred = scalar(100);
    two[0] = scaled, two[1] = hundred;
    if (status == DL_OK) status = dl_operation_apply(outputs, capacity, count, "add", two, 2, NULL);
    dl_tensor_release(scaled);
    dl_tensor_release(hundred);
    return status;
}

static void scaler_destroy(void *payload)
{
    dl_tensor_release(((scaler *)payload)->scale);
    free(payload);
    alive--;
}

static dl_status make_scaler(dl_layer **out, const char *config, int32_t failing)
{
    dl_layer_callbacks callbacks = {1, 0, scaler_build, scaler_call, scaler_destroy};
    scaler *self = (scaler *)calloc(1, sizeof *self);
    if (self == NULL) abort();
    self->failing = failing;
    alive++;
    return dl_layer_create_custom(out, "Scaler", config, &callbacks, self);
}

static int32_t create_scaler(dl_layer **out, const char *config, void *payload)
{
    ++*(int *)payload;
    return make_scaler(out, config, 0);
}

static int registrations;
static void registration_ends(void *payload)
{
    (void)payload;
    registrations--;
}

static int32_t create_fails(dl_layer **out, const char *config, void *payload)
{
    (void)out, (void)config, (void)payload;
    return 23;
}

static void written_here(void)
{
    const float numbers[4] = {1, 2, 3, 4}, factors[2] = {2, -1};
    dl_tensor *x = floats(2, 2, numbers), *y = NULL, *factor = tensor_of(DL_FLOAT32, 1, 2, 0, 0, factors);
    dl_layer *layer = NULL;
    dl_layer_callbacks none = {1, 0, NULL, NULL, scaler_destroy}, old = {9, 0, NULL, scaler_call, scaler_destroy};
    int32_t count, failing;
    char *text = NULL;
    alive = 0;
    OK(make_scaler(&layer, "{\"name\": \"my\", \"kept\": [1, 2]}", 0));
    y = through(layer, x);
    CHECK(same_bits(x, y));
    dl_tensor_release(y);
    OK(dl_layer_set_weights(layer, &factor, 1));
    y = through(layer, x);
    CHECK(at(y, 0) == 2 && at(y, 1) == -2 && at(y, 3) == -4);
    dl_tensor_release(y);
    OK(dl_layer_call(&y, 1, &count, layer, &x, 1, 1));
    CHECK(at(y, 0) == 102);
    dl_tensor_release(y);
    y = NULL;
    OK(dl_layer_to_json(&text, layer));
    CHECK(strstr(text, "\"Scaler\"") != NULL && strstr(text, "\"kept\"") != NULL && strstr(text, "\"my\"") != NULL);
    dl_text_free(text);
    CHECK(alive == 1);
    dl_layer_release(layer);
    CHECK(alive == 0);

    for (failing = 1; failing <= 4; failing++) {
        static const int32_t results[5] = {0, 17, 18, 0, DL_ERROR_NOT_FOUND};
        layer = NULL;
        OK(make_scaler(&layer, NULL, failing));
        FAILS(dl_layer_call(&y, 1, &count, layer, &x, 1, 0), DL_ERROR_CALLBACK, failing == 4 ? "no_such_operation" : "Scaler");
        CHECK(dl_last_callback_status() == results[failing] && y == NULL && count == 0);
        dl_layer_release(layer);
        CHECK(alive == 0);
    }
    layer = NULL;
    alive = 3;
    {
        scaler *self = (scaler *)calloc(1, sizeof *self);
        FAILS(dl_layer_create_custom(&layer, "Scaler", NULL, &none, self), DL_ERROR_ARGUMENT, "call");
        self = (scaler *)calloc(1, sizeof *self);
        FAILS(dl_layer_create_custom(&layer, "Scaler", NULL, &old, self), DL_ERROR_ARGUMENT, "version");
    }
    CHECK(alive == 1);
    FAILS(dl_layer_create_custom(&layer, "Scaler", NULL, NULL, NULL), DL_ERROR_ARGUMENT, "callbacks");
    alive = 0;
    FAILS(make_scaler(&layer, "[]", 0), DL_ERROR_ARGUMENT, "object");
    CHECK(alive == 0 && layer == NULL);
    dl_tensor_release(x);
    dl_tensor_release(factor);
}

static void registered(void)
{
    const char *path = "test_layers.safetensors";
    dl_model *model = NULL, *loaded = NULL;
    dl_layer *layer = NULL;
    dl_tensor *x = noise(6, 4, 3), *y = noise(6, 4, 4), *first = NULL, *second = NULL;
    dl_data data = DL_DATA_INIT;
    dl_compile_options compile = DL_COMPILE_OPTIONS_INIT;
    int made = 0;
    int32_t count;
    alive = 0;
    registrations = 2;
    FAILS(dl_layer_register("Dense", create_scaler, registration_ends, &made), DL_ERROR_ARGUMENT, "Dense");
    CHECK(registrations == 1);
    FAILS(dl_layer_register(NULL, create_scaler, NULL, &made), DL_ERROR_ARGUMENT, "class_name");
    OK(dl_layer_register("Scaler", create_scaler, registration_ends, &made));
    OK(dl_layer_create(&layer, "Scaler", "{\"name\": \"by_name\"}"));
    CHECK(made == 1);
    OK(dl_sequential_create(&model, NULL));
    add(model, "InputLayer", "{\"shape\": [4]}");
    OK(dl_sequential_add(model, layer));
    dl_layer_release(layer);
    add(model, "Dense", "{\"units\": 4}");
    compile.loss = "mse";
    compile.optimizer = "adam";
    OK(dl_model_compile(model, &compile));
    data.x_count = data.y_count = 1;
    data.x = &x;
    data.y = &y;
    OK(dl_model_fit(NULL, model, &data, NULL));
    OK(dl_model_save(model, path, 1));
    OK(dl_model_load(&loaded, path));
    CHECK(made == 2 && same_weights(model, loaded));
    OK(dl_model_predict(&first, 1, &count, model, &x, 1, 0));
    OK(dl_model_predict(&second, 1, &count, loaded, &x, 1, 0));
    CHECK(same_bits(first, second));
    dl_tensor_release(first);
    dl_tensor_release(second);
    dl_model_release(loaded);
    loaded = NULL;

    OK(dl_layer_register("Scaler", create_fails, NULL, NULL));
    CHECK(registrations == 0);
    FAILS(dl_model_load(&loaded, path), DL_ERROR_CALLBACK, "Scaler");
    CHECK(dl_last_callback_status() == 23 && loaded == NULL);
    OK(dl_layer_register("Scaler", NULL, NULL, NULL));
    FAILS(dl_model_load(&loaded, path), DL_ERROR_NOT_FOUND, "Scaler");
    CHECK(loaded == NULL);
    dl_model_release(model);
    CHECK(alive == 0);
    dl_tensor_release(x);
    dl_tensor_release(y);
    remove(path);
}

static void tests(void)
{
    by_name();
    written_here();
    registered();
}

int main(void) { return run_tests("test_layers", tests); }
