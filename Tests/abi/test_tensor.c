/* Tensors and variables: making, wrapping, reading, parts, limits; the process's own functions. */
#include "check.h"

static void making(void)
{
    const float numbers[6] = {1, 2, 3, 4, 5, 6};
    const uint8_t bytes[4] = {0, 1, 2, 255};
    const int64_t shape[2] = {2, 3}, huge[3] = {INT64_MAX, 2, 2}, large[2] = {(int64_t)1 << 40, (int64_t)1 << 20};
    int64_t sizes[DL_MAX_RANK + 1], many[DL_MAX_RANK + 1];
    int64_t size = 0, negative[1] = {-1};
    int32_t rank = 0, kind = -1, i;
    dl_dtype dtype = 0;
    float back[6];
    uint8_t flags[4];
    const void *data = NULL;
    char *text = NULL;
    dl_tensor *x = NULL, *y = NULL;
    OK(dl_tensor_create(&x, DL_FLOAT32, 2, shape, numbers));
    OK(dl_tensor_shape(&rank, sizes, x));
    CHECK(rank == 2 && sizes[0] == 2 && sizes[1] == 3);
    OK(dl_tensor_shape(&rank, NULL, x));
    OK(dl_tensor_dtype(&dtype, x));
    CHECK(dtype == DL_FLOAT32);
    OK(dl_tensor_size(&size, x));
    CHECK(size == 6);
    OK(dl_tensor_kind(&kind, x));
    CHECK(kind == DL_KIND_TENSOR);
    OK(dl_tensor_read(back, sizeof back, x));
    CHECK(memcmp(back, numbers, sizeof back) == 0);
    FAILS(dl_tensor_read(back, 23, x), DL_ERROR_ARGUMENT, "23");
    FAILS(dl_tensor_read(NULL, 24, x), DL_ERROR_ARGUMENT, "data");
    OK(dl_tensor_data(&data, x));
    CHECK(data != NULL && memcmp(data, numbers, sizeof numbers) == 0);
    OK(dl_tensor_text(&text, x));
    CHECK(strstr(text, "float32") != NULL && strstr(text, "6") != NULL);
    dl_text_free(text);
    FAILS(dl_tensor_item(&(double){0}, x), DL_ERROR_SHAPE, "(2, 3)");
    OK(dl_tensor_retain(x));
    dl_tensor_release(x);
    CHECK(at(x, 5) == 6);
    dl_tensor_release(x);

    /* Any byte but 0 is true. */
    x = tensor_of(DL_BOOL, 1, 4, 0, 0, bytes);
    OK(dl_tensor_read(flags, 4, x));
    CHECK(flags[0] == 0 && flags[1] == 1 && flags[2] == 1 && flags[3] == 1);
    dl_tensor_release(x);
    x = tensor_of(DL_FLOAT64, 2, 0, 5, 0, NULL);
    OK(dl_tensor_size(&size, x));
    OK(dl_tensor_read(NULL, 0, x));
    CHECK(size == 0);
    dl_tensor_release(x);

    FAILS(dl_tensor_create(&y, DL_FLOAT32, 1, negative, NULL), DL_ERROR_SHAPE, "-1");
    FAILS(dl_tensor_create(&y, DL_FLOAT32, -1, shape, NULL), DL_ERROR_ARGUMENT, "rank");
    FAILS(dl_tensor_create(&y, DL_FLOAT32, 2, NULL, NULL), DL_ERROR_ARGUMENT, "shape");
    FAILS(dl_tensor_create(&y, 99, 2, shape, NULL), DL_ERROR_DTYPE, "99");
    FAILS(dl_tensor_create(NULL, DL_FLOAT32, 2, shape, NULL), DL_ERROR_ARGUMENT, "out");
    for (i = 0; i <= DL_MAX_RANK; i++) many[i] = 1;
    FAILS(dl_tensor_create(&y, DL_FLOAT32, DL_MAX_RANK + 1, many, NULL), DL_ERROR_SHAPE, "16");
    FAILS(dl_tensor_create(&y, DL_FLOAT64, 3, huge, NULL), DL_ERROR_SHAPE, "");
    CHECK(dl_tensor_create(&y, DL_FLOAT64, 2, large, NULL) != DL_OK);
    CHECK(y == NULL);
    OK(dl_tensor_create(&y, DL_UINT8, DL_MAX_RANK, many, NULL));
    OK(dl_tensor_shape(&rank, sizes, y));
    CHECK(rank == DL_MAX_RANK);
    dl_tensor_release(y);
    FAILS(dl_tensor_size(&size, (dl_tensor *)(void *)numbers), DL_ERROR_HANDLE, "no live handle");
    FAILS(dl_tensor_retain(NULL), DL_ERROR_HANDLE, "tensor");
}

static int destroyed;
static void *destroyed_data, *destroyed_payload;

static void on_destroy(void *data, void *payload)
{
    destroyed++;
    destroyed_data = data;
    destroyed_payload = payload;
}

static void wrapping(void)
{
    static double memory[8];
    const int64_t shape[2] = {2, 3}, negative[1] = {-3};
    dl_tensor *x = NULL, *row = NULL, *sum;
    dl_index first = {DL_INDEX_AT, 0, 1, 0, 0};
    void *data = NULL;
    int i;
    for (i = 0; i < 6; i++) memory[i] = i;
    destroyed = 0;
    OK(dl_tensor_wrap(&x, DL_FLOAT64, 2, shape, memory, on_destroy, &destroyed));
    OK(dl_tensor_index(&row, x, &first, 1));
    memory[3] = 10;
    sum = apply("sum", row, NULL, NULL);
    CHECK(item(sum) == 19);
    dl_tensor_release(sum);
    OK(dl_tensor_mutable_data(&data, row));
    CHECK(data == &memory[3]);
    /* The view still uses it. */
    dl_tensor_release(x);
    CHECK(destroyed == 0);
    dl_tensor_release(row);
    CHECK(destroyed == 1 && destroyed_data == memory && destroyed_payload == &destroyed);

    FAILS(dl_tensor_wrap(&x, DL_FLOAT64, 1, negative, memory, on_destroy, NULL), DL_ERROR_SHAPE, "-3");
    CHECK(destroyed == 2 && x == NULL);
    FAILS(dl_tensor_wrap(&x, DL_FLOAT64, 2, shape, (char *)memory + 4, on_destroy, NULL), DL_ERROR_ARGUMENT, "aligned to 8");
    CHECK(destroyed == 3);
    FAILS(dl_tensor_wrap(NULL, DL_FLOAT64, 2, shape, memory, on_destroy, NULL), DL_ERROR_ARGUMENT, "out");
    CHECK(destroyed == 4);
    FAILS(dl_tensor_wrap(&x, DL_FLOAT64, 2, shape, NULL, NULL, NULL), DL_ERROR_ARGUMENT, "data");
}

static void initializing(void)
{
    const int64_t shape[2] = {50, 4};
    dl_tensor *x = NULL, *y = NULL;
    int i;
    OK(dl_tensor_initialize(&x, "{\"class_name\": \"RandomUniform\", \"config\": {\"minval\": 2, \"maxval\": 3, \"seed\": 7}}",
                            DL_FLOAT32, 2, shape));
    for (i = 0; i < 200; i++) CHECK(at(x, i) >= 2 && at(x, i) <= 3);
    dl_set_random_seed(5);
    OK(dl_tensor_initialize(&y, "glorot_uniform", DL_FLOAT32, 2, shape));
    dl_tensor_release(x);
    dl_set_random_seed(5);
    OK(dl_tensor_initialize(&x, "glorot_uniform", DL_FLOAT32, 2, shape));
    CHECK(same_bits(x, y) && at(x, 0) != at(x, 1));
    dl_tensor_release(x);
    dl_tensor_release(y);
    FAILS(dl_tensor_initialize(&x, "glorot_unifrom", DL_FLOAT32, 2, shape), DL_ERROR_NOT_FOUND, "did you mean");
    FAILS(dl_tensor_initialize(&x, "{\"class_name\": ", DL_FLOAT32, 2, shape), DL_ERROR_ARGUMENT, "JSON");
    FAILS(dl_tensor_initialize(&x, NULL, DL_FLOAT32, 2, shape), DL_ERROR_ARGUMENT, "initializer");
    CHECK(x == NULL);
}

static void parts(void)
{
    const float numbers[12] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
    dl_tensor *x = tensor_of(DL_FLOAT32, 3, 2, 3, 2, numbers), *part = NULL, *value = scalar(-1), *wrong;
    const float pair[2] = {20, 21};
    int64_t shape[DL_MAX_RANK];
    int32_t rank;
    dl_index index[4] = {{DL_INDEX_AT, 0, -1, 0, 0}, {DL_INDEX_RANGE, DL_INDEX_NO_STOP, 1, 0, 0}};
    OK(dl_tensor_index(&part, x, index, 2));
    OK(dl_tensor_shape(&rank, shape, part));
    CHECK(rank == 2 && shape[0] == 2 && shape[1] == 2 && at(part, 0) == 8);
    /* Shares memory: what is written into the part is seen in the whole. */
    OK(dl_tensor_index_assign(part, NULL, 0, value));
    CHECK(at(x, 8) == -1 && at(x, 11) == -1 && at(x, 7) == 7);
    dl_tensor_release(part);
    /* Backwards, from the last to the first: a copy. */
    index[0].kind = DL_INDEX_RANGE;
    index[0].flags = DL_INDEX_NO_START | DL_INDEX_NO_STOP;
    index[0].step = -1;
    OK(dl_tensor_index(&part, x, index, 1));
    CHECK(at(part, 0) == 6 && at(part, 6) == 0);
    dl_tensor_release(part);
    index[0].step = 1;
    index[1].kind = DL_INDEX_AT;
    index[1].start = 0;
    wrong = tensor_of(DL_FLOAT32, 1, 2, 0, 0, pair);
    OK(dl_tensor_index_assign(x, index, 2, wrong));
    CHECK(at(x, 0) == 20 && at(x, 7) == 21 && at(x, 2) == 2);
    dl_tensor_release(wrong);
    part = NULL;
    index[0].kind = DL_INDEX_AT;
    index[0].start = 2;
    FAILS(dl_tensor_index(&part, x, index, 1), DL_ERROR_RANGE, "2");
    index[0].start = INT64_MIN;
    FAILS(dl_tensor_index(&part, x, index, 1), DL_ERROR_RANGE, "");
    index[0].kind = DL_INDEX_RANGE;
    index[0].flags = 0;
    index[0].stop = INT64_MAX;
    index[0].step = INT64_MIN;
    (void)!dl_tensor_index(&part, x, index, 1);
    dl_tensor_release(part);
    part = NULL;
    index[0].start = 0;
    index[0].step = INT64_MAX;
    (void)!dl_tensor_index(&part, x, index, 1);
    dl_tensor_release(part);
    index[0].kind = 7;
    FAILS(dl_tensor_index(&part, x, index, 1), DL_ERROR_ARGUMENT, "7");
    FAILS(dl_tensor_index(&part, x, NULL, 1), DL_ERROR_ARGUMENT, "index");
    memset(index, 0, sizeof index);
    FAILS(dl_tensor_index(&part, x, index, 4), DL_ERROR_RANGE, "");
    wrong = floats(3, 5, NULL);
    FAILS(dl_tensor_index_assign(x, index, 1, wrong), DL_ERROR_SHAPE, "(3, 5)");
    dl_tensor_release(wrong);
    dl_tensor_release(value);
    dl_tensor_release(x);
}

static void variables(void)
{
    const float numbers[2] = {1, 2}, others[2] = {3, 4};
    dl_tensor *x = tensor_of(DL_FLOAT32, 1, 2, 0, 0, numbers), *y = tensor_of(DL_FLOAT32, 1, 2, 0, 0, others), *v = NULL,
              *wrong = floats(2, 2, NULL), *whole = tensor_of(DL_INT32, 1, 2, 0, 0, NULL);
    char *name = NULL;
    int32_t trainable = 0, kind = 0;
    void *data = NULL;
    OK(dl_variable_create(&v, x, "w", 1));
    OK(dl_tensor_kind(&kind, v));
    CHECK(kind == DL_KIND_VARIABLE);
    OK(dl_variable_info(&name, &trainable, v));
    CHECK(strcmp(name, "w") == 0 && trainable == 1);
    dl_text_free(name);
    OK(dl_variable_info(NULL, NULL, v));
    OK(dl_variable_assign(v, y));
    CHECK(at(v, 0) == 3 && at(x, 0) == 1);
    FAILS(dl_variable_assign(v, wrong), DL_ERROR_SHAPE, "(2, 2)");
    FAILS(dl_variable_assign(v, whole), DL_ERROR_DTYPE, "int32");
    FAILS(dl_variable_assign(x, y), DL_ERROR_ARGUMENT, "variable");
    FAILS(dl_variable_info(&name, NULL, x), DL_ERROR_ARGUMENT, "variable");
    FAILS(dl_tensor_mutable_data(&data, v), DL_ERROR_STATE, "dl_variable_assign");
    FAILS(dl_tensor_index_assign(v, NULL, 0, y), DL_ERROR_STATE, "dl_variable_assign");
    CHECK(at(v, 0) == 3 && at(v, 1) == 4);
    dl_tensor_release(x);
    dl_tensor_release(y);
    dl_tensor_release(v);
    dl_tensor_release(wrong);
    dl_tensor_release(whole);
}

static void limits(void)
{
    dl_memory_info info;
    const int64_t shape[1] = {1 << 20};
    dl_tensor *x = NULL, *y = NULL, *two[2];
    int32_t count = 0;
    OK(dl_get_memory_info(&info));
    dl_set_memory_limit(info.bytes_in_use + (6 << 20));
    OK(dl_tensor_create(&x, DL_FLOAT32, 1, shape, NULL));
    FAILS(dl_tensor_create(&y, DL_FLOAT32, 1, shape, NULL), DL_ERROR_MEMORY, "limit");
    two[0] = two[1] = x;
    FAILS(dl_operation_apply(&y, 1, &count, "add", two, 2, NULL), DL_ERROR_MEMORY, "limit");
    CHECK(y == NULL && count == 0);
    dl_set_memory_limit(0);
    OK(dl_operation_apply(&y, 1, &count, "add", two, 2, NULL));
    dl_tensor_release(x);
    dl_tensor_release(y);
    dl_trim_memory();
    OK(dl_get_memory_info(&info));
    CHECK(info.cached_bytes == 0 && info.peak_bytes >= 4 << 20 && info.allocations > 0);
    FAILS(dl_get_memory_info(NULL), DL_ERROR_ARGUMENT, "info");
}

static void process(void)
{
    static const char *const categories[] = {"layer", "operation", "loss", "metric", "optimizer", "initializer", "regularizer",
                                             "constraint", "activation", "callback", "dataset"};
    char *text = NULL;
    size_t i;
    int32_t threads = dl_get_num_threads();
    CHECK(dl_abi_version() == DL_ABI_VERSION && strcmp(dl_version(), "0.1.0") == 0);
    CHECK(strcmp(dl_status_name(DL_ERROR_NOT_FOUND), "DL_ERROR_NOT_FOUND") == 0);
    CHECK(strcmp(dl_status_name(DL_OK), "DL_OK") == 0 && strcmp(dl_status_name(77), "DL_ERROR_UNKNOWN") == 0);
    OK(dl_set_num_threads(3));
    CHECK(dl_get_num_threads() == 3);
    FAILS(dl_set_num_threads(-1), DL_ERROR_ARGUMENT, "-1");
    FAILS(dl_set_num_threads(1025), DL_ERROR_ARGUMENT, "1025");
    OK(dl_set_num_threads(threads));
    dl_set_winograd(0);
    CHECK(dl_get_winograd() == 0);
    dl_set_winograd(7);
    CHECK(dl_get_winograd() == 1);
    OK(dl_system_info(&text));
    CHECK(strstr(text, "\"version\"") != NULL && strstr(text, "\"kernels\"") != NULL);
    dl_text_free(text);
    for (i = 0; i < sizeof categories / sizeof *categories; i++) {
        char name[64], *end;
        OK(dl_list(&text, categories[i]));
        CHECK(text[0] == '[' && text[1] == '"');
        /* The first of them has a description. */
        snprintf(name, sizeof name, "%.60s", text + 2);
        dl_text_free(text);
        if ((end = strchr(name, '"')) != NULL) *end = 0;
        OK(dl_describe(&text, categories[i], name));
        CHECK(text != NULL && strstr(text, name) != NULL && strstr(text, "summary") != NULL);
        dl_text_free(text);
    }
    FAILS(dl_list(&text, "layers"), DL_ERROR_NOT_FOUND, "did you mean 'layer'");
    FAILS(dl_list(&text, NULL), DL_ERROR_ARGUMENT, "category");
    FAILS(dl_describe(&text, "layer", "Dens"), DL_ERROR_NOT_FOUND, "Dense");
    FAILS(dl_describe(&text, "layer", NULL), DL_ERROR_ARGUMENT, "name");
    CHECK(text == NULL);
    /* Success leaves the last failure alone. */
    OK(dl_system_info(&text));
    CHECK(dl_last_status() == DL_ERROR_ARGUMENT && dl_last_callback_status() == 0);
    dl_text_free(text);
}

static void tests(void)
{
    making();
    wrapping();
    initializing();
    parts();
    variables();
    limits();
    process();
}

int main(void) { return run_tests("test_tensor", tests); }
