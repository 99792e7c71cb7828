/* A training step after the first allocates nothing: neither from the library's memory nor from the system's. */
#define _GNU_SOURCE
#include "check.h"
#include <dlfcn.h>
#include <errno.h>

static volatile int counting;
static volatile int64_t requests;

static void note(void)
{
    if (counting) __atomic_add_fetch(&requests, 1, __ATOMIC_RELAXED);
}

/* The next definition behind this program's own. */
static void find(const char *name, void *function)
{
    void *symbol = dlsym(RTLD_NEXT, name);
    memcpy(function, &symbol, sizeof symbol);
    if (symbol == NULL) abort();
}

void *malloc(size_t size)
{
    static void *(*next)(size_t);
    if (next == NULL) find("malloc", &next);
    note();
    return next(size);
}

void *realloc(void *block, size_t size)
{
    static void *(*next)(void *, size_t);
    if (next == NULL) find("realloc", &next);
    note();
    return next(block, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    static void *(*next)(size_t, size_t);
    if (next == NULL) find("aligned_alloc", &next);
    note();
    return next(alignment, size);
}

int posix_memalign(void **block, size_t alignment, size_t size)
{
    static int (*next)(void **, size_t, size_t);
    if (next == NULL) find("posix_memalign", &next);
    note();
    return next(block, alignment, size);
}

static dl_tensor *pictures(int64_t count, int64_t side, int64_t channels)
{
    int64_t shape[4];
    dl_tensor *flat = noise(count, side * side * channels, 5), *out = NULL;
    const void *data = NULL;
    shape[0] = count, shape[1] = shape[2] = side, shape[3] = channels;
    OK(dl_tensor_data(&data, flat));
    OK(dl_tensor_create(&out, DL_FLOAT32, 4, shape, data));
    dl_tensor_release(flat);
    return out;
}

/* Under valgrind, requests go to a malloc of its own. */
static int foreign;

static void steps(const char *name, const char *options, const char *optimizer, int64_t side, int64_t channels)
{
    dl_model *model = NULL;
    /* Two batches in turn: other memory of the same shape is no reason to allocate. */
    dl_tensor *x[2], *y[2];
    dl_data data = DL_DATA_INIT;
    dl_compile_options compile = DL_COMPILE_OPTIONS_INIT;
    dl_memory_info before, after;
    double values[8], first = 0;
    int32_t count = 0;
    void *volatile block;
    int step;
    x[0] = pictures(4, side, channels), x[1] = pictures(4, side, channels);
    y[0] = labels(4, 10), y[1] = labels(4, 10);
    OK(dl_application_create(&model, name, options));
    compile.optimizer = optimizer;
    compile.loss = "sparse_categorical_crossentropy";
    compile.metrics = "[\"accuracy\"]";
    OK(dl_model_compile(model, &compile));
    data.x_count = data.y_count = 1;
    for (step = 0; step < 8; step++) {
        data.x = &x[step % 2];
        data.y = &y[step % 2];
        if (step == 0) {
            requests = 0;
            counting = 1;
        }
        if (step == 2) {
            OK(dl_get_memory_info(&before));
            requests = 0;
            counting = 1;
        }
        if (dl_model_train_on_batch(values, 8, &count, model, &data, NULL, 0) != DL_OK) break;
        if (step > 0) continue;
        counting = 0;
        first = values[0];
        /* The library's requests do come here. */
        CHECK(requests > 100 || foreign);
    }
    counting = 0;
    CHECK(step == 8 && count == 2 && values[0] < first);
    OK(dl_get_memory_info(&after));
    if (requests != 0 || after.allocations != before.allocations) {
        failures++;
        printf("%s: 6 steps made %ld allocations of memory for tensors, %ld others\n", name,
               (long)(after.allocations - before.allocations), (long)requests);
    }

    /* The interposer does count, and what is out of the ordinary is still seen. */
    requests = 0;
    counting = 1;
    block = malloc(7);
    counting = 0;
    CHECK(block != NULL && (requests == 1 || foreign));
    free(block);
    data.x = &y[0];
    FAILS(dl_model_train_on_batch(values, 8, &count, model, &data, NULL, 0), DL_ERROR_SHAPE, "(4,)");
    data.x = &x[0];
    data.y_count = 2;
    FAILS(dl_model_train_on_batch(values, 8, &count, model, &data, NULL, 0), DL_ERROR_ARGUMENT, "targets");
    data.y_count = 1;
    FAILS(dl_model_train_on_batch(values, 1, &count, model, &data, NULL, 0), DL_ERROR_ARGUMENT, "capacity");
    OK(dl_model_test_on_batch(values, 8, &count, model, &data));
    OK(dl_model_train_on_batch(values, 8, &count, model, &data, NULL, 0));
    for (step = 0; step < 2; step++) {
        dl_tensor_release(x[step]);
        dl_tensor_release(y[step]);
    }
    dl_model_release(model);
}

static void tests(void)
{
    foreign = getenv("DL_TEST_FEW") != NULL;
    dl_set_random_seed(1);
    steps("LeNet5", NULL, "{\"class_name\": \"SGD\", \"config\": {\"learning_rate\": 0.01, \"momentum\": 0.9}}", 28, 1);
    if (foreign) return;
    steps("LeNet5", "{\"style\": \"1998\"}", "adam", 28, 1);
    steps("ResNetCIFAR", "{\"depth\": 8}", "adam", 32, 3);
    steps("ResNet18", "{\"input_shape\": [64, 64, 3], \"classes\": 10}", "adam", 64, 3);
}

int main(void) { return run_tests("allocations", tests); }
