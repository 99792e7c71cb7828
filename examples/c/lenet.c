/* LeNet-5 on Fashion-MNIST through the C interface alone: build, train, measure, save, load, predict.
 *
 *     cc lenet.c $(pkg-config --cflags --libs libdl) -o lenet && ./lenet [epochs] [file]
 *
 * Without the data set (Debian: dataset-fashion-mnist) it trains on small generated pictures. With DL_EXAMPLE_QUICK in
 * the environment it trains for one epoch on a part of the data. */
#include <dl.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Every call that can fail goes through here; what went wrong is one line. */
#define CHECK(call)                                                                    \
    do {                                                                               \
        if ((call) != DL_OK) {                                                         \
            fprintf(stderr, "%s: %s\n", dl_status_name(dl_last_status()), dl_last_error()); \
            goto done;                                                                 \
        }                                                                              \
    } while (0)

static const struct {
    const char *class_name, *config;
} layers[] = {
    {"InputLayer", "{\"shape\": [28, 28, 1]}"},
    {"Conv2D", "{\"filters\": 6, \"kernel_size\": 5, \"padding\": \"same\", \"activation\": \"relu\", \"name\": \"C1\"}"},
    {"MaxPooling2D", "{\"name\": \"S2\"}"},
    {"Conv2D", "{\"filters\": 16, \"kernel_size\": 5, \"activation\": \"relu\", \"name\": \"C3\"}"},
    {"MaxPooling2D", "{\"name\": \"S4\"}"},
    {"Flatten", NULL},
    {"Dense", "{\"units\": 120, \"activation\": \"relu\", \"name\": \"C5\"}"},
    {"Dense", "{\"units\": 84, \"activation\": \"relu\", \"name\": \"F6\"}"},
    {"Dense", "{\"units\": 10, \"activation\": \"softmax\", \"name\": \"output\"}"},
};

/* Prints one line for each epoch. */
static int32_t on_event(const dl_event *event, void *payload)
{
    (void)payload;
    if (event->kind != DL_EVENT_EPOCH_END) return 0;
    printf("epoch %d/%d", (int)event->epoch + 1, (int)event->epochs);
    for (int32_t i = 0; i < event->log_count; i++) printf("  %s %.4f", event->log_names[i], event->log_values[i]);
    printf("\n");
    fflush(stdout);
    return 0;
}

/* uint8 pictures (n, 28, 28) as float32 (n, 28, 28, 1) between 0 and 1. */
static dl_status pictures(dl_tensor **out, dl_tensor *raw)
{
    dl_tensor *as_float = NULL, *scale = NULL, *scaled = NULL;
    const float factor = 1.0f / 255.0f;
    int32_t count;
    dl_status status = dl_tensor_create(&scale, DL_FLOAT32, 0, NULL, &factor);
    if (status == DL_OK) status = dl_operation_apply(&as_float, 1, &count, "cast", &raw, 1, "{\"dtype\": \"float32\"}");
    if (status == DL_OK) {
        dl_tensor *factors[2] = {as_float, scale};
        status = dl_operation_apply(&scaled, 1, &count, "multiply", factors, 2, NULL);
    }
    if (status == DL_OK) status = dl_operation_apply(out, 1, &count, "reshape", &scaled, 1, "{\"newshape\": [-1, 28, 28, 1]}");
    dl_tensor_release(scale);
    dl_tensor_release(as_float);
    dl_tensor_release(scaled);
    return status;
}

/* The first `count` of the samples take the place of all. */
static dl_status take(dl_tensor **tensor, int64_t count)
{
    dl_tensor *part = NULL;
    const dl_index first = {DL_INDEX_RANGE, DL_INDEX_NO_START, 0, count, 1};
    const dl_status status = dl_tensor_index(&part, *tensor, &first, 1);
    if (status != DL_OK) return status;
    dl_tensor_release(*tensor);
    *tensor = part;
    return DL_OK;
}

int main(int argc, char **argv)
{
    int result = EXIT_FAILURE;
    dl_tensor *raw[4] = {NULL, NULL, NULL, NULL}, *x_train = NULL, *x_test = NULL, *some = NULL, *predicted = NULL;
    dl_model *model = NULL, *loaded = NULL;
    char *summary = NULL;
    const char *path = argc > 2 ? argv[2] : "lenet.safetensors";
    const int quick = getenv("DL_EXAMPLE_QUICK") != NULL;

    if (dl_dataset_load(raw, NULL, "fashion_mnist", NULL) != DL_OK) {
        fprintf(stderr, "%s\ntraining on generated pictures instead\n", dl_last_error());
        CHECK(dl_dataset_load(raw, NULL, "shapes", NULL));
    }
    if (quick) {
        for (int i = 0; i < 4; i++) CHECK(take(&raw[i], i < 2 ? 2000 : 500));
    }
    CHECK(pictures(&x_train, raw[0]));
    CHECK(pictures(&x_test, raw[2]));

    dl_set_random_seed(1);
    CHECK(dl_sequential_create(&model, "lenet"));
    for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++) {
        dl_layer *layer = NULL;
        CHECK(dl_layer_create(&layer, layers[i].class_name, layers[i].config));
        dl_status status = dl_sequential_add(model, layer);
        dl_layer_release(layer);
        CHECK(status);
    }
    CHECK(dl_model_summary(&summary, model, 0));
    printf("%s", summary);

    dl_compile_options compile = DL_COMPILE_OPTIONS_INIT;
    compile.optimizer = "{\"class_name\": \"Adam\", \"config\": {\"learning_rate\": 0.001}}";
    compile.loss = "sparse_categorical_crossentropy";
    compile.metrics = "[\"accuracy\"]";
    CHECK(dl_model_compile(model, &compile));

    dl_data train = DL_DATA_INIT, test = DL_DATA_INIT;
    train.x_count = train.y_count = test.x_count = test.y_count = 1;
    train.x = &x_train;
    train.y = &raw[1];
    test.x = &x_test;
    test.y = &raw[3];
    dl_fit_options fit = DL_FIT_OPTIONS_INIT;
    fit.epochs = argc > 1 ? atoi(argv[1]) : quick ? 1 : 5;
    fit.batch_size = 64;
    fit.validation_data = &test;
    fit.on_event = on_event;
    CHECK(dl_model_fit(NULL, model, &train, &fit));

    CHECK(dl_model_save(model, path, 1));
    CHECK(dl_model_load(&loaded, path));
    double values[2];
    int32_t count;
    CHECK(dl_model_evaluate(values, 2, &count, loaded, &test, 256));
    printf("loaded from %s: loss %.4f, accuracy %.4f\n", path, values[0], values[1]);

    dl_index first = {DL_INDEX_RANGE, DL_INDEX_NO_START, 0, 1, 1};
    CHECK(dl_tensor_index(&some, x_test, &first, 1));
    CHECK(dl_model_predict(&predicted, 1, &count, loaded, &some, 1, 0));
    float probabilities[10];
    CHECK(dl_tensor_read(probabilities, (int64_t)sizeof probabilities, predicted));
    int best = 0;
    for (int i = 1; i < 10; i++) {
        if (probabilities[i] > probabilities[best]) best = i;
    }
    printf("first test picture: class %d with probability %.3f\n", best, probabilities[best]);
    result = EXIT_SUCCESS;

done:
    for (int i = 0; i < 4; i++) dl_tensor_release(raw[i]);
    dl_tensor_release(x_train);
    dl_tensor_release(x_test);
    dl_tensor_release(some);
    dl_tensor_release(predicted);
    dl_model_release(model);
    dl_model_release(loaded);
    dl_text_free(summary);
    return result;
}
