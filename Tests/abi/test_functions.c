/* Functions that run as plans, schedules, label bases, moving averages. */
#include "check.h"
#include <math.h>

typedef struct {
    int calls, fail, destroyed;
    dl_tensor *variable;
    dl_optimizer *optimizer;
} state;

static void destroy(void *payload) { ((state *)payload)->destroyed++; }

/* Applies the input as the variable's gradient, and gives its square. */
static int32_t step(dl_tensor **outputs, int32_t capacity, int32_t *count, dl_tensor *const *inputs, int32_t input_count, void *payload)
{
    state *self = (state *)payload;
    dl_tensor *gradient = inputs[0];
    int32_t made = 0;
    self->calls++;
    if (self->fail || input_count != 1 || capacity < 1) return 7;
    if (dl_optimizer_apply(self->optimizer, &gradient, &self->variable, 1) != DL_OK) return 8;
    if (dl_operation_apply(outputs, capacity, &made, "square", inputs, 1, NULL) != DL_OK) return 9;
    *count = made;
    return 0;
}

static float first(dl_tensor *tensor)
{
    const void *data = NULL;
    OK(dl_tensor_data(&data, tensor));
    return data ? *(const float *)data : NAN;
}

static void functions(void)
{
    static const float numbers[2] = {2.0f, -1.0f};
    state self = {0, 0, 0, NULL, NULL};
    dl_function *function = NULL;
    dl_tensor *x = floats(1, 2, numbers), *start = floats(1, 2, NULL), *out[2] = {NULL, NULL};
    int32_t count = 9, k;
    OK(dl_variable_create(&self.variable, start, "w", 1));
    OK(dl_optimizer_create(&self.optimizer, "SGD", "{\"learning_rate\": 0.5}"));
    OK(dl_function_create(&function, "step", step, destroy, &self));
    for (k = 1; k <= 3; k++) {
        OK(dl_function_call(out, 2, &count, function, &x, 1));
        CHECK(count == 1 && first(out[0]) == 4.0f);
        CHECK(first(self.variable) == -1.0f * (float)k);
        dl_tensor_release(out[0]);
    }
    CHECK(self.calls == 1);
    FAILS(dl_function_call(out, 0, &count, function, &x, 1), DL_ERROR_ARGUMENT, "capacity");
    FAILS(dl_function_call(out, 2, &count, (dl_function *)(void *)x, &x, 1), DL_ERROR_HANDLE, "dl_function");
    self.fail = 1;
    FAILS(dl_function_call(out, 2, &count, function, &start, 0), DL_ERROR_CALLBACK, "returned 7");
    CHECK(out[0] == NULL && count == 0);
    dl_function_release(function);
    CHECK(self.destroyed == 1);
    FAILS(dl_function_create(&function, NULL, NULL, NULL, NULL), DL_ERROR_ARGUMENT, "NULL");
    CHECK(function == NULL);
    dl_tensor_release(x);
    dl_tensor_release(start);
    dl_tensor_release(self.variable);
    dl_optimizer_release(self.optimizer);
}

static int32_t halving(double *rate, int64_t updates, void *payload)
{
    state *self = (state *)payload;
    self->calls++;
    *rate = self->fail ? -1.0 : ldexp(1.0, -(int)updates);
    return 0;
}

static void schedules(void)
{
    static const float one = 1.0f;
    state self = {0, 0, 0, NULL, NULL};
    dl_optimizer *optimizer = NULL;
    dl_tensor *start = floats(1, 1, NULL), *gradient = floats(1, 1, &one), *variable = NULL;
    double rate = 5;
    int k;
    OK(dl_schedule_rate(&rate, "{\"class_name\": \"CosineDecay\", \"config\": {\"initial_learning_rate\": 0.5, \"decay_steps\": 10}}", 5));
    CHECK(fabs(rate - 0.25) < 1e-9);
    FAILS(dl_schedule_rate(&rate, "CosineDecai", 5), DL_ERROR_NOT_FOUND, "CosineDecay");
    FAILS(dl_schedule_rate(&rate, "CosineDecay", 5), DL_ERROR_ARGUMENT, "initial_learning_rate");
    FAILS(dl_schedule_rate(&rate, "CosineDecay", -1), DL_ERROR_ARGUMENT, "step");
    OK(dl_optimizer_create(&optimizer, "SGD", NULL));
    OK(dl_optimizer_set_schedule(optimizer, halving, destroy, &self));
    OK(dl_variable_create(&variable, start, "w", 1));
    for (k = 0; k < 3; k++) OK(dl_optimizer_apply(optimizer, &gradient, &variable, 1));
    CHECK(first(variable) == -1.75f);
    FAILS(dl_optimizer_set_learning_rate(optimizer, 0.5), DL_ERROR_STATE, "schedule");
    FAILS(dl_optimizer_set_schedule(optimizer, halving, NULL, &self), DL_ERROR_STATE, "before the first update");
    self.fail = 1;
    FAILS(dl_optimizer_apply(optimizer, &gradient, &variable, 1), DL_ERROR_RANGE, "at least 0");
    CHECK(first(variable) == -1.75f);
    dl_optimizer_release(optimizer);
    CHECK(self.destroyed == 1);
    FAILS(dl_optimizer_create(&optimizer, "SGD", "{\"learning_rate\": -1}"), DL_ERROR_ARGUMENT, "learning_rate");
    dl_tensor_release(start);
    dl_tensor_release(gradient);
    dl_tensor_release(variable);
}

static void bases(void)
{
    static const float chances[2] = {0.25f, 0.75f};
    static const int32_t label = 2;
    dl_loss *loss = NULL;
    dl_metric *metric = NULL;
    dl_tensor *truth = tensor_of(DL_INT32, 1, 1, 0, 0, &label), *prediction = floats(1, 2, chances), *out = NULL;
    OK(dl_loss_create(&loss, "SparseCategoricalCrossentropy", NULL));
    CHECK(dl_loss_call(&out, loss, truth, prediction, NULL) != DL_OK);
    OK(dl_loss_set_label_base(loss, 1));
    OK(dl_loss_call(&out, loss, truth, prediction, NULL));
    CHECK(fabsf(first(out) - 0.287682f) < 1e-5f);
    dl_tensor_release(out);
    FAILS(dl_loss_set_label_base(loss, 2), DL_ERROR_ARGUMENT, "label_base");
    OK(dl_metric_create(&metric, "SparseCategoricalAccuracy", NULL));
    OK(dl_metric_set_label_base(metric, 1));
    OK(dl_metric_update(metric, truth, prediction, NULL));
    OK(dl_metric_result(&out, metric));
    CHECK(first(out) == 1.0f);
    FAILS(dl_metric_set_label_base(metric, -1), DL_ERROR_ARGUMENT, "label_base");
    dl_tensor_release(out);
    dl_tensor_release(truth);
    dl_tensor_release(prediction);
    dl_loss_release(loss);
    dl_metric_release(metric);
}

int main(void)
{
    functions();
    schedules();
    bases();
    if (failures) printf("%d failures\n", failures);
    return failures != 0;
}
