/* libdl's side of the single convolutions: a worker that speaks the protocol of protocol.md.
 * Each run is one call of an operation through the C interface. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dl.h"

enum { MAXIMUM_CASES = 16, LINE = 1024, WORDS = 64 };

typedef struct problem {
    long n, ih, iw, ic, oc, kh, kw, s, p, d, g;
} problem;

typedef struct prepared {
    char id[64];
    const char *operation;
    char attributes[256];
    dl_tensor *inputs[2];
} prepared;

static prepared cases[MAXIMUM_CASES];

static int fail(const char *text)
{
    printf("error %s\n", text);
    return 0;
}

static int fail_dl(void)
{
    return fail(dl_last_error());
}

/* "ih56" and so on into the struct; 0 where a word is unknown. */
static int read_problem(problem *out, char **words, int count)
{
    problem sizes = {0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 1};
    struct {
        const char *name;
        long *place;
    } const names[] = {
        {"n", &sizes.n}, {"ih", &sizes.ih}, {"iw", &sizes.iw}, {"ic", &sizes.ic}, {"oc", &sizes.oc}, {"kh", &sizes.kh},
        {"kw", &sizes.kw}, {"s", &sizes.s}, {"p", &sizes.p}, {"d", &sizes.d}, {"g", &sizes.g},
    };
    int i;
    if (count < 1 || strcmp(words[0], "conv2d") != 0)
        return 0;
    for (i = 1; i < count; i++) {
        const size_t letters = strcspn(words[i], "0123456789");
        size_t k, known = 0;
        for (k = 0; k < sizeof names / sizeof *names; k++)
            if (strlen(names[k].name) == letters && strncmp(names[k].name, words[i], letters) == 0) {
                *names[k].place = strtol(words[i] + letters, NULL, 10);
                known = 1;
            }
        if (!known)
            return 0;
    }
    *out = sizes;
    return sizes.n > 0 && sizes.ih > 0 && sizes.iw > 0 && sizes.ic > 0 && sizes.oc > 0 && sizes.kh > 0 && sizes.kw > 0 &&
           sizes.s > 0 && sizes.p >= 0 && sizes.d > 0 && sizes.g > 0;
}

static long output_size(long input, long kernel, const problem *sizes)
{
    return (input + 2 * sizes->p - (kernel - 1) * sizes->d - 1) / sizes->s + 1;
}

/* i mod `modulus`, centred on 0. NULL after an error, which is then reported. */
static dl_tensor *ramp(long modulus, long a, long b, long c, long d)
{
    const int64_t shape[4] = {a, b, c, d};
    const long count = a * b * c * d;
    dl_tensor *tensor = NULL;
    float *values = malloc((size_t)count * sizeof *values);
    long i;
    if (!values) {
        fail("no memory");
        return NULL;
    }
    for (i = 0; i < count; i++)
        values[i] = (float)(i % modulus - modulus / 2);
    if (dl_tensor_create(&tensor, DL_FLOAT32, 4, shape, values) != DL_OK)
        fail_dl();
    free(values);
    return tensor;
}

static prepared *find(const char *id)
{
    int i;
    for (i = 0; i < MAXIMUM_CASES; i++)
        if (strcmp(cases[i].id, id) == 0)
            return &cases[i];
    return NULL;
}

static void drop(prepared *item)
{
    dl_tensor_release(item->inputs[0]);
    dl_tensor_release(item->inputs[1]);
    memset(item, 0, sizeof *item);
}

/* words: ID conv PASS VARIANT PROBLEM... */
static int prepare(char **words, int count)
{
    problem sizes;
    prepared *item;
    char own[64] = "";
    long oh, ow;
    int first, second;
    if (count < 5 || strcmp(words[1], "conv") != 0 || !read_problem(&sizes, words + 4, count - 4))
        return fail("not a convolution");
    if (strlen(words[0]) >= sizeof item->id)
        return fail("the name is too long");
    if ((item = find(words[0])) != NULL)
        drop(item);
    if ((item = find("")) == NULL)
        return fail("too many cases");
    oh = output_size(sizes.ih, sizes.kh, &sizes);
    ow = output_size(sizes.iw, sizes.kw, &sizes);
    if (strcmp(words[2], "forward") == 0) {
        item->operation = "conv2d";
        first = 'x', second = 'w';
    } else if (strcmp(words[2], "backward_data") == 0) {
        item->operation = "conv2d_backward_data";
        first = 'y', second = 'w';
        snprintf(own, sizeof own, ", \"input_size\": [%ld, %ld]", sizes.ih, sizes.iw);
    } else if (strcmp(words[2], "backward_weights") == 0) {
        item->operation = "conv2d_backward_weights";
        first = 'x', second = 'y';
        snprintf(own, sizeof own, ", \"kernel_size\": [%ld, %ld]", sizes.kh, sizes.kw);
    } else {
        return fail("no such direction");
    }
    snprintf(
        item->attributes, sizeof item->attributes,
        "{\"strides\": [%ld, %ld], \"padding\": %ld, \"dilation_rate\": [%ld, %ld], \"groups\": %ld%s}", sizes.s, sizes.s,
        sizes.p, sizes.d, sizes.d, sizes.g, own);
    for (int i = 0; i < 2; i++) {
        const int kind = i == 0 ? first : second;
        if (kind == 'x')
            item->inputs[i] = ramp(17, sizes.n, sizes.ih, sizes.iw, sizes.ic);
        else if (kind == 'w')
            item->inputs[i] = ramp(13, sizes.kh, sizes.kw, sizes.ic / sizes.g, sizes.oc);
        else
            item->inputs[i] = ramp(11, sizes.n, oh, ow, sizes.oc);
        if (!item->inputs[i]) {
            drop(item);
            return 0;
        }
    }
    strcpy(item->id, words[0]);
    printf("ok\n");
    return 1;
}

static dl_tensor *call(const prepared *item)
{
    dl_tensor *output = NULL;
    int32_t count = 0;
    if (dl_operation_apply(&output, 1, &count, item->operation, item->inputs, 2, item->attributes) != DL_OK)
        return NULL;
    return output;
}

static int run(const prepared *item, long times)
{
    for (; times > 0; times--) {
        dl_tensor *output = call(item);
        if (!output)
            return fail_dl();
        dl_tensor_release(output);
    }
    printf("ok\n");
    return 1;
}

static int checksum(const prepared *item)
{
    double sum = 0, absolute = 0, weighted = 0;
    const void *data = NULL;
    int64_t size = 0, i;
    dl_tensor *output = call(item);
    if (!output)
        return fail_dl();
    if (dl_tensor_size(&size, output) != DL_OK || dl_tensor_data(&data, output) != DL_OK) {
        dl_tensor_release(output);
        return fail_dl();
    }
    for (i = 0; i < size; i++) {
        const double value = ((const float *)data)[i];
        sum += value;
        absolute += value < 0 ? -value : value;
        weighted += value * (double)(i % 31 - 15);
    }
    dl_tensor_release(output);
    printf("ok %.17g %.17g %.17g\n", sum, absolute, weighted);
    return 1;
}

static int answer(char **words, int count)
{
    prepared *item = count > 1 ? find(words[1]) : NULL;
    if (strcmp(words[0], "hello") == 0) {
        printf("ok dl %s\n", dl_version());
    } else if (strcmp(words[0], "threads") == 0 && count == 2) {
        if (dl_set_num_threads((int32_t)strtol(words[1], NULL, 10)) != DL_OK)
            return fail_dl();
        printf("ok\n");
    } else if (strcmp(words[0], "prepare") == 0) {
        return prepare(words + 1, count - 1);
    } else if (!item) {
        return fail("no such case or command");
    } else if (strcmp(words[0], "run") == 0 && count == 3) {
        return run(item, strtol(words[2], NULL, 10));
    } else if (strcmp(words[0], "checksum") == 0) {
        return checksum(item);
    } else if (strcmp(words[0], "drop") == 0) {
        drop(item);
        printf("ok\n");
    } else {
        return fail("no such command");
    }
    return 1;
}

int main(void)
{
    char line[LINE];
    while (fgets(line, sizeof line, stdin)) {
        char *words[WORDS];
        int count = 0;
        char *word = strtok(line, " \n");
        for (; word && count < WORDS; word = strtok(NULL, " \n"))
            words[count++] = word;
        if (count == 0 || strcmp(words[0], "quit") == 0)
            break;
        answer(words, count);
        fflush(stdout);
    }
    for (int i = 0; i < MAXIMUM_CASES; i++)
        drop(&cases[i]);
    return 0;
}
