/* The number of threads changes nothing but the time: training gives the same bits. */
#include "check.h"

static dl_model *trained(int32_t threads)
{
    dl_model *model = NULL;
    dl_tensor *flat = noise(48, 12 * 12, 3), *x, *y = labels(48, 4);
    dl_compile_options compile = DL_COMPILE_OPTIONS_INIT;
    dl_data data = DL_DATA_INIT;
    dl_fit_options options = DL_FIT_OPTIONS_INIT;
    OK(dl_set_num_threads(threads));
    CHECK(dl_get_num_threads() == threads);
    dl_set_random_seed(11);
    x = apply("reshape", flat, NULL, "{\"newshape\": [48, 12, 12, 1]}");
    OK(dl_sequential_create(&model, NULL));
    add(model, "InputLayer", "{\"shape\": [12, 12, 1]}");
    add(model, "Conv2D", "{\"filters\": 8, \"kernel_size\": 3, \"activation\": \"relu\"}");
    add(model, "MaxPooling2D", NULL);
    add(model, "BatchNormalization", NULL);
    add(model, "Flatten", NULL);
    add(model, "Dropout", "{\"rate\": 0.3}");
    add(model, "Dense", "{\"units\": 40, \"activation\": \"gelu\"}");
    add(model, "Dense", "{\"units\": 4}");
    compile.loss = "{\"class_name\": \"SparseCategoricalCrossentropy\", \"config\": {\"from_logits\": true}}";
    compile.optimizer = "adam";
    OK(dl_model_compile(model, &compile));
    data.x_count = data.y_count = 1;
    data.x = &x;
    data.y = &y;
    options.epochs = 2;
    options.batch_size = 16;
    OK(dl_model_fit(NULL, model, &data, &options));
    dl_tensor_release(flat);
    dl_tensor_release(x);
    dl_tensor_release(y);
    return model;
}

static void tests(void)
{
    int32_t before = dl_get_num_threads();
    dl_model *one = trained(1), *two = trained(2), *five = trained(5);
    CHECK(same_weights(one, two));
    CHECK(same_weights(one, five));
    dl_model_release(one);
    dl_model_release(two);
    dl_model_release(five);
    OK(dl_set_num_threads(before));
}

int main(void) { return run_tests("test_threads", tests); }
