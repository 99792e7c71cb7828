#ifndef DL_KERNELS_RECURRENT_H
#define DL_KERNELS_RECURRENT_H

#include "dl_runtime.h"

/* The part of a recurrent layer that goes from step to step; products over all steps at once are matrix products.
 * Gates stand side by side in Keras's order: LSTM i, f, c, o; GRU z, r, h. */
enum {
    DL_RECURRENT_SIMPLE, DL_RECURRENT_LSTM, DL_RECURRENT_GRU /* reset after the product */,
    DL_RECURRENT_GRU_BEFORE /* reset before the product */
};

/* Functions whose derivative follows from their result. */
enum {
    DL_GATE_LINEAR, DL_GATE_TANH, DL_GATE_SIGMOID, DL_GATE_RELU, DL_GATE_HARD_SIGMOID, DL_GATE_SOFTSIGN, DL_GATE_ELU,
    DL_GATE_SELU, DL_GATE_EXPONENTIAL, DL_GATE_SOFTPLUS, DL_GATE_RELU6
};

typedef struct dl_recurrent_problem {
    int64_t kind, batch, steps, units;
    int64_t activation, recurrent_activation;
    int64_t backwards; /* step s reads time steps - 1 - s */
} dl_recurrent_problem;

/* All float32 and contiguous, n = gates * units. What is NULL is not there. Buffers of [batch][steps] are indexed by time but
 * sequence and cells, which are indexed by step. */
typedef struct dl_recurrent_arguments {
    const float *recurrent;      /* [units][n] */
    const float *recurrent_bias; /* [n] */
    const float *h0, *c0;        /* [batch][units] */
    const uint8_t *mask;         /* [batch][steps]: where 0, the states stay */
    const float *dropout;        /* [batch][units]: factors of the state before the recurrent product */
    float *gates;                /* [batch][steps][n]; forward: the input products, replaced by the gates */
    float *extra;                /* [batch][steps][units]; LSTM: the cells by step; GRU: the product of the state for h */
    float *sequence;             /* [batch][steps][units] */
    float *last, *last_cell;     /* [batch][units]; forward only */
    /* Backward only. */
    const float *dsequence, *dlast, *dlast_cell;
    float *dgates;   /* [batch][steps][n]: gradient of the input products */
    float *dinner;   /* [batch][steps][n]: of the recurrent products; GRU only */
    float *dreset;   /* [batch][steps][units]: gradient for h; GRU_BEFORE only */
    float *before;   /* [batch][steps][units]: the state that entered the recurrent product */
    float *reset;    /* [batch][steps][units]: the same after the reset; GRU_BEFORE only */
    float *dh0, *dc0;
    void *scratch;
    const dl_runtime *runtime;
} dl_recurrent_arguments;

typedef struct dl_recurrent_kernels {
    int64_t (*forward_scratch)(const dl_recurrent_problem *problem);
    void (*forward)(const dl_recurrent_problem *problem, const dl_recurrent_arguments *arguments);
    int64_t (*backward_scratch)(const dl_recurrent_problem *problem);
    void (*backward)(const dl_recurrent_problem *problem, const dl_recurrent_arguments *arguments);
} dl_recurrent_kernels;

void dl_recurrent_kernels_avx2(dl_recurrent_kernels *table);
void dl_recurrent_kernels_avx512(dl_recurrent_kernels *table);

#endif
