/* Networks from the literature: made by name and options, trained for one step, asked once. */
#include "check.h"
#include <math.h>

static dl_tensor *pictures(int64_t count, int64_t side)
{
    int64_t shape[4];
    dl_tensor *flat = noise(count, side * side * 3, 5), *out = NULL;
    const void *data = NULL;
    shape[0] = count, shape[1] = shape[2] = side, shape[3] = 3;
    OK(dl_tensor_data(&data, flat));
    OK(dl_tensor_create(&out, DL_FLOAT32, 4, shape, data));
    dl_tensor_release(flat);
    return out;
}

static int64_t parameters(dl_model *model)
{
    dl_layer *layer = NULL;
    char *text = NULL;
    const char *at;
    int64_t count = -1;
    OK(dl_model_as_layer(&layer, model));
    OK(dl_layer_info(&text, layer));
    at = text == NULL ? NULL : strstr(text, "\"params\":");
    if (at != NULL) count = strtoll(at + 9, NULL, 10);
    dl_text_free(text);
    dl_layer_release(layer);
    return count;
}

static void one_step(const char *name, const char *options, int64_t side, int32_t outputs)
{
    dl_model *model = NULL;
    dl_tensor *x = pictures(2, side), *y = labels(2, 5), *targets[3], *results[3] = {NULL, NULL, NULL};
    dl_data data = DL_DATA_INIT;
    dl_compile_options compile = DL_COMPILE_OPTIONS_INIT;
    double values[8];
    int32_t count = 0, i;
    targets[0] = targets[1] = targets[2] = y;
    OK(dl_application_create(&model, name, options));
    compile.optimizer = "{\"class_name\": \"SGD\", \"config\": {\"learning_rate\": 0.001, \"momentum\": 0.9}}";
    compile.loss = "sparse_categorical_crossentropy";
    OK(dl_model_compile(model, &compile));
    data.x_count = 1;
    data.y_count = outputs;
    data.x = &x;
    data.y = targets;
    OK(dl_model_train_on_batch(values, 8, &count, model, &data, NULL, 0));
    CHECK(count >= 1 && isfinite(values[0]) && values[0] > 0);
    OK(dl_model_predict(results, 3, &count, model, &x, 1, 2));
    CHECK(count == outputs);
    for (i = 0; i < count; i++) {
        double sum = 0;
        int64_t j;
        for (j = 0; j < 5; j++) sum += at(results[i], j);
        CHECK(fabs(sum - 1) < 1e-4);
        dl_tensor_release(results[i]);
    }
    dl_tensor_release(x);
    dl_tensor_release(y);
    dl_model_release(model);
}

static void tests(void)
{
    dl_model *model = NULL;
    char *text = NULL;

    one_step("ResNetCIFAR", "{\"depth\": 8, \"input_shape\": [12, 12, 3], \"classes\": 5}", 12, 1);
    if (getenv("DL_TEST_FEW") == NULL) {
        one_step("ResNet18", "{\"input_shape\": [32, 32, 3], \"classes\": 5}", 32, 1);
        one_step("GoogLeNet", "{\"input_shape\": [64, 64, 3], \"classes\": 5, \"aux_logits\": true}", 64, 3);
        one_step("AlexNet", "{\"input_shape\": [67, 67, 3], \"classes\": 5}", 67, 1);
    }

    OK(dl_application_create(&model, "LeNet5", NULL));
    CHECK(parameters(model) == 61706);
    dl_model_release(model);
    OK(dl_application_create(&model, "ResNetCIFAR", "{\"include_top\": false, \"input_shape\": [null, null, 3]}"));
    /* With 1,376 moving averages, without the 650 of the end. */
    CHECK(parameters(model) == 269722 + 1376 - 650);
    OK(dl_model_to_json(&text, model));
    CHECK(strstr(text, "conv4_block3_out") != NULL);
    dl_text_free(text);
    dl_model_release(model);

    OK(dl_describe(&text, "application", "ResNet50"));
    CHECK(strstr(text, "\"variant\"") != NULL);
    dl_text_free(text);
    model = NULL;
    FAILS(dl_application_create(&model, "Resnet50", NULL), DL_ERROR_NOT_FOUND, "ResNet50");
    FAILS(dl_application_create(&model, NULL, NULL), DL_ERROR_ARGUMENT, "name");
    FAILS(dl_application_create(NULL, "LeNet5", NULL), DL_ERROR_ARGUMENT, "out");
    FAILS(dl_application_create(&model, "LeNet5", "[]"), DL_ERROR_ARGUMENT, "object");
    FAILS(dl_application_create(&model, "LeNet5", "{"), DL_ERROR_ARGUMENT, "JSON");
    FAILS(dl_application_create(&model, "LeNet5", "{\"clases\": 3}"), DL_ERROR_ARGUMENT, "classes");
    FAILS(dl_application_create(&model, "LeNet5", "{\"classes\": 0}"), DL_ERROR_ARGUMENT, "classes");
    FAILS(dl_application_create(&model, "LeNet5", "{\"input_shape\": [28, 28, 0]}"), DL_ERROR_ARGUMENT, "input_shape");
    FAILS(dl_application_create(&model, "LeNet5", "{\"input_shape\": [4, 4, 1]}"), DL_ERROR_SHAPE, "LeNet5");
    FAILS(dl_application_create(&model, "LeNet5", "{\"input_shape\": [null, null, 1]}"), DL_ERROR_SHAPE, "");
    FAILS(dl_application_create(&model, "LeNet5", "{\"classes\": 2147483647, \"input_shape\": [2147483647, 2147483647, 1]}"),
          DL_ERROR_SHAPE, "overflow");
    FAILS(dl_application_create(&model, "LeNet5", "{\"weights\": \"/nonexistent\"}"), DL_ERROR_NOT_FOUND, "/nonexistent");
    CHECK(model == NULL);
}

int main(void) { return run_tests("applications", tests); }
