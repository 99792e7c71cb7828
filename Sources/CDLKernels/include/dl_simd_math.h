#ifndef DL_SIMD_MATH_H
#define DL_SIMD_MATH_H

/* Vector operations of the element-wise, reduction and pooling kernels, for 8 and 16 lanes.
 * A comparison gives an integer vector of -1 and 0, which Swift combines with & and | and passes to select. */

#include <stdint.h>

#include "dl_simd.h"

typedef unsigned int dl_u8 __attribute__((ext_vector_type(8)));
typedef unsigned int dl_u16 __attribute__((ext_vector_type(16)));
typedef unsigned char dl_b8 __attribute__((ext_vector_type(8)));
typedef unsigned char dl_b16 __attribute__((ext_vector_type(16)));
typedef uint64_t dl_w8 __attribute__((ext_vector_type(8)));
typedef uint64_t dl_w16 __attribute__((ext_vector_type(16)));

#define DL_SIMD_MATH(W)                                                                                             \
    DL_SIMD_INLINE dl_i##W dl_lt##W(dl_f##W a, dl_f##W b) { return a < b; }                                         \
    DL_SIMD_INLINE dl_i##W dl_le##W(dl_f##W a, dl_f##W b) { return a <= b; }                                        \
    DL_SIMD_INLINE dl_i##W dl_eq##W(dl_f##W a, dl_f##W b) { return a == b; }                                        \
    DL_SIMD_INLINE dl_i##W dl_ne##W(dl_f##W a, dl_f##W b) { return a != b; }                                        \
    DL_SIMD_INLINE dl_i##W dl_ilt##W(dl_i##W a, dl_i##W b) { return a < b; }                                        \
    DL_SIMD_INLINE dl_i##W dl_ieq##W(dl_i##W a, dl_i##W b) { return a == b; }                                       \
    DL_SIMD_INLINE dl_f##W dl_select##W(dl_i##W mask, dl_f##W a, dl_f##W b) { return mask ? a : b; }                \
    DL_SIMD_INLINE dl_i##W dl_iselect##W(dl_i##W mask, dl_i##W a, dl_i##W b) { return mask ? a : b; }               \
    DL_SIMD_INLINE int dl_any##W(dl_i##W mask) { return __builtin_reduce_or(mask) != 0; }                           \
    DL_SIMD_INLINE dl_b##W dl_bytes##W(dl_i##W mask) { return __builtin_convertvector(mask & 1, dl_b##W); }         \
    DL_SIMD_INLINE dl_i##W dl_ofbytes##W(dl_b##W b) { return __builtin_convertvector(b, dl_i##W); }                 \
    DL_SIMD_INLINE dl_b##W dl_tobytes##W(dl_i##W i) { return __builtin_convertvector(i, dl_b##W); }                 \
    DL_SIMD_INLINE dl_f##W dl_floor##W(dl_f##W a) { return __builtin_elementwise_floor(a); }                        \
    DL_SIMD_INLINE dl_f##W dl_ceil##W(dl_f##W a) { return __builtin_elementwise_ceil(a); }                          \
    DL_SIMD_INLINE dl_f##W dl_rint##W(dl_f##W a) { return __builtin_elementwise_roundeven(a); }                     \
    DL_SIMD_INLINE dl_f##W dl_abs##W(dl_f##W a) { return __builtin_elementwise_abs(a); }                            \
    DL_SIMD_INLINE dl_f##W dl_copysign##W(dl_f##W a, dl_f##W s) { return __builtin_elementwise_copysign(a, s); }    \
    /* Upper half of the 64-bit product of each lane. */                                                            \
    DL_SIMD_INLINE dl_u##W dl_mulhi##W(dl_u##W a, dl_u##W b) {                                                      \
        return __builtin_convertvector(                                                                             \
            (__builtin_convertvector(a, dl_w##W) * __builtin_convertvector(b, dl_w##W)) >> 32, dl_u##W);            \
    }

DL_SIMD_MATH(8)
DL_SIMD_MATH(16)

/* Sums and extremes across the lanes, in a fixed tree. */
DL_SIMD_INLINE float dl_hsum8(dl_f8 a) {
    float __attribute__((ext_vector_type(4))) b = a.lo + a.hi;
    float __attribute__((ext_vector_type(2))) c = b.lo + b.hi;
    return c.x + c.y;
}
DL_SIMD_INLINE float dl_hsum16(dl_f16 a) { return dl_hsum8(a.lo + a.hi); }
DL_SIMD_INLINE float dl_hmul8(dl_f8 a) {
    float __attribute__((ext_vector_type(4))) b = a.lo * a.hi;
    float __attribute__((ext_vector_type(2))) c = b.lo * b.hi;
    return c.x * c.y;
}
DL_SIMD_INLINE float dl_hmul16(dl_f16 a) { return dl_hmul8(a.lo * a.hi); }
DL_SIMD_INLINE float dl_hmax8(dl_f8 a) {
    float __attribute__((ext_vector_type(4))) b = a.lo > a.hi ? a.lo : a.hi;
    float __attribute__((ext_vector_type(2))) c = b.lo > b.hi ? b.lo : b.hi;
    return c.x > c.y ? c.x : c.y;
}
DL_SIMD_INLINE float dl_hmax16(dl_f16 a) { return dl_hmax8(a.lo > a.hi ? a.lo : a.hi); }
DL_SIMD_INLINE float dl_hmin8(dl_f8 a) { return -dl_hmax8(-a); }
DL_SIMD_INLINE float dl_hmin16(dl_f16 a) { return -dl_hmax16(-a); }

/* The first lanes of a vector, 0 <= count <= lanes. What lies behind them is neither read nor written. */
#ifdef __AVX2__
DL_SIMD_INLINE dl_f8 dl_load8(const float *p, int64_t count) {
    const dl_i8 index = {0, 1, 2, 3, 4, 5, 6, 7};
    typedef float vector __attribute__((vector_size(32)));
    typedef int mask __attribute__((vector_size(32)));
    return (dl_f8)__builtin_ia32_maskloadps256((const vector *)p, (mask)(index < (int)count));
}
DL_SIMD_INLINE void dl_store8(dl_f8 value, float *p, int64_t count) {
    const dl_i8 index = {0, 1, 2, 3, 4, 5, 6, 7};
    typedef float vector __attribute__((vector_size(32)));
    typedef int mask __attribute__((vector_size(32)));
    __builtin_ia32_maskstoreps256((vector *)p, (mask)(index < (int)count), (vector)value);
}
#endif
#ifdef __AVX512F__
DL_SIMD_INLINE dl_f16 dl_load16(const float *p, int64_t count) {
    typedef float vector __attribute__((vector_size(64)));
    const vector zero = {0};
    return (dl_f16)__builtin_ia32_loadups512_mask(p, zero, (unsigned short)((1u << count) - 1));
}
/* a 2^n for whole n, rounded once; overflows and denormals as they should be. */
DL_SIMD_INLINE dl_f16 dl_scale16(dl_f16 a, dl_f16 n) {
    typedef float vector __attribute__((vector_size(64)));
    const vector zero = {0};
    return (dl_f16)__builtin_ia32_scalefps512_mask((vector)a, (vector)n, zero, (unsigned short)-1, 4);
}
DL_SIMD_INLINE void dl_store16(dl_f16 value, float *p, int64_t count) {
    typedef float vector __attribute__((vector_size(64)));
    __builtin_ia32_storeups512_mask(p, (vector)value, (unsigned short)((1u << count) - 1));
}
#endif

/* Scalar functions of the C library, under names that Swift can import from here alone. */
#define DL_LIBM1(name)                                                          \
    DL_SIMD_INLINE float dl_##name##_f(float x) { return __builtin_##name##f(x); } \
    DL_SIMD_INLINE double dl_##name##_d(double x) { return __builtin_##name(x); }
#define DL_LIBM2(name)                                                                            \
    DL_SIMD_INLINE float dl_##name##_f(float x, float y) { return __builtin_##name##f(x, y); }    \
    DL_SIMD_INLINE double dl_##name##_d(double x, double y) { return __builtin_##name(x, y); }

DL_LIBM1(exp) DL_LIBM1(expm1) DL_LIBM1(log) DL_LIBM1(log1p) DL_LIBM1(sin) DL_LIBM1(cos) DL_LIBM1(tan)
DL_LIBM1(log2) DL_LIBM1(log10) DL_LIBM1(asinh) DL_LIBM1(acosh) DL_LIBM1(atanh)
DL_LIBM1(sinh) DL_LIBM1(cosh) DL_LIBM1(tanh) DL_LIBM1(asin) DL_LIBM1(acos) DL_LIBM1(atan) DL_LIBM1(erf)
DL_LIBM2(pow) DL_LIBM2(fmod) DL_LIBM2(atan2)

#endif
