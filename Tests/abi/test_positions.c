/* Positions count from 0 in C: what operations give and take. */
#include "check.h"

static dl_tensor *ints(int64_t count, const int32_t *numbers) { return tensor_of(DL_INT32, 1, count, 0, 0, numbers); }

static int32_t whole(const dl_tensor *tensor, int64_t place)
{
    const void *data = NULL;
    OK(dl_tensor_data(&data, tensor));
    return data == NULL ? -99 : ((const int32_t *)data)[place];
}

/* The numbers of an int32 result. */
static void gives(const char *name, dl_tensor *a, dl_tensor *b, const char *attributes, int32_t first, int32_t second)
{
    dl_tensor *out = apply(name, a, b, attributes);
    if (whole(out, 0) != first || whole(out, 1) != second) {
        failures++;
        printf("%s: %d, %d\n", name, (int)whole(out, 0), (int)whole(out, 1));
    }
    dl_tensor_release(out);
}

static void tests(void)
{
    const float numbers[6] = {3, 1, 2, 0, 5, 4}, row[3] = {10, 20, 30}, asked[2] = {5, 99}, spikes[4] = {7, 0, 9, 0};
    const int32_t places[2] = {2, 0}, beyond = 3;
    dl_tensor *x = floats(2, 3, numbers), *r = tensor_of(DL_FLOAT32, 1, 3, 0, 0, row), *v = tensor_of(DL_FLOAT32, 1, 2, 0, 0, asked),
              *s = tensor_of(DL_FLOAT32, 1, 4, 0, 0, spikes), *p = ints(2, places), *far = ints(1, &beyond), *out = NULL, *two[2],
              *pair[2] = {NULL, NULL};
    int32_t count = 0;
    gives("argmax", x, NULL, "{\"axis\": 1}", 0, 1);
    gives("argmin", x, NULL, "{\"axis\": 1}", 1, 0);
    gives("argsort", x, NULL, "{\"axis\": 1}", 1, 2);
    gives("argpartition", x, NULL, "{\"kth\": 0}", 1, 2);
    gives("searchsorted", r, v, NULL, 0, 3);
    gives("digitize", v, r, NULL, 0, 3);
    gives("nonzero", s, NULL, NULL, 0, 2);
    OK(dl_operation_apply(pair, 2, &count, "top_k", &x, 1, "{\"k\": 1}"));
    CHECK(whole(pair[1], 0) == 0 && whole(pair[1], 1) == 1);
    dl_tensor_release(pair[0]);
    dl_tensor_release(pair[1]);
    out = apply("take", x, p, "{\"axis\": 1}");
    CHECK(at(out, 0) == 2 && at(out, 1) == 3);
    dl_tensor_release(out);
    out = apply("one_hot", p, NULL, "{\"num_classes\": 3}");
    CHECK(at(out, 2) == 1 && at(out, 3) == 1);
    dl_tensor_release(out);
    out = apply("slice", x, NULL, "{\"start_indices\": [1, 0], \"shape\": [1, 2]}");
    CHECK(at(out, 0) == 0 && at(out, 1) == 5);
    dl_tensor_release(out);
    out = apply("sum", x, NULL, "{\"axis\": 0}");
    CHECK(at(out, 0) == 3 && at(out, 2) == 6);
    dl_tensor_release(out);
    out = NULL;
    two[0] = x, two[1] = far;
    FAILS(dl_operation_apply(&out, 1, &count, "take", two, 2, "{\"axis\": 1}"), DL_ERROR_RANGE, "3");
    FAILS(dl_operation_apply(&out, 1, &count, "argmax", two, 1, "{\"axis\": 2}"), DL_ERROR_RANGE, "axis 2");
    FAILS(dl_operation_apply(&out, 1, &count, "argpartition", two, 1, "{\"kth\": 3}"), DL_ERROR_RANGE, "kth");
    CHECK(out == NULL);
    dl_tensor_release(x);
    dl_tensor_release(r);
    dl_tensor_release(v);
    dl_tensor_release(s);
    dl_tensor_release(p);
    dl_tensor_release(far);
}

int main(void) { return run_tests("test_positions", tests); }
