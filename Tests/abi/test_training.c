/* Compiling, fitting, measuring and predicting; after every failure the weights are what they were, bit for bit. */
#include "check.h"
#include <math.h>
#include <pthread.h>

static dl_tensor *inputs, *targets;

static dl_data of(dl_tensor **x, dl_tensor **y)
{
    dl_data data = DL_DATA_INIT;
    data.x_count = data.y_count = 1;
    data.x = x;
    data.y = y;
    return data;
}

typedef struct {
    int kinds[9];
    int stop_after, fail_after, batches;
    double last;
} watcher;

static int32_t watch(const dl_event *event, void *payload)
{
    watcher *self = (watcher *)payload;
    if (event->kind < 1 || event->kind > 8) return 99;
    self->kinds[event->kind]++;
    if (event->log_count > 0 && strcmp(event->log_names[0], "loss") == 0) self->last = event->log_values[0];
    if (event->kind == DL_EVENT_BATCH_END) {
        self->batches++;
        if (self->batches == self->stop_after) return DL_STOP;
        if (self->batches == self->fail_after) return 44;
    }
    return 0;
}

static void fitting(void)
{
    dl_model *model = classifier(1), *other = classifier(1);
    dl_data data = of(&inputs, &targets);
    dl_fit_options options = DL_FIT_OPTIONS_INIT;
    watcher seen;
    char *history = NULL;
    double values[4], after[4];
    int32_t count = 0;
    char *names = NULL;
    dl_fit *fit = NULL;
    dl_event event;
    int events = 0;
    compile_classifier(model, "{\"class_name\": \"Adam\", \"config\": {\"learning_rate\": 0.02}}");
    compile_classifier(other, "{\"class_name\": \"Adam\", \"config\": {\"learning_rate\": 0.02}}");
    OK(dl_model_metrics_names(&names, model));
    CHECK(strcmp(names, "[\"loss\"]") == 0);
    dl_text_free(names);
    OK(dl_model_evaluate(values, 4, &count, model, &data, 5));
    CHECK(count == 2);
    OK(dl_model_metrics_names(&names, model));
    CHECK(strcmp(names, "[\"loss\",\"accuracy\"]") == 0);
    dl_text_free(names);
    memset(&seen, 0, sizeof seen);
    options.epochs = 3;
    options.batch_size = 8;
    options.validation_split = 0.25;
    options.on_event = watch;
    options.payload = &seen;
    dl_set_random_seed(9);
    OK(dl_model_fit(&history, model, &data, &options));
    CHECK(strstr(history, "\"val_accuracy\"") != NULL && strstr(history, "\"epoch\":[0,1,2]") != NULL);
    dl_text_free(history);
    CHECK(seen.kinds[DL_EVENT_TRAIN_BEGIN] == 1 && seen.kinds[DL_EVENT_TRAIN_END] == 1 && seen.kinds[DL_EVENT_EPOCH_END] == 3);
    CHECK(seen.kinds[DL_EVENT_BATCH_END] == 9 && seen.kinds[DL_EVENT_TEST_END] == 3);
    OK(dl_model_evaluate(after, 4, &count, model, &data, 0));
    CHECK(after[0] < values[0]);

    /* The same run, event by event. */
    dl_set_random_seed(9);
    OK(dl_fit_create(&fit, other, &data, &options));
    do {
        OK(dl_fit_next(&event, fit));
        events++;
    } while (event.kind != 0 && events < 1000);
    OK(dl_fit_history(&history, fit));
    CHECK(strstr(history, "\"loss\"") != NULL);
    dl_text_free(history);
    dl_fit_release(fit);
    CHECK(same_weights(model, other));

    memset(&seen, 0, sizeof seen);
    seen.stop_after = 2;
    OK(dl_model_fit(NULL, model, &data, &options));
    CHECK(seen.batches == 2 && seen.kinds[DL_EVENT_TRAIN_END] == 1);
    memset(&seen, 0, sizeof seen);
    seen.fail_after = 1;
    FAILS(dl_model_fit(&history, model, &data, &options), DL_ERROR_CALLBACK, "fit");
    CHECK(dl_last_callback_status() == 44 && history == NULL);
    OK(dl_fit_create(&fit, other, &data, &options));
    OK(dl_fit_next(&event, fit));
    CHECK(event.kind == DL_EVENT_TRAIN_BEGIN);
    OK(dl_fit_stop(fit));
    dl_fit_release(fit);

    /* Validation on data of its own, weights of classes and samples, callbacks by name. */
    {
        const double classes[3] = {1, 0, 2};
        dl_tensor *weight = tensor_of(DL_FLOAT32, 1, 32, 0, 0, NULL), *one = scalar(1);
        dl_data validation = of(&inputs, &targets);
        size_t bytes;
        unsigned char *before = weights_of(model, &bytes), *now;
        memset(&options, 0, sizeof options);
        options.version = 1;
        options.class_weight = classes;
        options.class_weight_count = 3;
        options.validation_data = &validation;
        options.callbacks = "[{\"class_name\": \"EarlyStopping\", \"config\": {\"monitor\": \"val_loss\", \"patience\": 1}}]";
        OK(dl_model_fit(NULL, model, &data, &options));
        now = weights_of(model, &bytes);
        CHECK(memcmp(before, now, bytes) != 0);
        free(before);
        /* Nothing weighs anything with SGD: nothing moves. */
        compile_classifier(model, "sgd");
        data.weight_count = 1;
        data.sample_weight = &weight;
        OK(dl_model_fit(NULL, model, &data, NULL));
        before = weights_of(model, &bytes);
        CHECK(memcmp(before, now, bytes) == 0);
        OK(dl_tensor_index_assign(weight, NULL, 0, one));
        OK(dl_model_evaluate(values, 4, &count, model, &data, 0));
        data.weight_count = 0;
        OK(dl_model_evaluate(after, 4, &count, model, &data, 0));
        CHECK(fabs(values[0] - after[0]) < 1e-6);
        free(before);
        free(now);
        dl_tensor_release(weight);
        dl_tensor_release(one);
    }
    dl_model_release(model);
    dl_model_release(other);
}

static void batches(void)
{
    dl_model *model = classifier(2), *eager = classifier(2);
    dl_data data = of(&inputs, &targets);
    dl_compile_options compile = DL_COMPILE_OPTIONS_INIT;
    dl_optimizer *optimizer = NULL, *same = NULL;
    double first[2], second[2], classes[3] = {1, 1, 1};
    int32_t count;
    int64_t iterations = 0;
    int i;
    OK(dl_optimizer_create(&optimizer, "SGD", "{\"learning_rate\": 0.1, \"momentum\": 0.9}"));
    compile.optimizer_object = optimizer;
    compile.loss = "sparse_categorical_crossentropy";
    compile.metrics = "[\"accuracy\"]";
    OK(dl_model_compile(model, &compile));
    compile.optimizer_object = NULL;
    compile.optimizer = "{\"class_name\": \"SGD\", \"config\": {\"learning_rate\": 0.1, \"momentum\": 0.9}}";
    compile.run_eagerly = 1;
    OK(dl_model_compile(eager, &compile));
    for (i = 0; i < 4; i++) {
        OK(dl_model_train_on_batch(first, 2, &count, model, &data, NULL, 0));
        OK(dl_model_train_on_batch(second, 2, &count, eager, &data, classes, 3));
        CHECK(count == 2 && fabs(first[0] - second[0]) < 1e-5);
    }
    OK(dl_model_test_on_batch(first, 2, &count, model, &data));
    OK(dl_model_test_on_batch(second, 2, &count, eager, &data));
    CHECK(fabs(first[0] - second[0]) < 1e-5 && first[1] == second[1]);
    OK(dl_model_optimizer(&same, model));
    OK(dl_optimizer_iterations(&iterations, same));
    CHECK(iterations == 4);
    FAILS(dl_model_test_on_batch(first, 1, &count, model, &data), DL_ERROR_ARGUMENT, "capacity");
    dl_optimizer_release(same);
    dl_optimizer_release(optimizer);
    dl_model_release(model);
    dl_model_release(eager);
}

static int32_t absolute(dl_tensor **out, dl_tensor *y_true, dl_tensor *y_pred, void *payload)
{
    dl_tensor *two[2], *difference = NULL;
    int32_t count;
    dl_status status;
    if (*(int *)payload != 0) return *(int *)payload;
    two[0] = y_true, two[1] = y_pred;
    status = dl_operation_apply(&difference, 1, &count, "subtract", two, 2, NULL);
    if (status == DL_OK) status = dl_operation_apply(out, 1, &count, "abs", &difference, 1, NULL);
    dl_tensor_release(difference);
    return status;
}

static void objects(void)
{
    dl_model *model = NULL, *plain = NULL;
    dl_tensor *y = noise(32, 3, 8);
    dl_data data = of(&inputs, &y);
    dl_loss *loss = NULL;
    dl_metric *metric = NULL;
    dl_compile_options compile = DL_COMPILE_OPTIONS_INIT;
    double values[2], expected[2];
    int32_t count;
    int failing = 0;
    model = classifier(3);
    plain = classifier(3);
    OK(dl_loss_create_custom(&loss, "absolute", absolute, NULL, &failing));
    OK(dl_metric_create_custom(&metric, "distance", absolute, NULL, &failing));
    compile.loss = "{\"handle\": 0}";
    compile.losses = &loss;
    compile.loss_count = 1;
    compile.metrics = "[{\"handle\": 0}]";
    compile.metric_objects = &metric;
    compile.metric_count = 1;
    OK(dl_model_compile(model, &compile));
    OK(dl_model_fit(NULL, model, &data, NULL));
    compile.loss = "mae";
    compile.metrics = "[\"mae\"]";
    OK(dl_model_compile(plain, &compile));
    OK(dl_model_evaluate(values, 2, &count, model, &data, 0));
    CHECK(count == 2 && fabs(values[0] - values[1]) < 1e-5);
    OK(dl_model_evaluate(expected, 2, &count, plain, &data, 0));
    CHECK(values[0] < expected[0]);

    compile.loss = "{\"handle\": 1}";
    FAILS(dl_model_compile(model, &compile), DL_ERROR_RANGE, "1");
    /* A loss that fails says so, and the model is as it was. */
    {
        size_t bytes;
        unsigned char *before, *after;
        compile.loss = "{\"handle\": 0}";
        compile.metrics = NULL;
        OK(dl_model_compile(model, &compile));
        before = weights_of(model, &bytes);
        failing = 31;
        FAILS(dl_model_fit(NULL, model, &data, NULL), DL_ERROR_CALLBACK, "absolute");
        CHECK(dl_last_callback_status() == 31);
        after = weights_of(model, &bytes);
        CHECK(memcmp(before, after, bytes) == 0);
        free(before);
        free(after);
    }
    dl_loss_release(loss);
    dl_metric_release(metric);
    dl_tensor_release(y);
    dl_model_release(model);
    dl_model_release(plain);
}

static void refused(void)
{
    dl_model *model = classifier(4), *untouched = classifier(4);
    dl_data data = of(&inputs, &targets), bad = data;
    dl_fit_options options = DL_FIT_OPTIONS_INIT;
    dl_compile_options compile = DL_COMPILE_OPTIONS_INIT;
    dl_tensor *empty = floats(0, 4, NULL), *none = tensor_of(DL_INT32, 1, 0, 0, 0, NULL), *narrow = noise(32, 3, 1),
              *few = labels(31, 3), *beyond = labels(32, 5), *two[2], *nan;
    double values[2], negative[3] = {1, -1, 1};
    char *names = NULL;
    int32_t count;
    dl_optimizer *optimizer = NULL;
    float not_a_number = NAN;
    FAILS(dl_model_fit(NULL, model, &data, NULL), DL_ERROR_STATE, "compile");
    FAILS(dl_model_metrics_names(&names, model), DL_ERROR_STATE, "compile");
    FAILS(dl_model_optimizer(&optimizer, model), DL_ERROR_STATE, "compile");
    FAILS(dl_model_evaluate(values, 2, &count, model, &data, 0), DL_ERROR_STATE, "compile");
    compile.loss = "sparse_categorical_crossentropi";
    FAILS(dl_model_compile(model, &compile), DL_ERROR_NOT_FOUND, "did you mean");
    compile.loss = "mse";
    compile.optimizer = "adma";
    FAILS(dl_model_compile(model, &compile), DL_ERROR_NOT_FOUND, "did you mean");
    compile.optimizer = NULL;
    compile.label_base = 2;
    FAILS(dl_model_compile(model, &compile), DL_ERROR_ARGUMENT, "label_base");
    compile.version = 5;
    FAILS(dl_model_compile(model, &compile), DL_ERROR_ARGUMENT, "version");
    compile_classifier(model, "adam");
    compile_classifier(untouched, "adam");

    two[0] = two[1] = inputs;
    bad.x = two, bad.x_count = 2;
    FAILS(dl_model_fit(NULL, model, &bad, NULL), DL_ERROR_ARGUMENT, "2");
    bad = of(&inputs, &few);
    FAILS(dl_model_fit(NULL, model, &bad, NULL), DL_ERROR_SHAPE, "31");
    bad = of(&narrow, &targets);
    FAILS(dl_model_fit(NULL, model, &bad, NULL), DL_ERROR_SHAPE, "(32, 3)");
    bad = of(&empty, &none);
    FAILS(dl_model_fit(NULL, model, &bad, NULL), DL_ERROR_ARGUMENT, "");
    bad = of(&inputs, &beyond);
    FAILS(dl_model_fit(NULL, model, &bad, NULL), DL_ERROR_RANGE, "3");
    FAILS(dl_model_train_on_batch(values, 2, &count, model, &bad, NULL, 0), DL_ERROR_RANGE, "3");
    FAILS(dl_model_evaluate(values, 2, &count, model, &bad, 0), DL_ERROR_RANGE, "3");
    bad = data;
    bad.version = 0;
    FAILS(dl_model_fit(NULL, model, &bad, NULL), DL_ERROR_ARGUMENT, "version");
    bad = data;
    bad.y_count = 0;
    FAILS(dl_model_fit(NULL, model, &bad, NULL), DL_ERROR_ARGUMENT, "");
    FAILS(dl_model_fit(NULL, model, NULL, NULL), DL_ERROR_ARGUMENT, "data");
    options.batch_size = -1;
    FAILS(dl_model_fit(NULL, model, &data, &options), DL_ERROR_ARGUMENT, "-1");
    options.batch_size = 0;
    options.epochs = -4;
    FAILS(dl_model_fit(NULL, model, &data, &options), DL_ERROR_ARGUMENT, "-4");
    options.epochs = 0;
    options.validation_split = 1.5;
    FAILS(dl_model_fit(NULL, model, &data, &options), DL_ERROR_ARGUMENT, "1.5");
    options.validation_split = NAN;
    FAILS(dl_model_fit(NULL, model, &data, &options), DL_ERROR_ARGUMENT, "validation_split");
    options.validation_split = 0;
    options.class_weight = negative;
    options.class_weight_count = 3;
    FAILS(dl_model_fit(NULL, model, &data, &options), DL_ERROR_ARGUMENT, "class");
    options.class_weight = NULL;
    options.callbacks = "[{\"class_name\": \"EarlyStoping\"}]";
    FAILS(dl_model_fit(NULL, model, &data, &options), DL_ERROR_NOT_FOUND, "EarlyStopping");
    options.callbacks = NULL;
    options.version = 0;
    FAILS(dl_model_fit(NULL, model, &data, &options), DL_ERROR_ARGUMENT, "version");
    CHECK(same_weights(model, untouched));

    /* NaN is no error: the loss is NaN, and a callback ends the run. */
    {
        dl_index first = {DL_INDEX_AT, 0, 0, 0, 0};
        dl_tensor *value = scalar(not_a_number);
        watcher seen;
        nan = noise(32, 4, 1);
        OK(dl_tensor_index_assign(nan, &first, 1, value));
        bad = of(&nan, &targets);
        memset(&options, 0, sizeof options);
        memset(&seen, 0, sizeof seen);
        options.version = 1;
        options.epochs = 50;
        options.callbacks = "[{\"class_name\": \"TerminateOnNaN\", \"config\": {}}]";
        options.on_event = watch;
        options.payload = &seen;
        OK(dl_model_fit(NULL, model, &bad, &options));
        CHECK(seen.batches == 1);
        dl_tensor_release(value);
    }
    dl_tensor_release(empty);
    dl_tensor_release(none);
    dl_tensor_release(narrow);
    dl_tensor_release(few);
    dl_tensor_release(beyond);
    dl_tensor_release(nan);
    dl_model_release(model);
    dl_model_release(untouched);
}

static dl_model *shared;
static dl_tensor *expected;

static void *predict_often(void *payload)
{
    intptr_t bad = 0;
    int i;
    for (i = 0; i < 10; i++) {
        dl_tensor *out = NULL;
        int32_t count;
        const void *a = NULL, *b = NULL;
        if (dl_model_predict(&out, 1, &count, shared, &inputs, 1, 1 + i) != DL_OK || dl_tensor_data(&a, out) != DL_OK
            || dl_tensor_data(&b, expected) != DL_OK || memcmp(a, b, 32 * 3 * 4) != 0)
            bad++;
        dl_tensor_release(out);
    }
    (void)payload;
    return (void *)bad;
}

static void threads(void)
{
    pthread_t all[4];
    int32_t count;
    int i;
    shared = classifier(5);
    OK(dl_model_predict(&expected, 1, &count, shared, &inputs, 1, 0));
    for (i = 0; i < 4; i++) CHECK(pthread_create(&all[i], NULL, predict_often, NULL) == 0);
    for (i = 0; i < 4; i++) {
        void *bad = NULL;
        pthread_join(all[i], &bad);
        CHECK(bad == NULL);
    }
    dl_tensor_release(expected);
    dl_model_release(shared);
}

static void tests(void)
{
    inputs = noise(32, 4, 1);
    targets = labels(32, 3);
    fitting();
    batches();
    objects();
    refused();
    threads();
    dl_tensor_release(inputs);
    dl_tensor_release(targets);
}

int main(void) { return run_tests("test_training", tests); }
