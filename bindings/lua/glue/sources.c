/* #embed is C23; the toolchain's clang has it in every mode. */
#include "sources.h"

#if defined(__clang__)
#pragma clang diagnostic ignored "-Wc23-extensions"
#endif

static const char init[] = {
#embed "../dl/init.lua"
};
static const char arguments[] = {
#embed "../dl/arguments.lua"
};
static const char declared[] = {
#embed "../dl/declared.lua"
};
static const char tensor[] = {
#embed "../dl/tensor.lua"
};
static const char ops[] = {
#embed "../dl/ops.lua"
};
static const char autodiff[] = {
#embed "../dl/autodiff.lua"
};
static const char layers[] = {
#embed "../dl/layers.lua"
};
static const char custom[] = {
#embed "../dl/custom.lua"
};
static const char models[] = {
#embed "../dl/models.lua"
};
static const char training[] = {
#embed "../dl/training.lua"
};
static const char fit[] = {
#embed "../dl/fit.lua"
};
static const char progress[] = {
#embed "../dl/progress.lua"
};
static const char losses[] = {
#embed "../dl/losses.lua"
};
static const char metrics[] = {
#embed "../dl/metrics.lua"
};
static const char confusion[] = {
#embed "../dl/confusion.lua"
};
static const char optimizers[] = {
#embed "../dl/optimizers.lua"
};
static const char options[] = {
#embed "../dl/options.lua"
};
static const char callbacks[] = {
#embed "../dl/callbacks.lua"
};
static const char datasets[] = {
#embed "../dl/datasets.lua"
};
static const char data[] = {
#embed "../dl/data.lua"
};
static const char utils[] = {
#embed "../dl/utils.lua"
};
static const char pictures[] = {
#embed "../dl/pictures.lua"
};
static const char folders[] = {
#embed "../dl/folders.lua"
};
static const char batches[] = {
#embed "../dl/batches.lua"
};
static const char preprocessing[] = {
#embed "../dl/preprocessing.lua"
};
static const char applications[] = {
#embed "../dl/applications.lua"
};
static const char cli[] = {
#embed "../dl/cli.lua"
};
static const char doc[] = {
#embed "../dl/doc.lua"
};
static const char examples[] = {
#embed "../dl/examples.lua"
};
static const char control[] = {
#embed "../dl/control.lua"
};
static const char random_module[] = {
#embed "../dl/random.lua"
};
static const char config[] = {
#embed "../dl/config.lua"
};
static const char saving[] = {
#embed "../dl/saving.lua"
};
static const char steps[] = {
#embed "../dl/steps.lua"
};
static const char objects[] = {
#embed "../dl/objects.lua"
};
static const char plot[] = {
#embed "../dl/plot.lua"
};

#define SOURCE(name, is_public) {#name, name, sizeof name, is_public}

const glue_source glue_sources[] = {
    SOURCE(init, 0),     SOURCE(arguments, 0),  SOURCE(declared, 0),     SOURCE(tensor, 0),     SOURCE(ops, 1),
    SOURCE(autodiff, 0), SOURCE(layers, 1),     SOURCE(custom, 0),       SOURCE(models, 1),     SOURCE(training, 0),
    SOURCE(fit, 0),      SOURCE(progress, 0),   SOURCE(losses, 1),       SOURCE(metrics, 1),    SOURCE(confusion, 0),
    SOURCE(optimizers, 1), SOURCE(options, 0),  SOURCE(callbacks, 1),    SOURCE(datasets, 1),   SOURCE(data, 0),
    SOURCE(utils, 1),    SOURCE(applications, 1), SOURCE(cli, 1),        SOURCE(doc, 1),
    SOURCE(examples, 1), SOURCE(control, 0),    {"random", random_module, sizeof random_module, 1},       SOURCE(config, 1),     SOURCE(saving, 1),
    SOURCE(plot, 0),     SOURCE(steps, 0),      SOURCE(objects, 0),      SOURCE(pictures, 0),     SOURCE(preprocessing, 1), SOURCE(folders, 0),   SOURCE(batches, 0), {NULL, NULL, 0, 0}};
