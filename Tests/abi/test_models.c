/* Models: stacks, graphs with several inputs and outputs, shared and nested layers, looking inside. */
#include "check.h"

static void stacks(void)
{
    dl_model *model = classifier(1), *again = NULL, *bare = NULL;
    dl_layer *layer = NULL, *whole = NULL;
    dl_tensor *x = noise(5, 4, 1), *wrong = noise(5, 3, 1), *y = NULL, *z;
    int32_t count = 0;
    char *text = NULL;
    OK(dl_model_layer_count(&count, model));
    CHECK(count == 2);
    OK(dl_model_layer(&layer, model, "hidden", 0));
    z = through(layer, x);
    dl_tensor_release(z);
    dl_layer_release(layer);
    OK(dl_model_layer(&layer, model, NULL, 1));
    OK(dl_layer_info(&text, layer));
    CHECK(strstr(text, "\"classes\"") != NULL);
    dl_text_free(text);
    dl_layer_release(layer);
    FAILS(dl_model_layer(&layer, model, "hiden", 0), DL_ERROR_NOT_FOUND, "hidden");
    FAILS(dl_model_layer(&layer, model, NULL, 9), DL_ERROR_RANGE, "9");
    FAILS(dl_model_layer(&layer, model, NULL, INT32_MIN), DL_ERROR_RANGE, "");
    OK(dl_model_summary(&text, model, 0));
    CHECK(strstr(text, "hidden") != NULL && strstr(text, "67") != NULL);
    dl_text_free(text);
    FAILS(dl_model_summary(&text, model, -1), DL_ERROR_ARGUMENT, "-1");
    OK(dl_model_predict(&y, 1, &count, model, &x, 1, 2));
    OK(dl_model_explain(&text, model, NULL));
    CHECK(text[0] != 0);
    dl_text_free(text);
    FAILS(dl_model_predict(&z, 1, &count, model, &wrong, 1, 0), DL_ERROR_SHAPE, "(5, 3)");
    FAILS(dl_model_predict(&z, 0, &count, model, &x, 1, 0), DL_ERROR_ARGUMENT, "capacity");
    FAILS(dl_model_predict(&z, 1, &count, model, &x, 0, 0), DL_ERROR_ARGUMENT, "");
    FAILS(dl_model_predict(&z, 1, &count, model, &x, 1, -2), DL_ERROR_ARGUMENT, "-2");
    CHECK(count == 0 && z == NULL);

    /* Called as a layer it is the same function. */
    OK(dl_model_as_layer(&whole, model));
    z = through(whole, x);
    CHECK(same_bits(y, z));
    dl_tensor_release(z);
    OK(dl_layer_as_model(&again, whole));
    dl_layer_release(whole);
    CHECK(same_weights(model, again));
    dl_model_release(again);
    again = NULL;
    layer = layer_of("Flatten", NULL);
    FAILS(dl_layer_as_model(&again, layer), DL_ERROR_HANDLE, "Flatten");
    dl_layer_release(layer);

    OK(dl_model_to_json(&text, model));
    OK(dl_model_from_json(&again, text));
    dl_text_free(text);
    OK(dl_model_layer_count(&count, again));
    CHECK(count == 2);
    dl_model_release(again);
    again = NULL;
    FAILS(dl_model_from_json(&again, "{}"), DL_ERROR_FORMAT, "class_name");
    FAILS(dl_model_from_json(&again, NULL), DL_ERROR_ARGUMENT, "json");
    FAILS(dl_model_from_json(&again, "{\"class_name\": \"Flatten\", \"config\": {}}"), DL_ERROR_ARGUMENT, "not a model");
    CHECK(again == NULL);

    OK(dl_sequential_pop(model));
    OK(dl_model_layer_count(&count, model));
    CHECK(count == 1);
    FAILS(dl_sequential_add(model, NULL), DL_ERROR_HANDLE, "dl_layer");
    OK(dl_model_retain(model));
    dl_model_release(model);
    dl_model_release(model);

    /* Built by what it is first called with. */
    OK(dl_sequential_create(&bare, NULL));
    FAILS(dl_sequential_pop(bare), DL_ERROR_STATE, "");
    add(bare, "Dense", "{\"units\": 2}");
    dl_tensor_release(y);
    y = NULL;
    OK(dl_model_predict(&y, 1, &count, bare, &x, 1, 0));
    dl_tensor_release(y);
    add(bare, "Dense", "{\"units\": 2}");
    dl_model_release(bare);
    dl_tensor_release(x);
    dl_tensor_release(wrong);
}

/* Two inputs through one shared layer; two outputs. */
static dl_model *twins(void)
{
    const int64_t shape[1] = {4};
    dl_tensor *inputs[2] = {NULL, NULL}, *ends[2], *left, *right;
    dl_layer *shared = layer_of("Dense", "{\"units\": 3, \"name\": \"shared\"}"), *sum = layer_of("Add", "{\"name\": \"sum\"}"),
             *head = layer_of("Dense", "{\"units\": 1, \"name\": \"head\"}");
    const char *names[2] = {"total", "score"};
    dl_model *model = NULL;
    int32_t count;
    dl_tensor *both[2];
    OK(dl_input(&inputs[0], 1, shape, DL_FLOAT32, "left"));
    OK(dl_input(&inputs[1], 1, shape, DL_FLOAT32, "right"));
    left = through(shared, inputs[0]);
    right = through(shared, inputs[1]);
    both[0] = left, both[1] = right;
    ends[0] = NULL;
    OK(dl_layer_call(&ends[0], 1, &count, sum, both, 2, -1));
    ends[1] = through(head, ends[0]);
    OK(dl_model_create(&model, "twins", inputs, 2, ends, 2, names));
    dl_layer_release(shared);
    dl_layer_release(sum);
    dl_layer_release(head);
    dl_tensor_release(left);
    dl_tensor_release(right);
    dl_tensor_release(inputs[0]);
    dl_tensor_release(inputs[1]);
    dl_tensor_release(ends[0]);
    dl_tensor_release(ends[1]);
    return model;
}

static void graphs(void)
{
    const int64_t shape[1] = {4};
    dl_model *model = twins(), *part = NULL, *outer = NULL;
    dl_layer *layer = NULL, *whole = NULL;
    dl_tensor *x[2], *y[2] = {NULL, NULL}, *alone = NULL, *middle = NULL, *start = NULL, *other = NULL, *targets[2], *number;
    dl_compile_options compile = DL_COMPILE_OPTIONS_INIT;
    dl_data data = DL_DATA_INIT;
    double values[8];
    int32_t count = 0, i;
    char *text = NULL;
    x[0] = noise(6, 4, 1);
    x[1] = noise(6, 4, 2);
    OK(dl_model_predict(y, 2, &count, model, x, 2, 4));
    CHECK(count == 2);
    /* left + right = right + left. */
    other = x[0], x[0] = x[1], x[1] = other;
    other = y[0], y[0] = NULL;
    dl_tensor_release(y[1]);
    OK(dl_model_predict(y, 2, &count, model, x, 2, 0));
    CHECK(same_bits(other, y[0]));
    dl_tensor_release(other);
    FAILS(dl_model_predict(&alone, 1, &count, model, x, 1, 0), DL_ERROR_ARGUMENT, "2");
    number = noise(5, 4, 3);
    {
        dl_tensor *uneven[2];
        dl_tensor *out[2];
        uneven[0] = x[0], uneven[1] = number;
        FAILS(dl_model_predict(out, 2, &count, model, uneven, 2, 0), DL_ERROR_SHAPE, "5");
    }
    dl_tensor_release(number);

    /* One weight of the shared layer, not two. */
    OK(dl_model_as_layer(&whole, model));
    OK(dl_layer_weights(NULL, 0, &count, whole, DL_WEIGHTS_ALL));
    CHECK(count == 4);
    OK(dl_layer_info(&text, whole));
    CHECK(strstr(text, "\"left\"") != NULL && strstr(text, "\"total\"") != NULL);
    dl_text_free(text);

    targets[0] = noise(6, 3, 5);
    targets[1] = noise(6, 1, 6);
    compile.loss = "{\"total\": \"mse\", \"score\": \"mae\"}";
    compile.loss_weights = "{\"score\": 0.5}";
    compile.metrics = "{\"score\": [\"mse\"]}";
    OK(dl_model_compile(model, &compile));
    data.x_count = data.y_count = 2;
    data.x = x;
    data.y = targets;
    OK(dl_model_evaluate(values, 8, &count, model, &data, 0));
    OK(dl_model_metrics_names(&text, model));
    CHECK(strstr(text, "\"loss\"") != NULL && strstr(text, "score") != NULL);
    dl_text_free(text);
    CHECK(values[0] > 0);
    OK(dl_model_fit(NULL, model, &data, NULL));
    compile.loss = "{\"totl\": \"mse\"}";
    FAILS(dl_model_compile(model, &compile), DL_ERROR_ARGUMENT, "did you mean 'total'");

    /* The part up to the sum, through the symbolic tensors of the layers in it. */
    OK(dl_model_layer(&layer, model, "head", 0));
    OK(dl_layer_input(&middle, layer, 0));
    FAILS(dl_layer_output(&other, layer, 3), DL_ERROR_RANGE, "3");
    dl_layer_release(layer);
    {
        dl_tensor *ends[2] = {NULL, NULL};
        OK(dl_layer_input(&ends[0], whole, 0));
        OK(dl_layer_input(&ends[1], whole, 1));
        OK(dl_model_create(&part, NULL, ends, 2, &middle, 1, NULL));
        FAILS(dl_model_create(&outer, NULL, ends, 1, &middle, 1, NULL), DL_ERROR_ARGUMENT, "right");
        FAILS(dl_model_create(&outer, NULL, x, 1, &middle, 1, NULL), DL_ERROR_ARGUMENT, "");
        FAILS(dl_model_create(&outer, NULL, ends, 2, NULL, 1, NULL), DL_ERROR_ARGUMENT, "outputs");
        FAILS(dl_sequential_pop(part), DL_ERROR_ARGUMENT, "Sequential");
        dl_tensor_release(ends[0]);
        dl_tensor_release(ends[1]);
    }
    dl_tensor_release(middle);
    OK(dl_model_predict(&alone, 1, &count, part, x, 2, 0));
    dl_tensor_release(alone);
    dl_model_release(part);

    /* A model within a model. */
    OK(dl_input(&start, 1, shape, DL_FLOAT32, NULL));
    {
        dl_tensor *both[2], *inner[2] = {NULL, NULL};
        both[0] = both[1] = start;
        OK(dl_layer_call(inner, 2, &count, whole, both, 2, -1));
        OK(dl_model_create(&outer, "outer", &start, 1, &inner[1], 1, NULL));
        dl_tensor_release(inner[0]);
        dl_tensor_release(inner[1]);
    }
    dl_layer_release(whole);
    dl_model_release(model);
    OK(dl_model_predict(&alone, 1, &count, outer, x, 1, 0));
    dl_tensor_release(alone);
    OK(dl_model_to_json(&text, outer));
    OK(dl_model_from_json(&part, text));
    dl_text_free(text);
    OK(dl_model_predict(&alone, 1, &count, part, x, 1, 0));
    dl_tensor_release(alone);
    dl_model_release(part);
    dl_model_release(outer);
    dl_tensor_release(start);
    for (i = 0; i < 2; i++) {
        dl_tensor_release(x[i]);
        dl_tensor_release(y[i]);
        dl_tensor_release(targets[i]);
    }
    FAILS(dl_input(&start, 1, NULL, DL_FLOAT32, NULL), DL_ERROR_ARGUMENT, "shape");
    FAILS(dl_input(&start, 1, shape, 50, NULL), DL_ERROR_DTYPE, "50");
}

static void tests(void)
{
    stacks();
    graphs();
}

int main(void) { return run_tests("test_models", tests); }
