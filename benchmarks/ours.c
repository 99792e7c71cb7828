/* libdl's side of the benchmarks that is written in C: a worker that speaks the protocol of protocol.md. Single
 * convolutions, one call of an operation each, and prediction with a model from a file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dl.h"

enum { MAXIMUM_CASES = 16, LINE = 4096, WORDS = 64, AXES = 3 };

typedef struct problem {
    int axes, sequence; /* a sequence is a picture of height 1 */
    long n, ic, oc, s, p, d, g;
    long input[AXES], kernel[AXES], output[AXES];
} problem;

/* Either an operation with two inputs, or a model with one. */
typedef struct prepared {
    char id[64];
    char operation[64];
    char attributes[512];
    dl_tensor *inputs[2];
    dl_model *model;
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

/* "conv2d n8 ih56 iw56 ..." into the struct; 0 where a word is unknown. */
static int read_problem(problem *out, char **words, int count)
{
    static const char *const kinds[] = {"conv1d", "conv2d", "conv3d"};
    static const char axes_of[] = "dhw";
    problem sizes = {0, 0, 0, 0, 0, 1, 0, 1, 1, {0}, {0}, {0}};
    int i, k;
    for (i = 0; i < AXES; i++)
        if (count > 0 && strcmp(words[0], kinds[i]) == 0)
            sizes.axes = i + 1;
    if (sizes.axes == 0)
        return 0;
    for (i = 1; i < count; i++) {
        const struct {
            const char *name;
            long *place;
        } names[] = {{"n", &sizes.n}, {"ic", &sizes.ic}, {"oc", &sizes.oc}, {"s", &sizes.s},
                     {"p", &sizes.p}, {"d", &sizes.d},   {"g", &sizes.g}};
        const size_t letters = strcspn(words[i], "0123456789");
        const long value = strtol(words[i] + letters, NULL, 10);
        int known = 0;
        for (k = 0; k < (int)(sizeof names / sizeof *names); k++)
            if (strlen(names[k].name) == letters && strncmp(names[k].name, words[i], letters) == 0) {
                *names[k].place = value;
                known = 1;
            }
        for (k = 0; !known && letters == 2 && k < sizes.axes; k++)
            if (words[i][1] == axes_of[AXES - sizes.axes + k] && (words[i][0] == 'i' || words[i][0] == 'k')) {
                (words[i][0] == 'i' ? sizes.input : sizes.kernel)[k] = value;
                known = 1;
            }
        if (!known)
            return 0;
    }
    if (sizes.n < 1 || sizes.ic < 1 || sizes.oc < 1 || sizes.s < 1 || sizes.p < 0 || sizes.d < 1 || sizes.g < 1)
        return 0;
    for (k = 0; k < sizes.axes; k++) {
        if (sizes.input[k] < 1 || sizes.kernel[k] < 1)
            return 0;
        sizes.output[k] = (sizes.input[k] + 2 * sizes.p - (sizes.kernel[k] - 1) * sizes.d - 1) / sizes.s + 1;
    }
    if (sizes.axes == 1) {
        sizes.axes = 2;
        sizes.sequence = 1;
        sizes.input[1] = sizes.input[0], sizes.kernel[1] = sizes.kernel[0], sizes.output[1] = sizes.output[0];
        sizes.input[0] = sizes.kernel[0] = sizes.output[0] = 1;
    }
    *out = sizes;
    return 1;
}

/* i mod `modulus`, centred on 0, of shape (first, axes..., last) or (axes..., before, last) where first is 0.
 * NULL after an error, which is then reported. */
static dl_tensor *ramp(long modulus, int axes, long first, const long *middle, long before, long last)
{
    int64_t shape[AXES + 2], count = 1, i;
    int32_t rank = 0;
    int k;
    dl_tensor *tensor = NULL;
    float *values;
    if (first)
        shape[rank++] = first;
    for (k = 0; k < axes; k++)
        shape[rank++] = middle[k];
    if (!first)
        shape[rank++] = before;
    shape[rank++] = last;
    for (k = 0; k < rank; k++)
        count *= shape[k];
    values = malloc((size_t)count * sizeof *values);
    if (!values) {
        fail("no memory");
        return NULL;
    }
    for (i = 0; i < count; i++)
        values[i] = (float)(i % modulus - modulus / 2);
    if (dl_tensor_create(&tensor, DL_FLOAT32, rank, shape, values) != DL_OK)
        fail_dl();
    free(values);
    return tensor;
}

/* "[3, 3]" */
static void write_list(char *out, size_t room, int count, const long *values, long same)
{
    size_t used = (size_t)snprintf(out, room, "[");
    int k;
    for (k = 0; k < count && used < room; k++)
        used += (size_t)snprintf(out + used, room - used, "%s%ld", k ? ", " : "", values ? values[k] : same);
    if (used < room)
        snprintf(out + used, room - used, "]");
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
    dl_model_release(item->model);
    memset(item, 0, sizeof *item);
}

/* words: PASS VARIANT PROBLEM... */
static int prepare_convolution(prepared *item, char **words, int count)
{
    problem sizes;
    char own[96] = "", strides[64], dilation[64], list[64], padding[64];
    const char *suffix = "";
    int i, kinds[2];
    if (count < 3 || !read_problem(&sizes, words + 2, count - 2))
        return fail("not a convolution");
    if (strcmp(words[0], "forward") == 0) {
        kinds[0] = 'x', kinds[1] = 'w';
    } else if (strcmp(words[0], "backward_data") == 0) {
        suffix = "_backward_data";
        kinds[0] = 'y', kinds[1] = 'w';
        write_list(list, sizeof list, sizes.axes, sizes.input, 0);
        snprintf(own, sizeof own, ", \"input_size\": %s", list);
    } else if (strcmp(words[0], "backward_weights") == 0) {
        suffix = "_backward_weights";
        kinds[0] = 'x', kinds[1] = 'y';
        write_list(list, sizeof list, sizes.axes, sizes.kernel, 0);
        snprintf(own, sizeof own, ", \"kernel_size\": %s", list);
    } else {
        return fail("no such direction");
    }
    snprintf(item->operation, sizeof item->operation, "%s%s", sizes.sequence ? "conv2d" : words[2], suffix);
    /* Volumes are padded by name; files have those sizes alone for which the names say the same. */
    if (sizes.axes == 3 && sizes.p > 0 && (sizes.s > 1 || 2 * sizes.p != (sizes.kernel[0] - 1) * sizes.d))
        return fail("a volume's padding must be 0 or keep its size");
    if (sizes.axes == 3)
        snprintf(padding, sizeof padding, "\"%s\"", sizes.p > 0 ? "same" : "valid");
    else if (sizes.sequence)
        snprintf(padding, sizeof padding, "[0, 0, %ld, %ld]", sizes.p, sizes.p);
    else
        snprintf(padding, sizeof padding, "%ld", sizes.p);
    write_list(strides, sizeof strides, sizes.axes, NULL, sizes.s);
    write_list(dilation, sizeof dilation, sizes.axes, NULL, sizes.d);
    snprintf(
        item->attributes, sizeof item->attributes,
        "{\"strides\": %s, \"padding\": %s, \"dilation_rate\": %s, \"groups\": %ld%s}", strides, padding, dilation, sizes.g,
        own);
    for (i = 0; i < 2; i++) {
        if (kinds[i] == 'x')
            item->inputs[i] = ramp(17, sizes.axes, sizes.n, sizes.input, 0, sizes.ic);
        else if (kinds[i] == 'w')
            item->inputs[i] = ramp(13, sizes.axes, 0, sizes.kernel, sizes.ic / sizes.g, sizes.oc);
        else
            item->inputs[i] = ramp(11, sizes.axes, sizes.n, sizes.output, 0, sizes.oc);
        if (!item->inputs[i])
            return 0;
    }
    return 1;
}

/* words: MODEL-FILE BATCH VARIANT FOLDER */
static int prepare_inference(prepared *item, char **words, int count)
{
    char path[LINE];
    dl_tensor *all = NULL;
    const dl_index rows = {DL_INDEX_RANGE, 0, 0, count == 4 ? strtol(words[1], NULL, 10) : 0, 1};
    dl_status status;
    if (count != 4)
        return fail("not an inference");
    snprintf(path, sizeof path, "%s/x.npy", words[3]);
    if (dl_model_load(&item->model, words[0]) != DL_OK || dl_tensor_load(&all, path) != DL_OK)
        return fail_dl();
    status = dl_tensor_index(&item->inputs[0], all, &rows, 1);
    dl_tensor_release(all);
    return status == DL_OK ? 1 : fail_dl();
}

/* words: ID KIND ... */
static int prepare(char **words, int count)
{
    prepared *item;
    int fine;
    if (count < 2 || strlen(words[0]) >= sizeof item->id)
        return fail("the name is missing or too long");
    if ((item = find(words[0])) != NULL)
        drop(item);
    if ((item = find("")) == NULL)
        return fail("too many cases");
    if (strcmp(words[1], "conv") == 0)
        fine = prepare_convolution(item, words + 2, count - 2);
    else if (strcmp(words[1], "infer") == 0)
        fine = prepare_inference(item, words + 2, count - 2);
    else
        fine = fail("no such kind");
    if (!fine) {
        drop(item);
        return 0;
    }
    strcpy(item->id, words[0]);
    printf("ok\n");
    return 1;
}

static dl_tensor *call(const prepared *item)
{
    dl_tensor *output = NULL;
    int32_t count = 0;
    int64_t shape[DL_MAX_RANK];
    if (!item->model) {
        if (dl_operation_apply(&output, 1, &count, item->operation, item->inputs, 2, item->attributes) != DL_OK)
            return NULL;
    } else if (
        dl_tensor_shape(&count, shape, item->inputs[0]) != DL_OK ||
        dl_model_predict(&output, 1, &count, item->model, item->inputs, 1, (int32_t)shape[0]) != DL_OK) {
        return NULL;
    }
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

/* The numbers of the result, or their checksum. */
static int tell(const prepared *item, int all)
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
    printf("ok");
    for (i = 0; i < size; i++) {
        const double value = ((const float *)data)[i];
        sum += value;
        absolute += value < 0 ? -value : value;
        weighted += value * (double)(i % 31 - 15);
        if (all)
            printf(" %.9g", value);
    }
    dl_tensor_release(output);
    if (!all)
        printf(" %.17g %.17g %.17g", sum, absolute, weighted);
    printf("\n");
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
        return tell(item, 0);
    } else if (strcmp(words[0], "outputs") == 0) {
        return tell(item, 1);
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
    int i;
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
    for (i = 0; i < MAXIMUM_CASES; i++)
        drop(&cases[i]);
    return 0;
}
