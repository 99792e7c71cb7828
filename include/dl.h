/* dl.h - libdl: deep learning that you can embed.
 *
 * One header, one library. Conventions, the same everywhere:
 *
 *   Status     Every function that can fail returns a dl_status; 0 (DL_OK) is success. The text of the last failure
 *              on the calling thread is dl_last_error(): one line that says what was wrong, where, what came in and
 *              what was expected. A call that succeeds leaves it alone.
 *   Results    come first in the argument list. After a failure they are NULL or 0, and whatever else the caller had
 *              is as it was before the call.
 *   Ownership  "new reference; release with dl_X_release": the caller owns it. "borrowed; valid while Y lives": not.
 *              Releasing NULL does nothing, handles may be released in any order, and a model or tape keeps alive
 *              what it needs. A handle of the wrong kind, or one released already, as far as that can be told,
 *              gives DL_ERROR_HANDLE. Text given out is "new text; free with dl_text_free".
 *   Numbers    Positions, axes, class labels and embedding ids count from 0; negative axes count from the end.
 *   Text       is UTF-8, ends with 0, and is copied by the library during the call.
 *   Options    structs begin with `version`, set by DL_X_OPTIONS_INIT; they grow at the end. NULL means the defaults,
 *              and so does a field that is 0 unless the field says otherwise.
 *   Callbacks  take `void *payload` last. A result other than 0 stops the work, which then returns DL_ERROR_CALLBACK
 *              and leaves that result in dl_last_callback_status(). They run on the thread that made the call and must
 *              return: no longjmp and no exception may leave them. A `destroy` is called exactly once for its payload,
 *              also after a failure.
 *   Threads    Functions may be called from any thread. A tensor may be read from many threads, and changed only while
 *              no other uses it. A model may predict on many threads at once; everything else with one model, layer,
 *              optimizer, tape or script belongs to one thread at a time.
 *   Silence    The library never prints, exits, aborts, raises a signal or installs a handler for one.
 *
 * Layouts are Keras's: pictures (batch, height, width, channels), kernels (height, width, in, out).
 * Everything here is there since version 0.1.
 */
#ifndef DL_H
#define DL_H

#include <stdint.h>

#if defined(__GNUC__)
#define DL_API __attribute__((visibility("default")))
#define DL_NODISCARD __attribute__((warn_unused_result))
#else
#define DL_API
#define DL_NODISCARD
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Version ----------------------------------------------------------------------------------------------------- */

#define DL_VERSION_MAJOR 0
#define DL_VERSION_MINOR 1
#define DL_VERSION_PATCH 0
/* The generation of the binary interface; the file is libdl-<generation>.so. */
#define DL_ABI_VERSION 1

/* "0.1.0" of the library that is loaded. Borrowed; valid for ever. */
DL_API const char *dl_version(void);
/* DL_ABI_VERSION of the library that is loaded. */
DL_API int32_t dl_abi_version(void);

/* ---- Status ------------------------------------------------------------------------------------------------------ */

typedef int32_t dl_status;

enum {
    DL_OK = 0,
    DL_ERROR_ARGUMENT = 1,     /* an argument or option is missing, unknown or of the wrong kind */
    DL_ERROR_SHAPE = 2,        /* shapes do not fit together */
    DL_ERROR_DTYPE = 3,        /* element types do not fit together */
    DL_ERROR_RANGE = 4,        /* an index, axis or label is out of range */
    DL_ERROR_NOT_FOUND = 5,    /* no such file, layer, operation or name */
    DL_ERROR_IO = 6,           /* the operating system could not read or write */
    DL_ERROR_FORMAT = 7,       /* a file or text is damaged or of another format */
    DL_ERROR_MEMORY = 8,       /* out of memory, or beyond the limit that was set */
    DL_ERROR_STATE = 9,        /* not now: not built, not compiled, closed, symbolic */
    DL_ERROR_UNSUPPORTED = 10, /* this library or processor cannot do it */
    DL_ERROR_HANDLE = 11,      /* NULL, released or wrong kind of handle */
    DL_ERROR_SCRIPT = 12,      /* a script raised an error */
    DL_ERROR_LIMIT = 13,       /* a script reached its limit of memory or instructions, or was interrupted */
    DL_ERROR_CALLBACK = 14,    /* a callback stopped the work */
    DL_ERROR_INTERNAL = 15     /* a fault in the library; please report it */
};

/* The last failure on this thread, one line, never NULL ("" before any). Borrowed; valid until the next failing call
 * on this thread. */
DL_API const char *dl_last_error(void);
/* The status that belongs to it. */
DL_API dl_status dl_last_status(void);
/* What the callback returned when the last failure is DL_ERROR_CALLBACK, else 0. */
DL_API int32_t dl_last_callback_status(void);
/* "DL_ERROR_SHAPE" for 2, and so on; "DL_ERROR_UNKNOWN" for what is none. Borrowed; valid for ever. */
DL_API const char *dl_status_name(dl_status status);
/* Frees text that the library gave out; NULL does nothing. */
DL_API void dl_text_free(char *text);

/* ---- Handles ----------------------------------------------------------------------------------------------------- */

typedef struct dl_tensor dl_tensor;       /* numbers, a variable, or a symbolic tensor */
typedef struct dl_tape dl_tape;           /* remembers operations for gradients */
typedef struct dl_layer dl_layer;
typedef struct dl_model dl_model;
typedef struct dl_loss dl_loss;
typedef struct dl_metric dl_metric;
typedef struct dl_optimizer dl_optimizer;
typedef struct dl_fit dl_fit;             /* a training run that advances event by event */
typedef struct dl_function dl_function;   /* a function of the caller's that runs as a plan */
typedef struct dl_script dl_script;       /* a Lua interpreter of the library's own */

/* ---- The process ------------------------------------------------------------------------------------------------- */

/* Number of threads that compute, caller included; 0 chooses the processors this process may use. Results do not
 * depend on it. DL_ERROR_ARGUMENT: negative or above 1024. */
DL_API DL_NODISCARD dl_status dl_set_num_threads(int32_t threads);
DL_API int32_t dl_get_num_threads(void);

/* 0 takes Winograd's algorithm out of the choice of convolution kernels, anything else brings it back (the default, unless the
 * environment variable DL_WINOGRAD is 0). It needs less arithmetic for kernels of 3 by 3 and rounds about five times as much as
 * the direct sum: to some 4e-6 of the largest result. Layers and plans made before keep their kernels. */
DL_API void dl_set_winograd(int32_t enabled);
DL_API int32_t dl_get_winograd(void);

/* Seeds the generator behind initializers, shuffling, dropout and random operations. */
DL_API void dl_set_random_seed(uint64_t seed);

/* Upper bound in bytes for all tensors together; 0 removes it. What exceeds it fails with DL_ERROR_MEMORY. */
DL_API void dl_set_memory_limit(int64_t bytes);

typedef struct dl_memory_info {
    int64_t bytes_in_use;   /* held by tensors, plans and caches of weights */
    int64_t peak_bytes;     /* highest value of bytes_in_use so far */
    int64_t cached_bytes;   /* kept for reuse */
    int64_t allocations;    /* number of allocations so far */
} dl_memory_info;

DL_API DL_NODISCARD dl_status dl_get_memory_info(dl_memory_info *info);
/* Gives cached memory back to the operating system. */
DL_API void dl_trim_memory(void);
/* Live handles of all kinds, for leak tests. */
DL_API int64_t dl_live_handles(void);

/* A JSON object about the library and the machine: version, processor, vector level, threads, kernels.
 * text: new text; free with dl_text_free. */
DL_API DL_NODISCARD dl_status dl_system_info(char **text);

/* The names declared in a category, as a JSON array: "layer", "operation", "loss", "metric", "optimizer",
 * "initializer", "regularizer", "constraint", "activation", "callback", "dataset", "application".
 * text: new text; free with dl_text_free. */
DL_API DL_NODISCARD dl_status dl_list(char **text, const char *category);
/* The declaration of one of them as a JSON object: name, summary, formula, source, shapes, arguments (each with name,
 * kind, default, doc). text: new text; free with dl_text_free. DL_ERROR_NOT_FOUND names the nearest. */
DL_API DL_NODISCARD dl_status dl_describe(char **text, const char *category, const char *name);

/* ---- Tensors ----------------------------------------------------------------------------------------------------- */

typedef int32_t dl_dtype;
enum { DL_FLOAT32 = 1, DL_FLOAT64 = 2, DL_INT32 = 3, DL_INT64 = 4, DL_UINT8 = 5, DL_BOOL = 6 /* a byte, 0 or 1 */ };

#define DL_MAX_RANK 16

/* A tensor with a copy of `data` (row-major; size of an element times the product of the sizes), or of zeros if `data`
 * is NULL. out: new reference; release with dl_tensor_release. */
DL_API DL_NODISCARD dl_status dl_tensor_create(
    dl_tensor **out, dl_dtype dtype, int32_t rank, const int64_t *shape, const void *data);

/* A tensor over memory of the caller's, which is not copied and must be aligned to its elements.
 * `destroy(data, payload)` (may be NULL) is called when nothing in the library uses the memory any more, or at once if
 * the call fails. out: new reference; release with dl_tensor_release. */
DL_API DL_NODISCARD dl_status dl_tensor_wrap(
    dl_tensor **out, dl_dtype dtype, int32_t rank, const int64_t *shape, void *data,
    void (*destroy)(void *data, void *payload), void *payload);

/* A tensor whose contents an initializer makes: its name or a JSON object, as layers take it: "zeros",
 * {"class_name": "RandomUniform", "config": {"minval": 0, "maxval": 1, "seed": 7}}.
 * out: new reference; release with dl_tensor_release. */
DL_API DL_NODISCARD dl_status dl_tensor_initialize(
    dl_tensor **out, const char *initializer, dl_dtype dtype, int32_t rank, const int64_t *shape);

DL_API DL_NODISCARD dl_status dl_tensor_retain(dl_tensor *tensor);
DL_API void dl_tensor_release(dl_tensor *tensor);

DL_API DL_NODISCARD dl_status dl_tensor_dtype(dl_dtype *dtype, const dl_tensor *tensor);
/* rank: the number of axes. shape (may be NULL): room for DL_MAX_RANK sizes, -1 where a symbolic tensor's size is not
 * known. */
DL_API DL_NODISCARD dl_status dl_tensor_shape(int32_t *rank, int64_t *shape, const dl_tensor *tensor);
/* The number of elements. DL_ERROR_STATE: symbolic with unknown sizes. */
DL_API DL_NODISCARD dl_status dl_tensor_size(int64_t *size, const dl_tensor *tensor);

enum { DL_KIND_TENSOR = 0, DL_KIND_VARIABLE = 1, DL_KIND_SYMBOLIC = 2 };
DL_API DL_NODISCARD dl_status dl_tensor_kind(int32_t *kind, const dl_tensor *tensor);

/* The elements, row-major. data: borrowed; valid while the tensor lives (for a variable: until it changes).
 * DL_ERROR_STATE: symbolic. */
DL_API DL_NODISCARD dl_status dl_tensor_data(const void **data, const dl_tensor *tensor);
/* The same for writing; views of the same memory see what is written. DL_ERROR_STATE: symbolic, or a variable. */
DL_API DL_NODISCARD dl_status dl_tensor_mutable_data(void **data, dl_tensor *tensor);
/* Copies all elements out. DL_ERROR_ARGUMENT: `bytes` is not the size of the tensor in bytes. */
DL_API DL_NODISCARD dl_status dl_tensor_read(void *data, int64_t bytes, const dl_tensor *tensor);
/* The element of a tensor of one element, as a number. */
DL_API DL_NODISCARD dl_status dl_tensor_item(double *number, const dl_tensor *tensor);
/* As a person reads it: dtype, shape and the elements, long ones abbreviated.
 * text: new text; free with dl_text_free. */
DL_API DL_NODISCARD dl_status dl_tensor_text(char **text, const dl_tensor *tensor);

enum { DL_INDEX_AT = 0, DL_INDEX_RANGE = 1 };
enum { DL_INDEX_NO_START = 1, DL_INDEX_NO_STOP = 2 };
/* One entry of an index, for one axis, outermost first; axes left out are taken whole. */
typedef struct dl_index {
    int32_t kind;              /* DL_INDEX_AT: position `start`, the axis goes; DL_INDEX_RANGE: from start to stop */
    int32_t flags;             /* DL_INDEX_NO_START, DL_INDEX_NO_STOP: from or to the border */
    int64_t start, stop, step; /* stop is left out; negative positions count from the end; step 0 means 1 */
} dl_index;

/* Part of a tensor. Leading positions and then one range with step 1 share the memory; anything else is a copy.
 * out: new reference; release with dl_tensor_release. */
DL_API DL_NODISCARD dl_status dl_tensor_index(
    dl_tensor **out, dl_tensor *tensor, const dl_index *index, int32_t count);
/* Writes `value`, broadcast and cast, into part of a tensor, in place. */
DL_API DL_NODISCARD dl_status dl_tensor_index_assign(
    dl_tensor *tensor, const dl_index *index, int32_t count, const dl_tensor *value);

/* A variable with a copy of `initial`. trainable 1: tapes watch it. name may be NULL.
 * out: new reference; release with dl_tensor_release. */
DL_API DL_NODISCARD dl_status dl_variable_create(
    dl_tensor **out, const dl_tensor *initial, const char *name, int32_t trainable);
/* Gives a variable other contents of the same shape and dtype. DL_ERROR_ARGUMENT: not a variable. */
DL_API DL_NODISCARD dl_status dl_variable_assign(dl_tensor *variable, dl_tensor *value);
/* name: new text; free with dl_text_free. trainable: 0 or 1. Either may be NULL. */
DL_API DL_NODISCARD dl_status dl_variable_info(char **name, int32_t *trainable, const dl_tensor *variable);

/* ---- Operations -------------------------------------------------------------------------------------------------- */

/* Applies an operation by name (see dl_list "operation"). attributes: a JSON object, or NULL for the defaults.
 * On numbers it computes; on symbolic tensors it gives symbolic ones; live tapes remember it.
 * outputs: room for `capacity` tensors, each a new reference; release with dl_tensor_release. count: how many there are.
 * DL_ERROR_ARGUMENT: also when capacity is too small; then nothing is given out. */
DL_API DL_NODISCARD dl_status dl_operation_apply(
    dl_tensor **outputs, int32_t capacity, int32_t *count, const char *name, dl_tensor *const *inputs,
    int32_t input_count, const char *attributes);

/* ---- Gradients --------------------------------------------------------------------------------------------------- */

/* A tape that listens on this thread from now on. watch_variables 1: trainable variables are watched by themselves.
 * out: new reference; release with dl_tape_release, which also stops it. */
DL_API DL_NODISCARD dl_status dl_tape_start(dl_tape **out, int32_t watch_variables);
DL_API DL_NODISCARD dl_status dl_tape_watch(dl_tape *tape, dl_tensor *tensor);
/* Ends listening; gradients can still be asked for. */
DL_API DL_NODISCARD dl_status dl_tape_stop(dl_tape *tape);
/* Gradients of `target` (of its sum, if it is not a scalar) for each source, NULL where it does not depend on it.
 * gradients: room for `count`; each a new reference; release with dl_tensor_release. */
DL_API DL_NODISCARD dl_status dl_tape_gradient(
    dl_tensor **gradients, dl_tape *tape, dl_tensor *target, dl_tensor *const *sources, int32_t count);
DL_API void dl_tape_release(dl_tape *tape);

/* A function with a gradient of its own. Handles handed in are borrowed for the call. */
typedef struct dl_custom_gradient_callbacks {
    int32_t version; /* 1 */
    int32_t reserved;
    /* Applies operations; stores new references in outputs (room for `capacity`) and their number in `count`. What it
     * leaves in *context (NULL before) is for `backward`. Must not be NULL. */
    int32_t (*forward)(
        dl_tensor **outputs, int32_t capacity, int32_t *count, void **context, dl_tensor *const *inputs,
        int32_t input_count, void *payload);
    /* For each of the inputs, in order, a new reference to the gradient, or NULL for none; upstream: the gradient of the
     * target for each output. Made of operations too, so that it can be differentiated. Must not be NULL. */
    int32_t (*backward)(
        dl_tensor **gradients, int32_t input_count, dl_tensor *const *upstream, int32_t output_count, void *context,
        void *payload);
    /* Called once for each context that `forward` left, when no gradient can be asked for any more. May be NULL. */
    void (*destroy_context)(void *context, void *payload);
    void (*destroy)(void *payload);
} dl_custom_gradient_callbacks;

/* Applies such a function: `forward` computes, and live tapes remember `backward` in place of what it did. On symbolic
 * tensors of a model it becomes part of the model, which calls `forward` whenever it runs; such a model can be trained,
 * but not be loaded again. name (may be NULL) is what messages call it. outputs: room for `capacity` tensors, each a new
 * reference; release with dl_tensor_release.
 * DL_ERROR_ARGUMENT: also where the function uses a watched tensor that is none of its inputs. */
DL_API DL_NODISCARD dl_status dl_custom_gradient(
    dl_tensor **outputs, int32_t capacity, int32_t *count, const char *name, dl_tensor *const *inputs,
    int32_t input_count, const dl_custom_gradient_callbacks *callbacks, void *payload);

/* ---- Layers ------------------------------------------------------------------------------------------------------ */

/* A layer by its Keras class name and a JSON object of arguments: dl_layer_create(&l, "Dense", "{\"units\": 10}").
 * config may be NULL. out: new reference; release with dl_layer_release.
 * DL_ERROR_NOT_FOUND, DL_ERROR_ARGUMENT: unknown class or argument (the nearest is named), or a bad value. */
DL_API DL_NODISCARD dl_status dl_layer_create(dl_layer **out, const char *class_name, const char *config);
/* The same from Keras's serialised form {"class_name": ..., "config": {...}}. */
DL_API DL_NODISCARD dl_status dl_layer_from_json(dl_layer **out, const char *json);
/* {"class_name": ..., "config": {...}}. text: new text; free with dl_text_free. */
DL_API DL_NODISCARD dl_status dl_layer_to_json(char **text, const dl_layer *layer);

/* A layer that the caller writes. Every member but `call` may be NULL. Handles handed in are borrowed for the call. */
typedef struct dl_layer_callbacks {
    int32_t version; /* 1 */
    int32_t reserved;
    /* Once, before the first call, with the inputs' shapes (-1 unknown): the place for dl_layer_add_weight. */
    int32_t (*build)(dl_layer *layer, int32_t count, const int32_t *ranks, const int64_t *const *shapes, void *payload);
    /* Applies operations; stores new references in outputs (room for `capacity`) and their number in `count`. */
    int32_t (*call)(
        dl_layer *layer, dl_tensor **outputs, int32_t capacity, int32_t *count, dl_tensor *const *inputs,
        int32_t input_count, int32_t training, void *payload);
    void (*destroy)(void *payload);
} dl_layer_callbacks;

/* class_name: what to_json says. config: a JSON object to be kept in it, or NULL; "name" in it is the layer's name.
 * out: new reference; release with dl_layer_release. */
DL_API DL_NODISCARD dl_status dl_layer_create_custom(
    dl_layer **out, const char *class_name, const char *config, const dl_layer_callbacks *callbacks, void *payload);
/* Says how a class of the caller's own is made from its config, for from_json and for loading models: create stores a
 * new reference in *out. Registering a name again replaces it; create NULL removes it. destroy may be NULL. */
DL_API DL_NODISCARD dl_status dl_layer_register(
    const char *class_name, int32_t (*create)(dl_layer **out, const char *config, void *payload),
    void (*destroy)(void *payload), void *payload);

DL_API DL_NODISCARD dl_status dl_layer_retain(dl_layer *layer);
DL_API void dl_layer_release(dl_layer *layer);

/* Applies the layer; the first call builds it. training: 1, 0, or -1 for what the surroundings say.
 * outputs: room for `capacity` tensors, each a new reference; release with dl_tensor_release. */
DL_API DL_NODISCARD dl_status dl_layer_call(
    dl_tensor **outputs, int32_t capacity, int32_t *count, dl_layer *layer, dl_tensor *const *inputs,
    int32_t input_count, int32_t training);
/* Creates the weights for an input of this shape, batch axis included, -1 unknown. */
DL_API DL_NODISCARD dl_status dl_layer_build(dl_layer *layer, int32_t rank, const int64_t *shape);

/* A new weight of the layer. initializer, regularizer: a name or JSON object; NULL for glorot_uniform and for none.
 * out: new reference to the variable; release with dl_tensor_release. */
DL_API DL_NODISCARD dl_status dl_layer_add_weight(
    dl_tensor **out, dl_layer *layer, const char *name, dl_dtype dtype, int32_t rank, const int64_t *shape,
    const char *initializer, const char *regularizer, int32_t trainable);

/* A JSON object: name, class_name, built, trainable, input_shape, output_shape, params, weights (name, shape, dtype,
 * trainable; in Keras's order); of a model also input_names, output_names. text: new text; free with dl_text_free. */
DL_API DL_NODISCARD dl_status dl_layer_info(char **text, const dl_layer *layer);

enum { DL_WEIGHTS_ALL = 0, DL_WEIGHTS_TRAINABLE = 1, DL_WEIGHTS_NON_TRAINABLE = 2 };
/* The variables, in Keras's order. weights may be NULL to ask for the number; else room for `capacity`, each a new
 * reference; release with dl_tensor_release. DL_ERROR_ARGUMENT: capacity is too small. */
DL_API DL_NODISCARD dl_status dl_layer_weights(
    dl_tensor **weights, int32_t capacity, int32_t *count, const dl_layer *layer, int32_t which);
/* Sets all weights, in the order of DL_WEIGHTS_ALL; nothing changes unless all fit. */
DL_API DL_NODISCARD dl_status dl_layer_set_weights(dl_layer *layer, dl_tensor *const *weights, int32_t count);
DL_API DL_NODISCARD dl_status dl_layer_set_trainable(dl_layer *layer, int32_t trainable);
/* The symbolic output or input of the layer's first use in a model: for a new model over part of an old one.
 * index: 0 for the first output. out: new reference; release with dl_tensor_release. */
DL_API DL_NODISCARD dl_status dl_layer_output(dl_tensor **out, const dl_layer *layer, int32_t index);
DL_API DL_NODISCARD dl_status dl_layer_input(dl_tensor **out, const dl_layer *layer, int32_t index);
/* Within the callback `call` of a layer: adds a number (the sum, where it has axes) to what training minimises.
 * DL_ERROR_STATE: no layer is being called on this thread. */
DL_API DL_NODISCARD dl_status dl_layer_add_loss(dl_layer *layer, dl_tensor *loss);
/* Likewise: a number to follow in logs, by its mean over the batches, under this name. */
DL_API DL_NODISCARD dl_status dl_layer_add_metric(dl_layer *layer, dl_tensor *value, const char *name);
/* What the latest call of the layer or model added, activity regularizers among it, then the penalties of regularized
 * weights. losses may be NULL to ask for the number; else room for `capacity` scalars, each a new reference; release
 * with dl_tensor_release. */
DL_API DL_NODISCARD dl_status dl_layer_losses(dl_tensor **losses, int32_t capacity, int32_t *count, dl_layer *layer);
/* The shapes of the outputs for inputs of these shapes; the layer is built for them if it is not yet. shapes: a JSON list
 * with one list of sizes for each input, null where unknown. text: such a list; new text; free with dl_text_free. */
DL_API DL_NODISCARD dl_status dl_layer_compute_output_shape(char **text, dl_layer *layer, const char *shapes);
/* dl_layer_call with more than inputs by position: the last of the inputs have the `name_count` names, and options is a
 * JSON object with `training` and the layer's own flags ({"use_causal_mask": true}), or NULL.
 * DL_ERROR_ARGUMENT: a name the layer is not called with; the nearest is named. */
DL_API DL_NODISCARD dl_status dl_layer_call_with(
    dl_tensor **outputs, int32_t capacity, int32_t *count, dl_layer *layer, dl_tensor *const *inputs,
    int32_t input_count, const char *const *names, int32_t name_count, const char *options);
/* Tells a DenseTied or Conv2DTied whose kernel it shares, before it is first called; both then stand for one variable.
 * DL_ERROR_ARGUMENT: not such a layer, or the other one has no such kernel. */
DL_API DL_NODISCARD dl_status dl_layer_tie(dl_layer *layer, dl_layer *other);
/* Learns from data before training: mean and variance of a Normalization, say. batches: one or several tensors.
 * DL_ERROR_UNSUPPORTED: the layer learns nothing in this way. */
DL_API DL_NODISCARD dl_status dl_layer_adapt(dl_layer *layer, dl_tensor *const *batches, int32_t count);
/* dl_layer_create for a layer around others: {"class_name": "__layer__", "config": {"index": 0}} where config wants a layer
 * stands for the first of `layers`, itself and not a copy, with its weights. The new layer keeps what it uses.
 * DL_ERROR_ARGUMENT: also an index beyond `count`. out: new reference; release with dl_layer_release. */
DL_API DL_NODISCARD dl_status dl_layer_create_around(
    dl_layer **out, const char *class_name, const char *config, dl_layer *const *layers, int32_t count);
/* Sets to zero what stateful recurrent layers in it carry from batch to batch. */
DL_API DL_NODISCARD dl_status dl_layer_reset_states(dl_layer *layer);
/* Which time steps of a tensor count, as the layers before say; the operation "with_mask" sets it. out: new reference; release
 * with dl_tensor_release; NULL where the tensor has no mask. */
DL_API DL_NODISCARD dl_status dl_tensor_mask(dl_tensor **out, const dl_tensor *tensor);

/* ---- Models ------------------------------------------------------------------------------------------------------ */

/* A symbolic input of a functional model. shape: without the batch axis; -1 unknown. name may be NULL.
 * out: new reference; release with dl_tensor_release. */
DL_API DL_NODISCARD dl_status dl_input(
    dl_tensor **out, int32_t rank, const int64_t *shape, dl_dtype dtype, const char *name);

/* An empty stack of layers. name may be NULL. out: new reference; release with dl_model_release. */
DL_API DL_NODISCARD dl_status dl_sequential_create(dl_model **out, const char *name);
DL_API DL_NODISCARD dl_status dl_sequential_add(dl_model *model, dl_layer *layer);
DL_API DL_NODISCARD dl_status dl_sequential_pop(dl_model *model);

/* A model between symbolic tensors. name and output_names may be NULL: outputs go by the names of their layers.
 * out: new reference; release with dl_model_release. */
DL_API DL_NODISCARD dl_status dl_model_create(
    dl_model **out, const char *name, dl_tensor *const *inputs, int32_t input_count, dl_tensor *const *outputs,
    int32_t output_count, const char *const *output_names);
/* The architecture as JSON in Keras's form, without weights. text: new text; free with dl_text_free. */
DL_API DL_NODISCARD dl_status dl_model_to_json(char **text, const dl_model *model);
DL_API DL_NODISCARD dl_status dl_model_from_json(dl_model **out, const char *json);

DL_API DL_NODISCARD dl_status dl_model_retain(dl_model *model);
DL_API void dl_model_release(dl_model *model);

/* The model as a layer, for calling it, nesting it, and all that dl_layer_ offers; both handles stand for one object.
 * out: new reference; release with dl_layer_release. */
DL_API DL_NODISCARD dl_status dl_model_as_layer(dl_layer **out, dl_model *model);
/* The other way round. DL_ERROR_HANDLE: the layer is no model. out: new reference; release with dl_model_release. */
DL_API DL_NODISCARD dl_status dl_layer_as_model(dl_model **out, dl_layer *layer);
/* A network from the literature (see dl_list "application"), such as "ResNet50", with random weights or those of a file.
 * options: a JSON object, or NULL for the defaults: {"variant": "torchvision", "input_shape": [64, 64, 3], "classes": 10}.
 * out: new reference; release with dl_model_release. DL_ERROR_NOT_FOUND names the nearest name; DL_ERROR_SHAPE: the
 * pictures are too small for the network. */
DL_API DL_NODISCARD dl_status dl_application_create(dl_model **out, const char *name, const char *options);

/* A layer by name, or by position if name is NULL. out: new reference; release with dl_layer_release. */
DL_API DL_NODISCARD dl_status dl_model_layer(dl_layer **out, const dl_model *model, const char *name, int32_t index);
DL_API DL_NODISCARD dl_status dl_model_layer_count(int32_t *count, const dl_model *model);
/* The table that Keras prints. width: characters a line, 0 for 80. text: new text; free with dl_text_free. */
DL_API DL_NODISCARD dl_status dl_model_summary(char **text, const dl_model *model, int32_t width);
/* What the compiled steps of a model do: operations in order, what was fused into them, results and their bytes, the kernel
 * chosen and why not others, the memory of it all. Steps are compiled when first run.
 * options: a JSON object, or NULL for the defaults: {"format": "text", "mode": null, "profile": 0, "trace": null, "steps": true}.
 *   format   "text" for people, "json" for programs: {"plans": [{"mode", "inputs", "outputs", "arena_bytes", "peak_bytes",
 *            "variable_bytes", "constant_bytes", "setup_bytes", "setup": what depends on weights alone, done once for each
 *            state of them, "steps": [{"operation", "attributes", "layer", "kernel", "problem",
 *            "refusals", "outputs", "bytes", "scratch_bytes", "place", "flops"}]}]}; with a profile also "runs" and "seconds", and in steps
 *            "seconds" (the median), "share" and "gflops" (of the direct algorithm)
 *   mode     "train", "test" or "predict"; null: all
 *   profile  how often each is run, on made-up data, to take times; the model is afterwards what it was
 *   trace    a file to write the times to, for Chrome's trace viewer (chrome://tracing, Perfetto)
 *   steps    false: the sums alone
 * text: new text; free with dl_text_free. With a profile, this is training: one thread at a time. */
DL_API DL_NODISCARD dl_status dl_model_explain(char **text, const dl_model *model, const char *options);

typedef struct dl_compile_options {
    int32_t version;
    int32_t run_eagerly;          /* 1: every step computes operation by operation, for looking inside */
    int32_t label_base;           /* what class labels count from: 0 or 1 */
    int32_t loss_count;
    int32_t metric_count;
    int32_t reserved;
    const char *optimizer;        /* name or JSON {"class_name", "config"}; NULL: "rmsprop" */
    const char *loss;             /* name or JSON: a loss, an array (one for each output) or an object by output name;
                                     {"handle": i} stands for losses[i] */
    const char *metrics;          /* JSON: an array of metrics, of arrays (one for each output), or an object by output
                                     name; {"handle": i} stands for metric_objects[i] */
    const char *weighted_metrics; /* the same, weighted like the loss */
    const char *loss_weights;     /* JSON: an array or an object by output name */
    dl_loss *const *losses;
    dl_metric *const *metric_objects;
    dl_optimizer *optimizer_object; /* instead of `optimizer` */
} dl_compile_options;
#define DL_COMPILE_OPTIONS_INIT {1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}

/* Sets loss, optimizer and metrics. options may be NULL. */
DL_API DL_NODISCARD dl_status dl_model_compile(dl_model *model, const dl_compile_options *options);

/* Tensors to learn from; the first axis of each is the sample. */
typedef struct dl_data {
    int32_t version;
    int32_t x_count, y_count, weight_count;
    dl_tensor *const *x;             /* one for each input of the model */
    dl_tensor *const *y;             /* one for each output */
    dl_tensor *const *sample_weight; /* none, one, or one for each output; entries may be NULL */
} dl_data;
#define DL_DATA_INIT {1, 0, 0, 0, 0, 0, 0}

enum {
    DL_EVENT_TRAIN_BEGIN = 1,
    DL_EVENT_EPOCH_BEGIN = 2,
    DL_EVENT_BATCH_BEGIN = 3,
    DL_EVENT_BATCH_END = 4,
    DL_EVENT_TEST_BEGIN = 5,
    DL_EVENT_TEST_END = 6,
    DL_EVENT_EPOCH_END = 7,
    DL_EVENT_TRAIN_END = 8
};
typedef struct dl_event {
    int32_t kind;
    int32_t epoch;                /* from 0 */
    int32_t epochs;
    int32_t log_count;
    int64_t step;                 /* within the epoch, from 0 */
    int64_t steps;                /* of one epoch */
    const char *const *log_names; /* borrowed; valid until the next event */
    const double *log_values;     /* borrowed; valid until the next event */
} dl_event;

/* What on_event returns to end training, in good order, after the current batch; any other result but 0 is a failure. */
#define DL_STOP 1

typedef struct dl_fit_options {
    int32_t version;
    int32_t epochs;                /* 0: 1 */
    int32_t batch_size;            /* 0: 32 */
    int32_t no_shuffle;            /* 1: the samples keep their order */
    int32_t initial_epoch;
    int32_t validation_freq;       /* 0: 1 */
    int32_t validation_batch_size; /* 0: batch_size */
    int32_t class_weight_count;
    int64_t steps_per_epoch;       /* 0: all */
    int64_t validation_steps;      /* 0: all */
    double validation_split;       /* share of the samples, from the end, to validate with */
    const dl_data *validation_data;
    const double *class_weight;    /* one weight for each class */
    const char *callbacks;         /* JSON array of built-in callbacks: [{"class_name": "EarlyStopping", "config": {}}] */
    int32_t (*on_event)(const dl_event *event, void *payload);
    void *payload;
} dl_fit_options;
#define DL_FIT_OPTIONS_INIT {1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}

/* Trains. options may be NULL. history (may be NULL): {"epoch": [...], "loss": [...], ...}; new text; free with
 * dl_text_free. */
DL_API DL_NODISCARD dl_status dl_model_fit(
    char **history, dl_model *model, const dl_data *data, const dl_fit_options *options);

/* The same, event by event, for hosts with a loop of their own: nothing runs between two calls of dl_fit_next. The
 * tensors are kept alive by the run; on_event is not used. out: new reference; release with dl_fit_release. */
DL_API DL_NODISCARD dl_status dl_fit_create(
    dl_fit **out, dl_model *model, const dl_data *data, const dl_fit_options *options);
/* Works until the next event. After DL_EVENT_TRAIN_END, event->kind is 0. */
DL_API DL_NODISCARD dl_status dl_fit_next(dl_event *event, dl_fit *fit);
/* For data that do not fit into memory. After DL_EVENT_BATCH_BEGIN: the step that follows takes these samples, all of them, as
 * its batch, instead of some of those the run was made with. After DL_EVENT_TEST_BEGIN, as often as wanted: one batch more to
 * validate with, instead of the run's own validation data. DL_ERROR_STATE: the last event was another one. */
DL_API DL_NODISCARD dl_status dl_fit_feed(dl_fit *fit, const dl_data *data);
/* Training ends after the current batch, in good order. */
DL_API DL_NODISCARD dl_status dl_fit_stop(dl_fit *fit);
DL_API DL_NODISCARD dl_status dl_fit_history(char **history, const dl_fit *fit);
DL_API void dl_fit_release(dl_fit *fit);

/* A JSON array of what evaluate and the _on_batch functions give: "loss", then the metrics, which are known from the
 * first batch on, since "accuracy" is another one for other targets.
 * names: new text; free with dl_text_free. */
DL_API DL_NODISCARD dl_status dl_model_metrics_names(char **names, const dl_model *model);
/* Loss and metrics on data. values: room for `capacity` numbers, in the order of dl_model_metrics_names.
 * batch_size 0: 32. */
DL_API DL_NODISCARD dl_status dl_model_evaluate(
    double *values, int32_t capacity, int32_t *count, dl_model *model, const dl_data *data, int32_t batch_size);
/* The same batch by batch, for data that do not fit into memory: the first call, with is_first 1, begins anew, each further
 * one goes on. values: of all batches so far. */
DL_API DL_NODISCARD dl_status dl_model_evaluate_batch(
    double *values, int32_t capacity, int32_t *count, dl_model *model, const dl_data *data, int32_t is_first);
/* One training step on one batch, and what it gave. class_weight may be NULL. */
DL_API DL_NODISCARD dl_status dl_model_train_on_batch(
    double *values, int32_t capacity, int32_t *count, dl_model *model, const dl_data *data, const double *class_weight,
    int32_t class_weight_count);
DL_API DL_NODISCARD dl_status dl_model_test_on_batch(
    double *values, int32_t capacity, int32_t *count, dl_model *model, const dl_data *data);
/* Outputs for inputs, batch by batch. batch_size 0: 32. May run on many threads at once with one model.
 * outputs: room for `capacity` tensors, each a new reference; release with dl_tensor_release. */
DL_API DL_NODISCARD dl_status dl_model_predict(
    dl_tensor **outputs, int32_t capacity, int32_t *count, dl_model *model, dl_tensor *const *x, int32_t x_count,
    int32_t batch_size);
/* The optimizer of a compiled model. out: new reference; release with dl_optimizer_release. */
DL_API DL_NODISCARD dl_status dl_model_optimizer(dl_optimizer **out, const dl_model *model);

/* Writes architecture, compile settings and weights to one safetensors file; with include_optimizer 1, the optimizer's
 * state too. The file appears whole or not at all. */
DL_API DL_NODISCARD dl_status dl_model_save(const dl_model *model, const char *path, int32_t include_optimizer);
/* A model from such a file, compiled as it was saved unless its loss or a metric was the caller's own.
 * out: new reference; release with dl_model_release. DL_ERROR_FORMAT: truncated, damaged or not such a file; says where. */
DL_API DL_NODISCARD dl_status dl_model_load(dl_model **out, const char *path);
DL_API DL_NODISCARD dl_status dl_model_save_weights(const dl_model *model, const char *path);
/* Nothing changes unless every weight is there and fits. */
DL_API DL_NODISCARD dl_status dl_model_load_weights(dl_model *model, const char *path);

/* ---- Models and steps that the caller writes ---- */

/* A model that the caller writes, as dl_layer_create_custom makes a layer: its layers are named by
 * dl_layer_set_sublayers, its callbacks see it as a layer. out: new reference; release with dl_model_release. */
DL_API DL_NODISCARD dl_status dl_model_create_custom(
    dl_model **out, const char *class_name, const char *config, const dl_layer_callbacks *callbacks, void *payload);
/* Says which layers are inside a layer or model of the caller's own, in place of those said before: their weights are
 * its weights. DL_ERROR_UNSUPPORTED: not one of the caller's own. */
DL_API DL_NODISCARD dl_status dl_layer_set_sublayers(dl_layer *layer, dl_layer *const *layers, int32_t count);
/* Whether a layer is a model, which dl_layer_as_model gives as such. */
DL_API DL_NODISCARD dl_status dl_layer_is_model(int32_t *is_model, const dl_layer *layer);
/* The payload of a layer or model of the caller's own whose `destroy` is this one; NULL for any other. */
DL_API DL_NODISCARD dl_status dl_layer_payload(void **payload, dl_layer *layer, void (*destroy)(void *payload));

enum {
    DL_STEP_TRAIN = 1,   /* in: x, y, sample_weight; out: logs */
    DL_STEP_TEST = 2,    /* the same */
    DL_STEP_PREDICT = 3, /* in: x; out: outputs */
    DL_STEP_LOSS = 4,    /* in: all; out: one output, the loss that the model's own steps minimise or report */
    DL_STEP_RESET = 5    /* an epoch, an evaluation or a single batch begins: what was gathered begins anew */
};
/* Takes what a step gives; lives for the length of its callback. */
typedef struct dl_step_results dl_step_results;
/* What a step works on; handles are borrowed for the call. */
typedef struct dl_step {
    int32_t version;
    int32_t kind; /* DL_STEP_... */
    int32_t x_count, y_count, weight_count, prediction_count;
    int32_t training;
    int32_t reserved;
    dl_tensor *const *x;
    dl_tensor *const *y;
    dl_tensor *const *sample_weight; /* entries may be NULL */
    dl_tensor *const *predictions;
    dl_step_results *results;
} dl_step;
/* Puts the caller's function in the place of the model's own steps, of those kinds that are in `kinds`, a sum of
 * 1 << DL_STEP_...; 0 gives the model its own back. fit, evaluate, predict and the _on_batch functions all use it, with
 * callbacks, class weights and validation as ever. Figures that it logs are those of the data since DL_STEP_RESET.
 * run returns 0, or a number that comes back as the callback's status. destroy may be NULL. */
DL_API DL_NODISCARD dl_status dl_model_set_steps(
    dl_model *model, int32_t kinds, int32_t (*run)(dl_model *model, const dl_step *step, void *payload),
    void (*destroy)(void *payload), void *payload);
/* Within the callback: a figure by name. */
DL_API DL_NODISCARD dl_status dl_step_log(dl_step_results *results, const char *name, double value);
/* Within the callback: one more output. */
DL_API DL_NODISCARD dl_status dl_step_output(dl_step_results *results, dl_tensor *tensor);

/* The loss that compile asked for, of predictions in data->x, and what layers added in the model's latest call.
 * out: new reference; release with dl_tensor_release. */
DL_API DL_NODISCARD dl_status dl_model_compute_loss(dl_tensor **out, dl_model *model, const dl_data *data);
/* Takes predictions, in data->x, and targets into the metrics that compile asked for; not into the loss. */
DL_API DL_NODISCARD dl_status dl_model_compute_metrics(dl_model *model, const dl_data *data);
/* Loss and metrics since the last reset, in the order of dl_model_metrics_names. */
DL_API DL_NODISCARD dl_status dl_model_results(double *values, int32_t capacity, int32_t *count, const dl_model *model);
DL_API DL_NODISCARD dl_status dl_model_reset_metrics(dl_model *model);
/* What gathers loss and metrics, in the order of dl_model_metrics_names; metrics NULL asks for their number.
 * metrics: new references; release with dl_metric_release. */
DL_API DL_NODISCARD dl_status dl_model_metrics(
    dl_metric **metrics, int32_t capacity, int32_t *count, const dl_model *model);

/* ---- Losses, metrics, optimizers: for loops of one's own --------------------------------------------------------- */

/* By Keras class or function name and a JSON object of arguments (NULL: defaults).
 * out: new reference; release with dl_loss_release. */
DL_API DL_NODISCARD dl_status dl_loss_create(dl_loss **out, const char *name, const char *config);
/* A loss that the caller writes: stores in *out a new reference to the loss of each sample, or to a scalar. */
DL_API DL_NODISCARD dl_status dl_loss_create_custom(
    dl_loss **out, const char *name,
    int32_t (*call)(dl_tensor **out, dl_tensor *y_true, dl_tensor *y_pred, void *payload),
    void (*destroy)(void *payload), void *payload);
/* The reduced loss. sample_weight may be NULL. out: new reference; release with dl_tensor_release. */
DL_API DL_NODISCARD dl_status dl_loss_call(
    dl_tensor **out, dl_loss *loss, dl_tensor *y_true, dl_tensor *y_pred, dl_tensor *sample_weight);
/* What labels count from, 0 or 1, for losses that take class labels. */
DL_API DL_NODISCARD dl_status dl_loss_set_label_base(dl_loss *loss, int32_t label_base);
DL_API DL_NODISCARD dl_status dl_loss_retain(dl_loss *loss);
DL_API void dl_loss_release(dl_loss *loss);

/* out: new reference; release with dl_metric_release. */
DL_API DL_NODISCARD dl_status dl_metric_create(dl_metric **out, const char *name, const char *config);
/* A metric that is the mean, over samples, of what the callback stores in *out. */
DL_API DL_NODISCARD dl_status dl_metric_create_custom(
    dl_metric **out, const char *name,
    int32_t (*call)(dl_tensor **out, dl_tensor *y_true, dl_tensor *y_pred, void *payload),
    void (*destroy)(void *payload), void *payload);
/* Mean and Sum take their values in y_true, and y_pred NULL. sample_weight may be NULL. */
DL_API DL_NODISCARD dl_status dl_metric_update(
    dl_metric *metric, dl_tensor *y_true, dl_tensor *y_pred, dl_tensor *sample_weight);
/* A scalar for most metrics. out: new reference; release with dl_tensor_release. */
DL_API DL_NODISCARD dl_status dl_metric_result(dl_tensor **out, const dl_metric *metric);
DL_API DL_NODISCARD dl_status dl_metric_reset(dl_metric *metric);
DL_API DL_NODISCARD dl_status dl_metric_set_label_base(dl_metric *metric, int32_t label_base);
DL_API DL_NODISCARD dl_status dl_metric_retain(dl_metric *metric);
DL_API void dl_metric_release(dl_metric *metric);

/* A function over tensors that is called once for each signature (shapes and dtypes) of its inputs, on symbolic tensors,
 * and then runs as a plan: variables, optimizers and metrics that it changes are changed in each run. It stores new
 * references in outputs (room for `capacity`) and their number in `count`. name may be NULL.
 * out: new reference; release with dl_function_release. */
DL_API DL_NODISCARD dl_status dl_function_create(
    dl_function **out, const char *name,
    int32_t (*call)(
        dl_tensor **outputs, int32_t capacity, int32_t *count, dl_tensor *const *inputs, int32_t input_count, void *payload),
    void (*destroy)(void *payload), void *payload);
/* outputs: room for `capacity` tensors, each a new reference; release with dl_tensor_release. One thread at a time. */
DL_API DL_NODISCARD dl_status dl_function_call(
    dl_tensor **outputs, int32_t capacity, int32_t *count, dl_function *function, dl_tensor *const *inputs,
    int32_t input_count);
DL_API DL_NODISCARD dl_status dl_function_retain(dl_function *function);
DL_API void dl_function_release(dl_function *function);

/* out: new reference; release with dl_optimizer_release. */
DL_API DL_NODISCARD dl_status dl_optimizer_create(dl_optimizer **out, const char *name, const char *config);
/* One update: gradients[i] (NULL: none) for variables[i]. */
DL_API DL_NODISCARD dl_status dl_optimizer_apply(
    dl_optimizer *optimizer, dl_tensor *const *gradients, dl_tensor *const *variables, int32_t count);
/* Updates so far. */
DL_API DL_NODISCARD dl_status dl_optimizer_iterations(int64_t *iterations, const dl_optimizer *optimizer);
DL_API DL_NODISCARD dl_status dl_optimizer_learning_rate(double *rate, const dl_optimizer *optimizer);
DL_API DL_NODISCARD dl_status dl_optimizer_set_learning_rate(dl_optimizer *optimizer, double rate);
/* {"class_name": ..., "config": {...}}. text: new text; free with dl_text_free. */
DL_API DL_NODISCARD dl_status dl_optimizer_to_json(char **text, const dl_optimizer *optimizer);
/* Lets the learning rate depend on the number of updates so far; before the first update. Plans call it in each step. */
DL_API DL_NODISCARD dl_status dl_optimizer_set_schedule(
    dl_optimizer *optimizer, int32_t (*call)(double *rate, int64_t step, void *payload),
    void (*destroy)(void *payload), void *payload);
/* Exchanges weights and their moving averages, where use_ema keeps them; a second call undoes it. */
DL_API DL_NODISCARD dl_status dl_optimizer_swap_averages(dl_optimizer *optimizer);
/* The learning rate that a schedule, a name or JSON {"class_name", "config"}, has after `step` updates. */
DL_API DL_NODISCARD dl_status dl_schedule_rate(double *rate, const char *schedule, int64_t step);
/* {"module", "class_name", "config", "registered_name"}, as dl_layer_to_json gives a layer's, of a loss, a metric, or of
 * what is made from a description alone, in the category "initializer", "regularizer", "constraint" or "schedule": a name
 * or JSON, read as everywhere. What Keras does not know is left out where it says the usual. text: new text; free with
 * dl_text_free. DL_ERROR_UNSUPPORTED: a loss or metric that is a function of the caller's own. */
DL_API DL_NODISCARD dl_status dl_loss_to_json(char **text, const dl_loss *loss);
DL_API DL_NODISCARD dl_status dl_metric_to_json(char **text, const dl_metric *metric);
DL_API DL_NODISCARD dl_status dl_description_to_json(char **text, const char *category, const char *description);
DL_API DL_NODISCARD dl_status dl_optimizer_retain(dl_optimizer *optimizer);
DL_API void dl_optimizer_release(dl_optimizer *optimizer);

/* ---- Classes of the caller's own, in the place of the library's ---- */

/* One call of such a class: results are given out by dl_step_output. Handles are borrowed for the call. */
typedef struct dl_object_call {
    int32_t version;
    int32_t input_count;
    const char *what;   /* "call", or "slots" for what an optimizer's states of a variable begin with */
    const char *config; /* the object's arguments, a JSON object */
    dl_tensor *const *inputs;
    dl_step_results *results;
} dl_object_call;
/* Says how objects of a class of the caller's own compute, wherever a {"class_name", "config"} of the category is taken:
 * options of layers, compile, files. By category, inputs of "call" -> output:
 *   initializer  the sizes, int64 -> a tensor of that shape
 *   regularizer  a weight or an output -> its penalty
 *   constraint   a weight -> the weight as it may be
 *   activation   a tensor -> a tensor
 *   loss         targets, predictions -> the loss of each sample
 *   schedule     updates so far, int64 -> the learning rate
 *   optimizer    value, gradient, rate, updates so far, states -> new value, new states
 * Registering a name again replaces it; call NULL removes it. destroy may be NULL. */
DL_API DL_NODISCARD dl_status dl_object_register(
    const char *category, const char *class_name, int32_t (*call)(const dl_object_call *call, void *payload),
    void (*destroy)(void *payload), void *payload);
/* Whether a name or {"class_name", "config"} of a category (initializer, regularizer, constraint, activation, schedule,
 * callback) is one: DL_OK, or what is wrong with it. */
DL_API DL_NODISCARD dl_status dl_object_check(const char *category, const char *json);
/* What a regularizer, constraint or activation gives for a tensor. out: new reference; release with dl_tensor_release. */
DL_API DL_NODISCARD dl_status dl_object_apply(dl_tensor **out, const char *category, const char *json, dl_tensor *tensor);

/* A metric with states, which dl_metric_add_variable makes. update changes them by dl_variable_assign; y_pred and
 * sample_weight may be NULL. Handles are borrowed for the call. */
typedef struct dl_metric_callbacks {
    int32_t version; /* 1 */
    int32_t reserved;
    int32_t (*update)(dl_metric *metric, dl_tensor *y_true, dl_tensor *y_pred, dl_tensor *sample_weight, void *payload);
    /* Stores a new reference in *out. */
    int32_t (*result)(dl_tensor **out, dl_metric *metric, void *payload);
    void (*destroy)(void *payload);
} dl_metric_callbacks;
/* config: a JSON object to be kept, or NULL; "name" in it is the metric's name.
 * out: new reference; release with dl_metric_release. */
DL_API DL_NODISCARD dl_status dl_metric_create_stateful(
    dl_metric **out, const char *class_name, const char *config, const dl_metric_callbacks *callbacks, void *payload);
/* One more state, which a reset sets to this value. out: new reference to the variable; release with
 * dl_tensor_release. */
DL_API DL_NODISCARD dl_status dl_metric_add_variable(
    dl_tensor **out, dl_metric *metric, const char *name, dl_tensor *value);
/* Says how a metric of a class of the caller's own is made from its config, as dl_layer_register does. */
DL_API DL_NODISCARD dl_status dl_metric_register(
    const char *class_name, int32_t (*create)(dl_metric **out, const char *config, void *payload),
    void (*destroy)(void *payload), void *payload);
/* Weight decay leaves these variables alone, and those whose names contain one of the texts of a JSON array (or NULL).
 * DL_ERROR_STATE: after the first update. */
DL_API DL_NODISCARD dl_status dl_optimizer_exclude_from_weight_decay(
    dl_optimizer *optimizer, dl_tensor *const *variables, int32_t count, const char *names);

/* ---- Files ------------------------------------------------------------------------------------------------------- */

/* Reads a tensor: NPY, or IDX plain or gzip, told apart by their first bytes.
 * out: new reference; release with dl_tensor_release. DL_ERROR_FORMAT says at which offset. */
DL_API DL_NODISCARD dl_status dl_tensor_load(dl_tensor **out, const char *path);
/* Writes a tensor as NPY (version 1.0). */
DL_API DL_NODISCARD dl_status dl_tensor_save(const dl_tensor *tensor, const char *path);
/* Reads a table of numbers (RFC 4180). options: JSON or NULL for {"header": null, "delimiter": ",", "columns": null,
 * "dtype": "float32", "skip_rows": 0, "missing": "error"}. header null: found out. columns: a list of names and positions;
 * null: all. missing "nan": empty fields and NA become NaN. out: (rows, columns); new reference; release with
 * dl_tensor_release. names (may be NULL): JSON array of the columns' names, empty without a header; new text; free with
 * dl_text_free. DL_ERROR_FORMAT says in which line and field. */
DL_API DL_NODISCARD dl_status dl_csv_load(dl_tensor **out, char **names, const char *path, const char *options);
/* A data set that is on this machine (see dl_list "dataset"). options: JSON or NULL: {"path": folder}.
 * outputs: x_train, y_train, x_test, y_test, each a new reference; release with dl_tensor_release.
 * info (may be NULL): a JSON object (class_names, origin); new text; free with dl_text_free.
 * DL_ERROR_NOT_FOUND says where it is looked for and which package has it. */
DL_API DL_NODISCARD dl_status dl_dataset_load(
    dl_tensor *outputs[4], char **info, const char *name, const char *options);
/* Reads a picture: PNG, JPEG, BMP, PGM or PPM, told apart by its first bytes. options: JSON or NULL for {"color_mode": "rgb",
 * "target_size": null, "interpolation": "nearest", "keep_aspect_ratio": false}. color_mode: "grayscale", "rgb" or "rgba".
 * target_size: [height, width] or null. interpolation: "nearest", "bilinear", "bicubic", "hamming", "box" or "lanczos".
 * out: (height, width, channels) uint8, or int32 for grey of 16 bits in "grayscale"; new reference; release with
 * dl_tensor_release. DL_ERROR_FORMAT says at which byte; DL_ERROR_LIMIT: more than 2^28 pixels. */
DL_API DL_NODISCARD dl_status dl_image_load(dl_tensor **out, const char *path, const char *options);
/* The same from a file's contents in memory. */
DL_API DL_NODISCARD dl_status dl_image_decode(dl_tensor **out, const void *bytes, int64_t count, const char *options);
/* Writes a picture: uint8 (height, width) or (height, width, 1 to 4), or int32 from 0 to 65535 with one channel for PNG of 16
 * bits. options: JSON or NULL for {"file_format": null, "quality": 75, "compress_level": 6}. file_format: "png", "jpeg", "pgm"
 * or "ppm"; null: by the ending of path. The file appears whole or not at all. */
DL_API DL_NODISCARD dl_status dl_image_save(const dl_tensor *image, const char *path, const char *options);
/* What is in a folder: JSON array of {"name", "kind": "file", "folder" or "other", "is_link"}, by name.
 * text: new text; free with dl_text_free. */
DL_API DL_NODISCARD dl_status dl_folder_list(char **text, const char *path);
/* A file's checksum in hexadecimal digits; algorithm: "sha256" or "md5". text: new text; free with dl_text_free. */
DL_API DL_NODISCARD dl_status dl_file_hash(char **text, const char *path, const char *algorithm);

/* ---- Scripts ----------------------------------------------------------------------------------------------------- */

enum {
    DL_SCRIPT_SAFE = 0,  /* base, string, table, math, utf8, coroutine, dl; no files, no processes, no binary chunks */
    DL_SCRIPT_FILES = 1, /* also io and os without execute, popen and exit, and dl's reading and writing of files */
    DL_SCRIPT_ALL = 2    /* everything that lua5.4 has but os.exit and debug.sethook */
};
typedef struct dl_script_options {
    int32_t version;
    int32_t libraries;         /* DL_SCRIPT_... */
    int64_t memory_limit;      /* bytes for the interpreter's data and the tensors its scripts hold; 0: none */
    int64_t instruction_limit; /* of one dl_script_run, run_file or call; 0: none */
    /* Receives what scripts print, progress bars included; NULL: it is dropped. */
    void (*print)(const char *text, int64_t length, void *payload);
    void *payload;
} dl_script_options;
#define DL_SCRIPT_OPTIONS_INIT {1, 0, 0, 0, 0, 0}

/* An interpreter in which `require "dl"` works. options may be NULL.
 * out: new reference; release with dl_script_release. */
DL_API DL_NODISCARD dl_status dl_script_create(dl_script **out, const dl_script_options *options);
/* Runs a chunk. name (may be NULL) is what messages call it. DL_ERROR_SCRIPT: the script's message and traceback. */
DL_API DL_NODISCARD dl_status dl_script_run(dl_script *script, const char *source, const char *name);
DL_API DL_NODISCARD dl_status dl_script_run_file(dl_script *script, const char *path);
/* Calls a global function with tensors; its results must be tensors or numbers.
 * results: room for `capacity`; each a new reference; release with dl_tensor_release. */
DL_API DL_NODISCARD dl_status dl_script_call(
    dl_tensor **results, int32_t capacity, int32_t *count, dl_script *script, const char *function,
    dl_tensor *const *arguments, int32_t argument_count);
/* Global variables. DL_ERROR_NOT_FOUND: nil; DL_ERROR_DTYPE: something else.
 * What get gives is a new reference or new text, to be released as its kind is. */
DL_API DL_NODISCARD dl_status dl_script_set_tensor(dl_script *script, const char *name, dl_tensor *tensor);
DL_API DL_NODISCARD dl_status dl_script_get_tensor(dl_tensor **out, dl_script *script, const char *name);
DL_API DL_NODISCARD dl_status dl_script_set_number(dl_script *script, const char *name, double number);
DL_API DL_NODISCARD dl_status dl_script_get_number(double *number, dl_script *script, const char *name);
DL_API DL_NODISCARD dl_status dl_script_set_text(dl_script *script, const char *name, const char *text);
DL_API DL_NODISCARD dl_status dl_script_get_text(char **text, dl_script *script, const char *name);
DL_API DL_NODISCARD dl_status dl_script_set_model(dl_script *script, const char *name, dl_model *model);
DL_API DL_NODISCARD dl_status dl_script_get_model(dl_model **out, dl_script *script, const char *name);
/* Makes the running script stop soon, with DL_ERROR_LIMIT. May be called from any thread. */
DL_API DL_NODISCARD dl_status dl_script_interrupt(dl_script *script);
DL_API void dl_script_release(dl_script *script);

#ifdef __cplusplus
}
#endif

#endif
