/* dl_operation_apply: results, several outputs, attributes, symbolic tensors, and what must be refused. */
#include "check.h"

static void results(void)
{
    const float a[6] = {1, 2, 3, 4, 5, 6}, b[3] = {10, 20, 30};
    dl_tensor *x = floats(2, 3, a), *y = tensor_of(DL_FLOAT32, 1, 3, 0, 0, b), *z, *w, *pair[3] = {NULL, NULL, NULL};
    int32_t count = 0, rank = 0;
    int64_t shape[DL_MAX_RANK];
    z = apply("add", x, y, NULL);
    CHECK(at(z, 0) == 11 && at(z, 5) == 36);
    dl_tensor_release(z);
    z = apply("transpose", x, NULL, NULL);
    w = apply("matmul", x, z, NULL);
    CHECK(at(w, 0) == 14 && at(w, 1) == 32 && at(w, 3) == 77);
    dl_tensor_release(w);
    dl_tensor_release(z);
    z = apply("sum", x, NULL, "{\"axis\": 0, \"keepdims\": true}");
    OK(dl_tensor_shape(&rank, shape, z));
    CHECK(rank == 2 && shape[0] == 1 && at(z, 2) == 9);
    dl_tensor_release(z);

    OK(dl_operation_apply(pair, 3, &count, "split", &x, 1, "{\"indices_or_sections\": 3, \"axis\": 1}"));
    CHECK(count == 3 && at(pair[2], 1) == 6);
    for (count = 0; count < 3; count++) {
        dl_tensor_release(pair[count]);
        pair[count] = NULL;
    }
    FAILS(dl_operation_apply(pair, 2, &count, "split", &x, 1, "{\"indices_or_sections\": 3, \"axis\": 1}"), DL_ERROR_ARGUMENT,
          "capacity");
    CHECK(count == 0 && pair[0] == NULL && pair[1] == NULL);
    dl_tensor_release(x);
    dl_tensor_release(y);
}

static void symbolic(void)
{
    const int64_t shape[2] = {-1, 3};
    int64_t sizes[DL_MAX_RANK], size;
    int32_t rank, kind;
    const void *data = NULL;
    char *text = NULL;
    dl_tensor *x = NULL, *y;
    OK(dl_input(&x, 2, shape, DL_FLOAT32, "words"));
    y = apply("exp", x, NULL, NULL);
    OK(dl_tensor_kind(&kind, y));
    OK(dl_tensor_shape(&rank, sizes, y));
    CHECK(kind == DL_KIND_SYMBOLIC && rank == 3 && sizes[0] == -1 && sizes[1] == -1 && sizes[2] == 3);
    FAILS(dl_tensor_data(&data, y), DL_ERROR_STATE, "symbolic");
    FAILS(dl_tensor_size(&size, y), DL_ERROR_STATE, "symbolic");
    OK(dl_tensor_text(&text, y));
    CHECK(strstr(text, "symbolic") != NULL);
    dl_text_free(text);
    dl_tensor_release(x);
    dl_tensor_release(y);
}

static void refused(void)
{
    dl_tensor *x = floats(2, 3, NULL), *y = floats(2, 4, NULL), *i = tensor_of(DL_INT32, 1, 1, 0, 0, NULL), *out = NULL, *two[2];
    int32_t count = 0, far = 5;
    dl_tensor *index = tensor_of(DL_INT32, 1, 1, 0, 0, &far);
    two[0] = x, two[1] = y;
    FAILS(dl_operation_apply(&out, 1, &count, "add", two, 2, NULL), DL_ERROR_SHAPE, "(2, 4)");
    FAILS(dl_operation_apply(&out, 1, &count, "matmul", two, 2, NULL), DL_ERROR_SHAPE, "(2, 4)");
    FAILS(dl_operation_apply(&out, 1, &count, "ad", two, 2, NULL), DL_ERROR_NOT_FOUND, "did you mean");
    FAILS(dl_operation_apply(&out, 1, &count, NULL, two, 2, NULL), DL_ERROR_ARGUMENT, "name");
    FAILS(dl_operation_apply(&out, 1, &count, "add", NULL, 2, NULL), DL_ERROR_ARGUMENT, "inputs");
    FAILS(dl_operation_apply(&out, 1, &count, "add", two, -1, NULL), DL_ERROR_ARGUMENT, "-1");
    FAILS(dl_operation_apply(&out, 1, &count, "add", two, 1, NULL), DL_ERROR_ARGUMENT, "add");
    FAILS(dl_operation_apply(&out, 1, &count, "sum", two, 1, "{\"axis\": 2}"), DL_ERROR_RANGE, "2");
    FAILS(dl_operation_apply(&out, 1, &count, "sum", two, 1, "{\"axes\": 1}"), DL_ERROR_ARGUMENT, "did you mean");
    FAILS(dl_operation_apply(&out, 1, &count, "sum", two, 1, "{\"axis\": \"one\"}"), DL_ERROR_ARGUMENT, "axis");
    FAILS(dl_operation_apply(&out, 1, &count, "sum", two, 1, "{\"axis\": "), DL_ERROR_ARGUMENT, "JSON");
    FAILS(dl_operation_apply(&out, 1, &count, "reshape", two, 1, "{\"newshape\": [4, -1]}"), DL_ERROR_SHAPE, "6");
    two[1] = index;
    FAILS(dl_operation_apply(&out, 1, &count, "take", two, 2, "{\"axis\": 0}"), DL_ERROR_RANGE, "5");
    two[1] = NULL;
    FAILS(dl_operation_apply(&out, 1, &count, "add", two, 2, NULL), DL_ERROR_HANDLE, "inputs[1]");
    FAILS(dl_operation_apply(NULL, 1, &count, "exp", two, 1, NULL), DL_ERROR_ARGUMENT, "outputs");
    FAILS(dl_operation_apply(&out, 0, &count, "exp", two, 1, NULL), DL_ERROR_ARGUMENT, "capacity");
    CHECK(out == NULL && count == 0);
    /* count may be NULL. */
    OK(dl_operation_apply(&out, 1, NULL, "exp", two, 1, NULL));
    CHECK(at(out, 0) == 1);
    dl_tensor_release(out);
    dl_tensor_release(x);
    dl_tensor_release(y);
    dl_tensor_release(i);
    dl_tensor_release(index);
}

static void tests(void)
{
    results();
    symbolic();
    refused();
}

int main(void) { return run_tests("test_operations", tests); }
