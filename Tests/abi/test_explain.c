/* What the compiled steps do, as text and JSON, with times and without. */
#include "check.h"

static char *explain(dl_model *model, const char *options)
{
    char *text = NULL;
    OK(dl_model_explain(&text, model, options));
    return text;
}

static int says(dl_model *model, const char *options, const char *word)
{
    char *text = explain(model, options);
    int found = text != NULL && strstr(text, word) != NULL;
    dl_text_free(text);
    return found;
}

static void tests(void)
{
    dl_model *model = classifier(3), *twin = classifier(3);
    dl_tensor *x = noise(6, 4, 1), *y = labels(6, 3), *p = NULL;
    dl_data data = DL_DATA_INIT;
    double values[4], again[4];
    int32_t count = 0;
    char *text = (char *)1;
    data.x_count = data.y_count = 1;
    data.x = &x;
    data.y = &y;
    CHECK(says(model, NULL, "no plans yet"));
    CHECK(says(model, "{\"format\": \"json\"}", "{\"plans\":[]}"));
    compile_classifier(model, "adam");
    compile_classifier(twin, "adam");
    OK(dl_model_train_on_batch(values, 4, &count, model, &data, NULL, 0));
    OK(dl_model_train_on_batch(values, 4, &count, twin, &data, NULL, 0));
    OK(dl_model_predict(&p, 1, &count, model, &x, 1, 0));
    dl_tensor_release(p);

    CHECK(says(model, NULL, "train float32 (6, 4), int32 (6,)") && says(model, NULL, "predict float32 (6, 4)"));
    CHECK(says(model, NULL, "hidden") && says(model, NULL, "arena") && !says(model, NULL, " ms "));
    CHECK(says(model, "{\"mode\": \"train\"}", "train") && !says(model, "{\"mode\": \"train\"}", "predict"));
    CHECK(says(model, "{\"profile\": 2}", "medians of 2 runs"));
    CHECK(says(model, "{\"format\": \"json\", \"profile\": 1}", "\"seconds\":"));
    CHECK(says(model, "{\"format\": \"json\"}", "\"arena_bytes\":") && !says(model, "{\"format\": \"json\"}", "\"seconds\":"));
    CHECK(says(model, "{\"format\": \"json\"}", "\"steps\":") && !says(model, "{\"format\": \"json\", \"steps\": false}", "\"steps\":"));
    CHECK(same_weights(model, twin));
    OK(dl_model_train_on_batch(values, 4, &count, model, &data, NULL, 0));
    OK(dl_model_train_on_batch(again, 4, &count, twin, &data, NULL, 0));
    CHECK(count == 2 && values[0] == again[0] && values[1] == again[1] && same_weights(model, twin));

    FAILS(dl_model_explain(&text, model, "{\"profile\": -1}"), DL_ERROR_ARGUMENT, "profile");
    CHECK(text == NULL);
    FAILS(dl_model_explain(&text, model, "{\"profil\": 1}"), DL_ERROR_ARGUMENT, "profile");
    FAILS(dl_model_explain(&text, model, "{\"format\": \"xml\"}"), DL_ERROR_ARGUMENT, "format");
    FAILS(dl_model_explain(&text, model, "{\"mode\": \"fit\"}"), DL_ERROR_ARGUMENT, "mode");
    FAILS(dl_model_explain(&text, model, "{\"trace\": \"x.json\"}"), DL_ERROR_ARGUMENT, "profile");
    FAILS(dl_model_explain(&text, model, "{\"trace\": \"/nonexistent/x.json\", \"profile\": 1}"), DL_ERROR_NOT_FOUND, "/nonexistent");
    FAILS(dl_model_explain(&text, model, "[1]"), DL_ERROR_ARGUMENT, "object");
    FAILS(dl_model_explain(&text, model, "{"), DL_ERROR_ARGUMENT, "JSON");
    FAILS(dl_model_explain(&text, NULL, NULL), DL_ERROR_HANDLE, "NULL");
    FAILS(dl_model_explain(NULL, model, NULL), DL_ERROR_ARGUMENT, "text");
    dl_tensor_release(x);
    dl_tensor_release(y);
    dl_model_release(model);
    dl_model_release(twin);
}

int main(void) { return run_tests("explain", tests); }
