#ifndef DL_KERNELS_MATH_H
#define DL_KERNELS_MATH_H

/* The tuned float32 kernels besides convolution and matrix product. Sizes are counted in elements, matrices are
 * row-major, `y` may be `x` itself in the element-wise kernels. Every kernel divides its work into pieces that depend
 * on the sizes alone; below some thousand elements it runs on the calling thread. */

#include "dl_runtime.h"
#include "dl_simd_math.h"

/* y = f(x). Parameters a and b are named where a function has any. */
enum {
    DL_UNARY_NEGATIVE, DL_UNARY_ABS, DL_UNARY_SIGN, DL_UNARY_SQUARE, DL_UNARY_SQRT, DL_UNARY_RSQRT,
    DL_UNARY_RECIPROCAL, DL_UNARY_EXP, DL_UNARY_EXPM1, DL_UNARY_LOG, DL_UNARY_LOG1P, DL_UNARY_SIN, DL_UNARY_COS,
    DL_UNARY_TAN, DL_UNARY_SINH, DL_UNARY_COSH, DL_UNARY_TANH, DL_UNARY_ASIN, DL_UNARY_ACOS, DL_UNARY_ATAN,
    DL_UNARY_FLOOR, DL_UNARY_CEIL, DL_UNARY_ROUND, DL_UNARY_RELU, DL_UNARY_RELU6, DL_UNARY_SIGMOID,
    DL_UNARY_SOFTPLUS, DL_UNARY_SOFTSIGN, DL_UNARY_SILU, DL_UNARY_GELU, DL_UNARY_GELU_TANH,
    DL_UNARY_ELU /* a: alpha */, DL_UNARY_SELU, DL_UNARY_LEAKY_RELU /* a: slope */, DL_UNARY_HARD_SIGMOID,
    DL_UNARY_HARD_TANH, DL_UNARY_HARD_SILU, DL_UNARY_MISH, DL_UNARY_LOG_SIGMOID, DL_UNARY_GAUSSIAN, DL_UNARY_STEP,
    DL_UNARY_ERF, DL_UNARY_CLIP /* a ... b */, DL_UNARY_AFFINE /* a x + b */
};

/* y = p(x) as bytes 0 and 1. */
enum { DL_PREDICATE_NOT, DL_PREDICATE_NAN, DL_PREDICATE_INFINITE, DL_PREDICATE_FINITE };

/* dx = dy f'(.), from the output (…_Y) or the input (…_X) of the activation. */
enum {
    DL_GRADIENT_RELU_Y, DL_GRADIENT_RELU6_Y, DL_GRADIENT_LEAKY_RELU_X, DL_GRADIENT_ELU_Y, DL_GRADIENT_SELU_Y,
    DL_GRADIENT_SIGMOID_Y, DL_GRADIENT_TANH_Y, DL_GRADIENT_SOFTPLUS_X, DL_GRADIENT_SOFTSIGN_X, DL_GRADIENT_SILU_X,
    DL_GRADIENT_GELU_X, DL_GRADIENT_GELU_TANH_X, DL_GRADIENT_HARD_SIGMOID_X, DL_GRADIENT_HARD_TANH_Y,
    DL_GRADIENT_HARD_SILU_X, DL_GRADIENT_MISH_X, DL_GRADIENT_LOG_SIGMOID_X, DL_GRADIENT_GAUSSIAN_X,
    DL_GRADIENT_EXP_Y
};

enum {
    DL_BINARY_ADD, DL_BINARY_SUBTRACT, DL_BINARY_MULTIPLY, DL_BINARY_DIVIDE, DL_BINARY_POWER, DL_BINARY_MAXIMUM,
    DL_BINARY_MINIMUM, DL_BINARY_FLOOR_DIVIDE, DL_BINARY_MOD, DL_BINARY_SQUARED_DIFFERENCE, DL_BINARY_ATAN2
};

enum { DL_COMPARE_EQ, DL_COMPARE_NE, DL_COMPARE_LT, DL_COMPARE_LE, DL_COMPARE_GT, DL_COMPARE_GE };

/* A loop over up to three operands of one result: outer dimensions, then rows and columns. Strides are in elements;
 * a column stride is 0 or 1. The result is dense. */
#define DL_OUTER_RANK 14
typedef struct dl_broadcast {
    int64_t outer_rank, outer_count, rows, cols;
    int64_t row_stride[3], col_stride[3];
    int64_t outer_shape[DL_OUTER_RANK];
    int64_t outer_stride[3][DL_OUTER_RANK];
} dl_broadcast;

/* Where an operand's block of rows begins for one position of the outer dimensions. */
static inline int64_t dl_broadcast_offset(const dl_broadcast *plan, int64_t operand, int64_t outer) {
    int64_t offset = 0;
    for (int64_t d = plan->outer_rank; d-- > 0;) {
        offset += (outer % plan->outer_shape[d]) * plan->outer_stride[operand][d];
        outer /= plan->outer_shape[d];
    }
    return offset;
}
static inline int64_t dl_broadcast_row_stride(const dl_broadcast *plan, int64_t operand) {
    return plan->row_stride[operand];
}
static inline int64_t dl_broadcast_col_stride(const dl_broadcast *plan, int64_t operand) {
    return plan->col_stride[operand];
}
static inline void dl_broadcast_set_operand(dl_broadcast *plan, int64_t operand, int64_t row, int64_t col) {
    plan->row_stride[operand] = row;
    plan->col_stride[operand] = col;
}
static inline void dl_broadcast_set_outer(dl_broadcast *plan, int64_t dimension, int64_t size, int64_t a, int64_t b,
                                          int64_t c) {
    plan->outer_shape[dimension] = size;
    plan->outer_stride[0][dimension] = a;
    plan->outer_stride[1][dimension] = b;
    plan->outer_stride[2][dimension] = c;
}

/* Reductions of x [outer, n, inner] over n. */
enum {
    DL_REDUCE_SUM, DL_REDUCE_SUM_SQUARES, DL_REDUCE_SUM_ABS, DL_REDUCE_MAX, DL_REDUCE_MIN, DL_REDUCE_PROD,
    DL_REDUCE_MEAN
};

/* Pooling of x [n, ih, iw, c] to y [n, oh, ow, c]; padding counts rows and columns that do not exist. */
typedef struct dl_pool2d {
    int64_t n, ih, iw, c, oh, ow;
    int64_t kh, kw, sh, sw, pad_top, pad_left;
} dl_pool2d;

/* One step of an optimizer, Keras's formulas. Every output may be its input. */
typedef struct dl_adam {
    float rate;      /* learning rate times the bias corrections */
    float one_minus_beta1, one_minus_beta2, epsilon;
    float decay;     /* learning rate times the decoupled weight decay, 0 for none */
} dl_adam;
typedef struct dl_rmsprop {
    float rate, rho, momentum, epsilon, decay;
} dl_rmsprop;

/* The optimizers with at most two states a and b; formulas at each, after w -= decay w. */
enum {
    DL_RULE_ADAGRAD = 0, /* a += g^2; w -= p0 g / sqrt(a + p1) */
    DL_RULE_ADADELTA,    /* a = p1 a + p2 g^2; d = g sqrt(b + p3) / sqrt(a + p3); b = p1 b + p2 d^2; w -= p0 d */
    DL_RULE_ADAMAX,      /* a += (g - a) p1; b = max(b p2, |g|); w -= p0 a / (b + p3) */
    DL_RULE_NADAM,       /* a += (g - a) p1; b += (g^2 - b) p2; w -= p0 (p3 a + p4 g) / (sqrt(b p5) + p6) */
    DL_RULE_FTRL,        /* n = a + g^2; b += g + p4 w - (n^p1 - a^p1) / p0 w; a = n;
                            w = (clip(b, -p2, p2) - b) / (n^p1 / p0 + p3) */
    DL_RULE_LION,        /* w -= p0 sign(p1 a + p2 g); a = p3 a + p4 g */
    DL_RULE_RPROP,       /* a g > 0: b = min(b p1, p4); a g < 0: b = max(b p2, p3), g = 0; w -= sign(g) b; a = g */
    DL_RULE_LAMB,        /* a += (g - a) p1; b += (g^2 - b) p2; w = p3 a / (sqrt(b p4) + p5): the direction alone */
    DL_RULE_AVERAGE,     /* w = p0 w + p1 g */
    DL_RULE_COUNT
};
typedef struct dl_update {
    const float *w, *g, *a, *b;
    float *w_out, *a_out, *b_out;
    int64_t n;
    float p0, p1, p2, p3, p4, p5, p6;
    float decay;
} dl_update;

/* Gradients of the training form of batch normalisation; dgamma and dbeta are always written.
 *
 * Without relu the gradient of the normalised values is dy. With relu, and masked NULL, it is dy where the
 * normalised value, computed anew with beta, is positive. With relu and masked, it is dy (and dy2, where that is not NULL)
 * where y is positive, and is written to masked, which may be dy: the gradient of the residual that was added. */
typedef struct dl_batch_norm_gradient {
    const float *dy, *dy2, *x, *y;
    const float *mean, *variance, *gamma, *beta;
    float *dx, *dgamma, *dbeta, *masked, *scratch;
    int64_t rows, c;
    float epsilon;
    int32_t relu;
} dl_batch_norm_gradient;

/* Normalisation of each row of x [rows, n]: y = (x - mean) / sqrt(variance + epsilon) gamma + beta with the row's own
 * mean and biased variance; without center the mean is taken as 0. gamma and beta may be NULL.
 * Going back, y gets dx, which may be dy or x, and dgamma and dbeta are always written. */
typedef struct dl_row_norm {
    const float *x, *dy, *gamma, *beta;
    float *y, *dgamma, *dbeta, *scratch;
    int64_t rows, n;
    float epsilon;
    int32_t center;
} dl_row_norm;

typedef struct dl_math_kernels {
    int32_t lanes;

    void (*unary)(const dl_runtime *runtime, int64_t function, const float *x, float *y, int64_t n, float a, float b);
    void (*predicate)(const dl_runtime *runtime, int64_t function, const float *x, uint8_t *y, int64_t n);
    /* v is the activation's output or input, as the function's name says. */
    void (*activation_gradient)(const dl_runtime *runtime, int64_t function, const float *dy, const float *v,
                                float *dx, int64_t n, float a);
    void (*binary)(const dl_runtime *runtime, const dl_broadcast *plan, int64_t function, const float *a,
                   const float *b, float *y);
    void (*compare)(const dl_runtime *runtime, const dl_broadcast *plan, int64_t function, const float *a,
                    const float *b, uint8_t *y);

    /* scratch: reduce_scratch(outer, n, inner) floats. */
    void (*reduce)(const dl_runtime *runtime, int64_t function, const float *x, float *y, int64_t outer, int64_t n,
                   int64_t inner, float *scratch);
    int64_t (*reduce_scratch)(int64_t outer, int64_t n, int64_t inner);

    /* Rows of x [rows, n]. */
    void (*softmax)(const dl_runtime *runtime, const float *x, float *y, int64_t rows, int64_t n);
    void (*log_softmax)(const dl_runtime *runtime, const float *x, float *y, int64_t rows, int64_t n);
    void (*softmax_gradient)(const dl_runtime *runtime, const float *dy, const float *y, float *dx, int64_t rows,
                             int64_t n);
    void (*log_softmax_gradient)(const dl_runtime *runtime, const float *dy, const float *y, float *dx, int64_t rows,
                                 int64_t n);
    /* loss[r] = log sum exp x[r] - x[r, label[r]]; probabilities [rows, n] may be NULL. A label outside 0 ..< n gives
     * loss 0 and the gradient 0: the caller has checked the labels, or means to ignore those rows. */
    void (*sparse_cross_entropy)(const dl_runtime *runtime, const float *x, const void *labels, int64_t label_bytes,
                                 float *loss, float *probabilities, int64_t rows, int64_t n);
    /* dx = (probabilities - onehot(label)) scale[r]. */
    void (*sparse_cross_entropy_gradient)(const dl_runtime *runtime, const float *probabilities, const void *labels,
                                          int64_t label_bytes, const float *scale, float *dx, int64_t rows, int64_t n);
    /* loss[r] = sum_j t[r, j] (log sum exp x[r] - x[r, j]). */
    void (*cross_entropy)(const dl_runtime *runtime, const float *x, const float *targets, float *loss,
                          float *probabilities, int64_t rows, int64_t n);
    /* dx = (probabilities sum_j t[r, j] - t) scale[r]. */
    void (*cross_entropy_gradient)(const dl_runtime *runtime, const float *probabilities, const float *targets,
                                   const float *scale, float *dx, int64_t rows, int64_t n);

    void (*max_pool)(const dl_runtime *runtime, const dl_pool2d *problem, const float *x, float *y);
    /* The gradient goes to the first of equal largest elements of a window. */
    void (*max_pool_gradient)(const dl_runtime *runtime, const dl_pool2d *problem, const float *x, const float *y,
                              const float *dy, float *dx);
    void (*average_pool)(const dl_runtime *runtime, const dl_pool2d *problem, const float *x, float *y);
    void (*average_pool_gradient)(const dl_runtime *runtime, const dl_pool2d *problem, const float *dy, float *dx);

    /* Batch normalisation of x [rows, c]. scratch: norm_scratch(rows, c) floats. */
    int64_t (*norm_scratch)(int64_t rows, int64_t c);
    /* Mean and biased variance of each column. */
    void (*column_moments)(const dl_runtime *runtime, const float *x, float *mean, float *variance, int64_t rows,
                           int64_t c, float *scratch);
    /* y = (x - mean) / sqrt(variance + epsilon) gamma + beta + residual, cut off below 0 with relu. gamma, beta and
     * residual may be NULL. */
    void (*batch_norm)(const dl_runtime *runtime, const float *x, const float *mean, const float *variance,
                       const float *gamma, const float *beta, float epsilon, const float *residual, int32_t relu,
                       float *y, int64_t rows, int64_t c, float *scratch);
    void (*batch_norm_gradient)(const dl_runtime *runtime, const dl_batch_norm_gradient *arguments);

    /* scratch of the gradient: row_norm_scratch(rows, n) floats. */
    int64_t (*row_norm_scratch)(int64_t rows, int64_t n);
    void (*row_norm)(const dl_runtime *runtime, const dl_row_norm *arguments);
    void (*row_norm_gradient)(const dl_runtime *runtime, const dl_row_norm *arguments);

    /* Local response normalisation of x [rows, c] across c: y = x d^-beta with d = k + scale * (the sum of x^2 over the
     * columns from `before` before to `after` after), both 0 to c. y must not be x, nor dx one of the inputs.
     * scratch: local_response_scratch(rows, c) floats. */
    int64_t (*local_response_scratch)(int64_t rows, int64_t c);
    void (*local_response)(const dl_runtime *runtime, const float *x, float *y, int64_t rows, int64_t c, int64_t before,
                           int64_t after, float scale, float beta, float k);
    void (*local_response_gradient)(const dl_runtime *runtime, const float *x, const float *dy, float *dx, int64_t rows,
                                    int64_t c, int64_t before, int64_t after, float scale, float beta, float k,
                                    float *scratch);

    /* w -= rate g, after w -= decay w. */
    void (*sgd)(const dl_runtime *runtime, const float *w, const float *g, float *w_out, int64_t n, float rate,
                float decay);
    /* m = momentum m - rate g; w += m, or with nesterov w += momentum m - rate g. */
    void (*sgd_momentum)(const dl_runtime *runtime, const float *w, const float *g, const float *m, float *w_out,
                         float *m_out, int64_t n, float rate, float momentum, int64_t nesterov, float decay);
    /* v_max and v_max_out are NULL without amsgrad. */
    void (*adam)(const dl_runtime *runtime, const float *w, const float *g, const float *m, const float *v,
                 const float *v_max, float *w_out, float *m_out, float *v_out, float *v_max_out, int64_t n,
                 const dl_adam *parameters);
    /* mean and its output are NULL when not centered, velocity's without momentum. */
    void (*rmsprop)(const dl_runtime *runtime, const float *w, const float *g, const float *v, const float *mean,
                    const float *velocity, float *w_out, float *v_out, float *mean_out, float *velocity_out,
                    int64_t n, const dl_rmsprop *parameters);
    /* a and b are NULL where the rule has no such state. */
    void (*update)(const dl_runtime *runtime, int64_t rule, const dl_update *update);

    /* Philox4x32-10. Word i of a stream depends on seed, offset and i alone. */
    void (*philox_words)(const dl_runtime *runtime, uint64_t seed, uint64_t offset, uint32_t *words, int64_t n);
    /* low + (high - low) u, u in [0, 1). */
    void (*random_uniform)(const dl_runtime *runtime, uint64_t seed, uint64_t offset, float low, float high, float *y,
                           int64_t n);
    void (*random_normal)(const dl_runtime *runtime, uint64_t seed, uint64_t offset, float mean, float deviation,
                          float *y, int64_t n);
    /* y = u >= rate ? x scale : 0; mask bytes are written when not NULL. */
    void (*dropout)(const dl_runtime *runtime, uint64_t seed, uint64_t offset, float rate, float scale, const float *x,
                    float *y, uint8_t *mask, int64_t n);
    /* y = mask ? x scale : 0. */
    void (*masked_scale)(const dl_runtime *runtime, const uint8_t *mask, float scale, const float *x, float *y,
                         int64_t n);
} dl_math_kernels;

void dl_math_kernels_avx2(dl_math_kernels *table);
void dl_math_kernels_avx512(dl_math_kernels *table);

#endif
