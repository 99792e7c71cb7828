/* Pictures: written, read again, and damaged in thousands of ways; batches that a program feeds to a run; what a script may. */
#include "check.h"

#define PATH "test_pictures.tmp"

static unsigned char *slurp(size_t *size)
{
    FILE *file = fopen(PATH, "rb");
    unsigned char *bytes = (unsigned char *)malloc(1 << 16);
    if (file == NULL || bytes == NULL) abort();
    *size = fread(bytes, 1, 1 << 16, file);
    fclose(file);
    return bytes;
}

static uint32_t state = 1;

static uint32_t draw(uint32_t below)
{
    state = state * 1664525u + 1013904223u;
    return (state >> 8) % below;
}

static dl_tensor *picture(int64_t channels)
{
    dl_tensor *out = tensor_of(DL_UINT8, 3, 19, 23, channels, NULL);
    void *data = NULL;
    int64_t i;
    OK(dl_tensor_mutable_data(&data, out));
    for (i = 0; data != NULL && i < 19 * 23 * channels; i++) ((unsigned char *)data)[i] = (unsigned char)(i / 7 + draw(9));
    return out;
}

static void there_and_back(void)
{
    int64_t channels;
    for (channels = 1; channels <= 4; channels++) {
        static const char *const modes[] = {
            NULL, "{\"color_mode\": \"grayscale\"}", NULL, "{\"color_mode\": \"rgb\"}", "{\"color_mode\": \"rgba\"}"};
        dl_tensor *image = picture(channels), *back = NULL;
        OK(dl_image_save(image, PATH, "{\"file_format\": \"png\"}"));
        if (modes[channels]) {
            const void *a = NULL, *b = NULL;
            OK(dl_image_load(&back, PATH, modes[channels]));
            OK(dl_tensor_data(&a, image));
            OK(dl_tensor_data(&b, back));
            CHECK(a && b && memcmp(a, b, (size_t)(19 * 23 * channels)) == 0);
            dl_tensor_release(back);
        }
        dl_tensor_release(image);
    }
}

/* What is read depends on the file alone, not on what memory held before: valgrind sees the sums over all pixels. Checksums catch
 * most damage to a PNG; the tests in Swift mend them. */
static void damage(const char *format)
{
    dl_tensor *image = picture(3);
    size_t size, i;
    unsigned char *good, *bad = (unsigned char *)malloc(1 << 16);
    int round, rounds = getenv("DL_TEST_FEW") ? 300 : 4000, read = 0;
    char options[64];
    snprintf(options, sizeof options, "{\"file_format\": \"%s\"}", format);
    OK(dl_image_save(image, PATH, options));
    good = slurp(&size);
    for (round = 0; bad != NULL && round < rounds; round++) {
        dl_tensor *out = NULL;
        size_t left = draw(8) ? size : draw((uint32_t)size);
        dl_status status;
        memcpy(bad, good, size);
        for (i = 0; i <= draw(4); i++) bad[draw((uint32_t)size)] = (unsigned char)(draw(3) ? draw(256) : 255);
        status = dl_image_decode(&out, bad, (int64_t)left, "{\"target_size\": [5, 4], \"interpolation\": \"box\"}");
        if (status == DL_OK) read++;
        CHECK(status == DL_OK ? out != NULL : out == NULL);
        CHECK(status == DL_OK || status == DL_ERROR_FORMAT || status == DL_ERROR_LIMIT);
        dl_tensor_release(out);
    }
    CHECK(read < rounds);
    free(good);
    free(bad);
    dl_tensor_release(image);
}

static void refusals(void)
{
    dl_tensor *image = picture(3), *out = NULL;
    char *text = NULL;
    FAILS(dl_image_load(&out, "nowhere.png", NULL), DL_ERROR_NOT_FOUND, "nowhere.png");
    CHECK(out == NULL);
    FAILS(dl_image_load(&out, "nowhere.png", "{\"colour_mode\": \"rgb\"}"), DL_ERROR_ARGUMENT, "did you mean 'color_mode'");
    FAILS(dl_image_decode(&out, "xx", -1, NULL), DL_ERROR_ARGUMENT, "count");
    FAILS(dl_image_decode(&out, NULL, 4, NULL), DL_ERROR_ARGUMENT, "bytes");
    FAILS(dl_image_decode(&out, "", 0, NULL), DL_ERROR_FORMAT, "an empty file");
    FAILS(dl_image_save(image, "picture.xyz", NULL), DL_ERROR_ARGUMENT, ".png");
    FAILS(dl_image_save(NULL, PATH, NULL), DL_ERROR_HANDLE, "image");
    FAILS(dl_folder_list(&text, "nowhere"), DL_ERROR_NOT_FOUND, "nowhere");
    FAILS(dl_file_hash(&text, PATH, "crc32"), DL_ERROR_ARGUMENT, "sha256");
    CHECK(text == NULL);
    OK(dl_file_hash(&text, PATH, "md5"));
    CHECK(text != NULL && strlen(text) == 32);
    dl_text_free(text);
    OK(dl_folder_list(&text, "."));
    CHECK(text != NULL && strstr(text, PATH) != NULL);
    dl_text_free(text);
    dl_tensor_release(image);
}

/* By batches as in one. */
static void evaluated(dl_model *model, dl_tensor **half, dl_tensor **target, dl_tensor *x, dl_tensor *y)
{
    dl_data data = DL_DATA_INIT;
    double by_batch[8] = {0}, whole[8] = {0};
    int32_t count = 0, i, part;
    data.x_count = data.y_count = 1;
    data.x = &x;
    data.y = &y;
    OK(dl_model_evaluate(whole, 8, &count, model, &data, 8));
    for (part = 0; part < 3; part++) {
        /* The second half alone, then both. */
        data.x = &half[part == 0 ? 1 : part - 1];
        data.y = &target[part == 0 ? 1 : part - 1];
        OK(dl_model_evaluate_batch(by_batch, 8, &count, model, &data, part < 2));
    }
    CHECK(count > 0);
    for (i = 0; i < count; i++) CHECK(by_batch[i] == whole[i] || (by_batch[i] - whole[i]) * (by_batch[i] - whole[i]) < 1e-12);
}

/* Two batches in turn, fed, do what they do as one tensor each. */
static void feeding(void)
{
    dl_model *model = classifier(1), *other = classifier(1);
    dl_tensor *x = noise(16, 4, 1), *y = labels(16, 3), *narrow = noise(8, 3, 1);
    dl_tensor *half[2] = {NULL, NULL}, *target[2] = {NULL, NULL};
    dl_data data = DL_DATA_INIT, batch = DL_DATA_INIT;
    dl_fit_options options = DL_FIT_OPTIONS_INIT;
    dl_fit *fit = NULL;
    dl_event event;
    int64_t fed = 0;
    const float *values = NULL;
    const void *numbers = NULL, *classes = NULL;
    int i;
    dl_dtype dtype;
    OK(dl_tensor_data(&numbers, x));
    OK(dl_tensor_data(&classes, y));
    OK(dl_tensor_dtype(&dtype, y));
    values = (const float *)numbers;
    for (i = 0; i < 2 && numbers && classes; i++) {
        half[i] = floats(8, 4, values + i * 32);
        target[i] = tensor_of(dtype, 1, 8, 0, 0, (const char *)classes + i * 8 * (dtype == DL_INT64 ? 8 : 4));
    }
    compile_classifier(model, "sgd");
    compile_classifier(other, "sgd");
    data.x_count = data.y_count = batch.x_count = batch.y_count = 1;
    data.x = &x;
    data.y = &y;
    options.epochs = 2;
    options.batch_size = 8;
    options.no_shuffle = 1;
    OK(dl_model_fit(NULL, other, &data, &options));
    data.x = &half[0];
    data.y = &target[0];
    options.steps_per_epoch = 2;
    OK(dl_fit_create(&fit, model, &data, &options));
    FAILS(dl_fit_feed(fit, &data), DL_ERROR_STATE, "batch");
    FAILS(dl_fit_feed(fit, NULL), DL_ERROR_ARGUMENT, "data");
    do {
        OK(dl_fit_next(&event, fit));
        if (event.kind != DL_EVENT_BATCH_BEGIN) continue;
        batch.x = &narrow;
        batch.y = &target[0];
        batch.x_count = 2;
        FAILS(dl_fit_feed(fit, &batch), DL_ERROR_ARGUMENT, "");
        batch.x_count = 1;
        batch.x = &half[event.step];
        batch.y = &target[event.step];
        OK(dl_fit_feed(fit, &batch));
        fed++;
    } while (event.kind != 0 && fed < 100);
    CHECK(fed == 4);
    CHECK(same_weights(model, other));
    dl_fit_release(fit);
    evaluated(model, half, target, x, y);
    dl_model_release(model);
    dl_model_release(other);
    dl_tensor_release(x);
    dl_tensor_release(y);
    dl_tensor_release(narrow);
    for (i = 0; i < 2; i++) dl_tensor_release(half[i]), dl_tensor_release(target[i]);
}

static void scripts(void)
{
    static const char *const closed[] = {
        "require 'dl'.utils.load_img('a.png')", "local dl = require 'dl' dl.utils.save_img('a.png', dl.ones(2, 2, 3))",
        "require 'dl'.utils.image_dataset_from_directory('.')", "require 'dl'.utils.text_dataset_from_directory('.')",
        "require 'dl'.utils.get_file('a')", "require 'dl'.utils.get_file('a', nil, { cache_dir = '.', file_hash = '00' })",
        "require 'dl'.datasets.cifar10()", NULL};
    dl_script *script = NULL;
    dl_script_options options = DL_SCRIPT_OPTIONS_INIT;
    int i;
    OK(dl_script_create(&script, &options));
    for (i = 0; closed[i] != NULL; i++) FAILS(dl_script_run(script, closed[i], "script"), DL_ERROR_SCRIPT, "files are closed");
    /* What comes as bytes is no file. */
    OK(dl_script_run(
        script, "assert(#require 'dl'.utils.load_img{ bytes = 'P5 2 1 255\\n\\1\\2' } == 1)\n"
                "local img, message = require 'dl'.utils.load_img{ bytes = 'x' }\nassert(img == nil and message)", "script"));
    dl_script_release(script);
    options.libraries = DL_SCRIPT_FILES;
    OK(dl_script_create(&script, &options));
    OK(dl_script_run(script, "assert(require 'dl'.utils.load_img('" PATH "'))", "script"));
    dl_script_release(script);
}

int main(void)
{
    there_and_back();
    scripts();
    damage("jpeg");
    damage("png");
    damage("ppm");
    refusals();
    feeding();
    remove(PATH);
    if (failures) printf("%d failures\n", failures);
    return failures != 0;
}
