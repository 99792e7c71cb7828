/* Files: training goes on as if it had never stopped; damaged and foreign files change nothing. */
#include "check.h"

#define PATH "test_files.tmp"

static void go_on(void)
{
    dl_model *whole = classifier(1), *first = classifier(1), *second = NULL, *bare = NULL;
    dl_tensor *x = noise(32, 4, 1), *y = labels(32, 3);
    dl_data data = DL_DATA_INIT;
    dl_fit_options options = DL_FIT_OPTIONS_INIT;
    dl_optimizer *optimizer = NULL;
    int64_t iterations = 0;
    data.x_count = data.y_count = 1;
    data.x = &x;
    data.y = &y;
    options.epochs = 4;
    options.batch_size = 8;
    options.no_shuffle = 1;
    compile_classifier(whole, "adam");
    compile_classifier(first, "adam");
    OK(dl_model_fit(NULL, whole, &data, &options));
    options.epochs = 2;
    OK(dl_model_fit(NULL, first, &data, &options));
    OK(dl_model_save(first, PATH, 1));
    OK(dl_model_load(&second, PATH));
    CHECK(same_weights(first, second));
    OK(dl_model_optimizer(&optimizer, second));
    OK(dl_optimizer_iterations(&iterations, optimizer));
    CHECK(iterations == 8);
    dl_optimizer_release(optimizer);
    options.initial_epoch = 2;
    options.epochs = 4;
    OK(dl_model_fit(NULL, second, &data, &options));
    CHECK(same_weights(whole, second));
    /* Without the optimizer's state the moments begin anew, and the result is another. */
    OK(dl_model_save(first, PATH, 0));
    OK(dl_model_load(&bare, PATH));
    OK(dl_model_fit(NULL, bare, &data, &options));
    CHECK(!same_weights(whole, bare));
    dl_model_release(whole);
    dl_model_release(first);
    dl_model_release(second);
    dl_model_release(bare);
    dl_tensor_release(x);
    dl_tensor_release(y);
}

static char *slurp(size_t *size)
{
    FILE *file = fopen(PATH, "rb");
    char *bytes = (char *)malloc(1 << 20);
    if (file == NULL || bytes == NULL) abort();
    *size = fread(bytes, 1, 1 << 20, file);
    fclose(file);
    return bytes;
}

static void spill(const char *bytes, size_t size)
{
    FILE *file = fopen(PATH, "wb");
    if (file == NULL || fwrite(bytes, 1, size, file) != size) abort();
    fclose(file);
}

static void damaged(void)
{
    static const char *const headers[] = {
        "", "{", "{}", "[]", "{\"a\": 1}", "{\"a\": {\"dtype\": \"F32\", \"shape\": [9223372036854775807, 4], \"data_offsets\": [0, 16]}}",
        "{\"a\": {\"dtype\": \"F32\", \"shape\": [-1], \"data_offsets\": [0, 4]}}",
        "{\"a\": {\"dtype\": \"F32\", \"shape\": [1], \"data_offsets\": [4, 0]}}",
        "{\"a\": {\"dtype\": \"F99\", \"shape\": [1], \"data_offsets\": [0, 4]}}",
        "{\"a\": {\"dtype\": \"F32\", \"shape\": [1], \"data_offsets\": [0, 99999999999999]}}",
        "{\"__metadata__\": {\"model\": \"{\\\"class_name\\\": \\\"Sequential\\\"}\"}}",
        "{\"__metadata__\": {\"model\": 7}}",
    };
    dl_model *model = classifier(2), *same = classifier(2), *loaded = NULL, *other = NULL;
    size_t size, cut, i, step;
    char *bytes;
    compile_classifier(model, "adam");
    OK(dl_model_save(model, PATH, 1));
    bytes = slurp(&size);
    /* Every length that is not the whole file. With DL_TEST_FEW, as under valgrind, some of them. */
    step = getenv("DL_TEST_FEW") != NULL ? 97 : 1;
    for (cut = 0; cut < size; cut += step) {
        dl_status status;
        spill(bytes, cut);
        status = dl_model_load(&loaded, PATH);
        if (status != DL_ERROR_FORMAT || loaded != NULL) {
            CHECK(status == DL_ERROR_FORMAT && loaded == NULL);
            break;
        }
        CHECK(dl_model_load_weights(model, PATH) != DL_OK);
    }
    CHECK(same_weights(model, same));
    /* Something after the end. */
    bytes[size] = 'x';
    spill(bytes, size + 1);
    FAILS(dl_model_load(&loaded, PATH), DL_ERROR_FORMAT, PATH);
    /* Any one byte of the header changed: an error or a model, never a crash. */
    for (i = 0; i < size; i += 3 * step) {
        bytes[i] ^= 0x15;
        spill(bytes, size);
        if (dl_model_load(&loaded, PATH) == DL_OK) dl_model_release(loaded);
        else CHECK(loaded == NULL);
        loaded = NULL;
        bytes[i] ^= 0x15;
    }
    free(bytes);
    for (i = 0; i < sizeof headers / sizeof *headers; i++) {
        char made[512] = {0};
        size_t length = strlen(headers[i]);
        made[0] = (char)length;
        memcpy(made + 8, headers[i], length);
        spill(made, 8 + length + 16);
        CHECK(dl_model_load(&loaded, PATH) != DL_OK && loaded == NULL);
        CHECK(dl_model_load_weights(model, PATH) != DL_OK);
    }
    {
        /* A header that says it is longer than any file. */
        char made[16];
        memset(made, 0x7f, sizeof made);
        spill(made, sizeof made);
        FAILS(dl_model_load(&loaded, PATH), DL_ERROR_FORMAT, PATH);
    }
    FAILS(dl_model_load(&loaded, "nowhere/model"), DL_ERROR_NOT_FOUND, "nowhere/model");
    FAILS(dl_model_load(&loaded, NULL), DL_ERROR_ARGUMENT, "path");
    CHECK(dl_model_load(&loaded, "/") != DL_OK);
    CHECK(dl_model_save(model, "nowhere/model", 0) != DL_OK);
    FAILS(dl_model_save(model, NULL, 0), DL_ERROR_ARGUMENT, "path");

    /* Weights alone, and weights of something else. */
    OK(dl_model_save_weights(model, PATH));
    other = classifier(3);
    CHECK(!same_weights(model, other));
    OK(dl_model_load_weights(other, PATH));
    CHECK(same_weights(model, other));
    FAILS(dl_model_load(&loaded, PATH), DL_ERROR_FORMAT, "model");
    dl_model_release(other);
    OK(dl_sequential_create(&other, NULL));
    add(other, "InputLayer", "{\"shape\": [5]}");
    add(other, "Dense", "{\"units\": 8, \"name\": \"hidden\"}");
    add(other, "Dense", "{\"units\": 3, \"name\": \"classes\"}");
    OK(dl_model_save_weights(other, PATH));
    FAILS(dl_model_load_weights(model, PATH), DL_ERROR_SHAPE, "hidden");
    CHECK(same_weights(model, same));
    OK(dl_sequential_pop(other));
    OK(dl_model_save_weights(other, PATH));
    CHECK(dl_model_load_weights(model, PATH) != DL_OK);
    CHECK(same_weights(model, same));
    dl_model_release(other);
    dl_model_release(model);
    dl_model_release(same);
}

static void tensors(void)
{
    const float numbers[4] = {1.5f, -2, 3, 4};
    dl_tensor *x = floats(2, 2, numbers), *y = NULL, *outputs[4] = {NULL, NULL, NULL, NULL};
    char *text = NULL, *bytes;
    size_t size, cut;
    int i;
    OK(dl_tensor_save(x, PATH));
    OK(dl_tensor_load(&y, PATH));
    CHECK(same_bits(x, y));
    dl_tensor_release(y);
    y = NULL;
    bytes = slurp(&size);
    for (cut = 0; cut < size; cut++) {
        spill(bytes, cut);
        if (dl_tensor_load(&y, PATH) != DL_ERROR_FORMAT) {
            CHECK(!"a truncated array was read");
            break;
        }
    }
    free(bytes);
    FAILS(dl_tensor_load(&y, "nowhere"), DL_ERROR_NOT_FOUND, "nowhere");
    FAILS(dl_tensor_load(&y, NULL), DL_ERROR_ARGUMENT, "path");
    FAILS(dl_tensor_save(x, NULL), DL_ERROR_ARGUMENT, "path");
    FAILS(dl_tensor_save(NULL, PATH), DL_ERROR_HANDLE, "tensor");

    spill("a,b\n1,2\n3,4.5\n", 14);
    OK(dl_csv_load(&y, &text, PATH, NULL));
    CHECK(strcmp(text, "[\"a\",\"b\"]") == 0 && at(y, 3) == 4.5f);
    dl_text_free(text);
    dl_tensor_release(y);
    OK(dl_csv_load(&y, NULL, PATH, "{\"columns\": [\"b\"]}"));
    CHECK(at(y, 1) == 4.5f);
    dl_tensor_release(y);
    y = NULL;
    spill("1,2\n3,x\n", 8);
    FAILS(dl_csv_load(&y, &text, PATH, NULL), DL_ERROR_FORMAT, "line 2");
    FAILS(dl_csv_load(&y, &text, PATH, "{\"delimeter\": \";\"}"), DL_ERROR_ARGUMENT, "did you mean");
    CHECK(y == NULL && text == NULL);

    OK(dl_dataset_load(outputs, &text, "shapes", NULL));
    CHECK(strstr(text, "class_names") != NULL);
    dl_text_free(text);
    for (i = 0; i < 4; i++) dl_tensor_release(outputs[i]);
    FAILS(dl_dataset_load(outputs, NULL, "shape", NULL), DL_ERROR_NOT_FOUND, "shapes");
    FAILS(dl_dataset_load(outputs, NULL, "fashion_mnist", "{\"path\": \"/nowhere\"}"), DL_ERROR_NOT_FOUND, "/nowhere");
    CHECK(outputs[0] == NULL);
    FAILS(dl_dataset_load(NULL, NULL, "shapes", NULL), DL_ERROR_ARGUMENT, "outputs");
    dl_tensor_release(x);
}

static void tests(void)
{
    go_on();
    damaged();
    tensors();
    remove(PATH);
}

int main(void) { return run_tests("test_files", tests); }
