/* What the C tests share: checks that count, and short ways to make tensors and models. */
#ifndef CHECK_H
#define CHECK_H

#include <dl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures;

static inline void check(int holds, const char *what, const char *file, int line)
{
    if (holds) return;
    failures++;
    printf("%s:%d: %s; last error: %s\n", file, line, what, dl_last_error());
}

#define CHECK(condition) check((condition) ? 1 : 0, #condition, __FILE__, __LINE__)
#define OK(call) CHECK((call) == DL_OK)

/* A failure: its status, and a word that its message must have. */
static inline void check_fails(dl_status status, dl_status expected, const char *word, const char *what, const char *file, int line)
{
    if (status == expected && dl_last_status() == expected && strstr(dl_last_error(), word) != NULL
        && strchr(dl_last_error(), '\n') == NULL) return;
    failures++;
    printf("%s:%d: %s gives %s: %s\n    expected %s with '%s'\n", file, line, what, dl_status_name(status), dl_last_error(),
           dl_status_name(expected), word);
}

#define FAILS(call, status, word) check_fails(call, status, word, #call, __FILE__, __LINE__)

static inline dl_tensor *tensor_of(dl_dtype dtype, int32_t rank, int64_t a, int64_t b, int64_t c, const void *data)
{
    int64_t shape[3];
    dl_tensor *out = NULL;
    shape[0] = a, shape[1] = b, shape[2] = c;
    OK(dl_tensor_create(&out, dtype, rank, shape, data));
    return out;
}

static inline dl_tensor *floats(int64_t rows, int64_t columns, const float *data)
{
    return tensor_of(DL_FLOAT32, 2, rows, columns, 0, data);
}

static inline dl_tensor *scalar(float number) { return tensor_of(DL_FLOAT32, 0, 0, 0, 0, &number); }

/* Numbers between -1 and 1 that are the same in every run. */
static inline dl_tensor *noise(int64_t rows, int64_t columns, uint32_t seed)
{
    dl_tensor *out = floats(rows, columns, NULL);
    void *data = NULL;
    int64_t i;
    OK(dl_tensor_mutable_data(&data, out));
    for (i = 0; data != NULL && i < rows * columns; i++) {
        seed = seed * 1664525u + 1013904223u;
        ((float *)data)[i] = (float)(seed >> 8) / 8388608.0f - 1.0f;
    }
    return out;
}

static inline dl_tensor *labels(int64_t count, int32_t classes)
{
    dl_tensor *out = tensor_of(DL_INT32, 1, count, 0, 0, NULL);
    void *data = NULL;
    int64_t i;
    OK(dl_tensor_mutable_data(&data, out));
    for (i = 0; data != NULL && i < count; i++) ((int32_t *)data)[i] = (int32_t)(i * 7 % classes);
    return out;
}

static inline double item(const dl_tensor *tensor)
{
    double number = 0;
    OK(dl_tensor_item(&number, tensor));
    return number;
}

static inline float at(const dl_tensor *tensor, int64_t position)
{
    const void *data = NULL;
    OK(dl_tensor_data(&data, tensor));
    return data == NULL ? 0 : ((const float *)data)[position];
}

static inline dl_tensor *apply(const char *name, dl_tensor *a, dl_tensor *b, const char *attributes)
{
    dl_tensor *inputs[2], *out = NULL;
    int32_t count = 0;
    inputs[0] = a, inputs[1] = b;
    OK(dl_operation_apply(&out, 1, &count, name, inputs, b == NULL ? 1 : 2, attributes));
    CHECK(count == 1);
    return out;
}

static inline dl_layer *layer_of(const char *class_name, const char *config)
{
    dl_layer *layer = NULL;
    OK(dl_layer_create(&layer, class_name, config));
    return layer;
}

static inline void add(dl_model *model, const char *class_name, const char *config)
{
    dl_layer *layer = layer_of(class_name, config);
    OK(dl_sequential_add(model, layer));
    dl_layer_release(layer);
}

/* The layer's one output for one input. */
static inline dl_tensor *through(dl_layer *layer, dl_tensor *input)
{
    dl_tensor *out = NULL;
    int32_t count = 0;
    OK(dl_layer_call(&out, 1, &count, layer, &input, 1, -1));
    return out;
}

/* 4 inputs, 8 units, 3 classes. */
static inline dl_model *classifier(uint64_t seed)
{
    dl_model *model = NULL;
    dl_set_random_seed(seed);
    OK(dl_sequential_create(&model, "classifier"));
    add(model, "InputLayer", "{\"shape\": [4], \"name\": \"x\"}");
    add(model, "Dense", "{\"units\": 8, \"activation\": \"relu\", \"name\": \"hidden\"}");
    add(model, "Dense", "{\"units\": 3, \"activation\": \"softmax\", \"name\": \"classes\"}");
    return model;
}

static inline void compile_classifier(dl_model *model, const char *optimizer)
{
    dl_compile_options options = DL_COMPILE_OPTIONS_INIT;
    options.optimizer = optimizer;
    options.loss = "sparse_categorical_crossentropy";
    options.metrics = "[\"accuracy\"]";
    OK(dl_model_compile(model, &options));
}

/* All weights one after the other, for comparing bits; free with free. */
static inline unsigned char *weights_of(dl_model *model, size_t *bytes)
{
    dl_layer *layer = NULL;
    dl_tensor *weights[32] = {NULL};
    unsigned char *all = NULL;
    int32_t count = 0, i;
    *bytes = 0;
    OK(dl_model_as_layer(&layer, model));
    OK(dl_layer_weights(weights, 32, &count, layer, DL_WEIGHTS_ALL));
    for (i = 0; i < count; i++) {
        int64_t size = 0;
        const void *data = NULL;
        OK(dl_tensor_size(&size, weights[i]));
        OK(dl_tensor_data(&data, weights[i]));
        all = (unsigned char *)realloc(all, *bytes + (size_t)size * 4 + 1);
        if (all == NULL || data == NULL) abort();
        memcpy(all + *bytes, data, (size_t)size * 4);
        *bytes += (size_t)size * 4;
        dl_tensor_release(weights[i]);
    }
    dl_layer_release(layer);
    return all;
}

static inline int same_weights(dl_model *a, dl_model *b)
{
    size_t first, second;
    unsigned char *x = weights_of(a, &first), *y = weights_of(b, &second);
    int same = first == second && first > 0 && memcmp(x, y, first) == 0;
    free(x);
    free(y);
    return same;
}

static inline int same_bits(const dl_tensor *a, const dl_tensor *b)
{
    int64_t first = 0, second = 0;
    const void *x = NULL, *y = NULL;
    OK(dl_tensor_size(&first, a));
    OK(dl_tensor_size(&second, b));
    OK(dl_tensor_data(&x, a));
    OK(dl_tensor_data(&y, b));
    return first == second && x != NULL && y != NULL && memcmp(x, y, (size_t)first * 4) == 0;
}

/* Runs the tests twice: what is held after the second run and was not after the first has leaked. */
static inline int run_tests(const char *name, void (*tests)(void))
{
    dl_memory_info before, after;
    int64_t handles = dl_live_handles();
    tests();
    CHECK(dl_live_handles() == handles);
    OK(dl_get_memory_info(&before));
    tests();
    CHECK(dl_live_handles() == handles);
    OK(dl_get_memory_info(&after));
    if (after.bytes_in_use > before.bytes_in_use) {
        failures++;
        printf("%s: %ld bytes in use after the first run, %ld after the second\n", name, (long)before.bytes_in_use,
               (long)after.bytes_in_use);
    }
    printf("%s: %d failures\n", name, failures);
    return failures != 0;
}

#endif
