#ifndef DL_SIMD_H
#define DL_SIMD_H

/* Vector operations that Swift's SIMD types cannot be trusted to compile well. Everything is inlined by the
 * importer; the types arrive in Swift as SIMD8<Float>, SIMD16<Float> and so on. */

typedef float dl_f8 __attribute__((ext_vector_type(8)));
typedef float dl_f16 __attribute__((ext_vector_type(16)));
typedef int dl_i8 __attribute__((ext_vector_type(8)));
typedef int dl_i16 __attribute__((ext_vector_type(16)));

#define DL_SIMD_INLINE static inline __attribute__((always_inline))

#ifdef __FMA__
#define DL_SIMD_FMA(a, b, c) __builtin_elementwise_fma(a, b, c)
#else
#define DL_SIMD_FMA(a, b, c) ((a) * (b) + (c))
#endif

DL_SIMD_INLINE dl_f8 dl_fma8(dl_f8 a, dl_f8 b, dl_f8 c) { return DL_SIMD_FMA(a, b, c); }
DL_SIMD_INLINE dl_f16 dl_fma16(dl_f16 a, dl_f16 b, dl_f16 c) { return DL_SIMD_FMA(a, b, c); }

/* a > b ? a : b, so the second operand wins when either is NaN: the order vmaxps has. */
DL_SIMD_INLINE dl_f8 dl_max8(dl_f8 a, dl_f8 b) { return a > b ? a : b; }
DL_SIMD_INLINE dl_f16 dl_max16(dl_f16 a, dl_f16 b) { return a > b ? a : b; }
DL_SIMD_INLINE dl_f8 dl_min8(dl_f8 a, dl_f8 b) { return a < b ? a : b; }
DL_SIMD_INLINE dl_f16 dl_min16(dl_f16 a, dl_f16 b) { return a < b ? a : b; }

DL_SIMD_INLINE dl_f8 dl_sqrt8(dl_f8 a) { return __builtin_elementwise_sqrt(a); }
DL_SIMD_INLINE dl_f16 dl_sqrt16(dl_f16 a) { return __builtin_elementwise_sqrt(a); }

/* Truncation towards zero; the caller keeps values inside the range of int. */
DL_SIMD_INLINE dl_i8 dl_toint8(dl_f8 a) { return __builtin_convertvector(a, dl_i8); }
DL_SIMD_INLINE dl_i16 dl_toint16(dl_f16 a) { return __builtin_convertvector(a, dl_i16); }
DL_SIMD_INLINE dl_f8 dl_tofloat8(dl_i8 a) { return __builtin_convertvector(a, dl_f8); }
DL_SIMD_INLINE dl_f16 dl_tofloat16(dl_i16 a) { return __builtin_convertvector(a, dl_f16); }

/* Stores past the caches, to memory that nobody reads soon; `to` is aligned to the vector. dl_stream_fence comes between
 * the last of them and what tells other threads. */
DL_SIMD_INLINE void dl_stream8(float *to, dl_f8 a) { __builtin_nontemporal_store(a, (dl_f8 *)to); }
DL_SIMD_INLINE void dl_stream16(float *to, dl_f16 a) { __builtin_nontemporal_store(a, (dl_f16 *)to); }
DL_SIMD_INLINE void dl_stream_fence(void)
{
#ifdef __SSE__
    __builtin_ia32_sfence();
#endif
}

/* Lane i of the result is lane index[i] of a. */
#if defined(__AVX2__)
DL_SIMD_INLINE dl_f8 dl_permute8(dl_f8 a, dl_i8 index)
{
    typedef float v8 __attribute__((vector_size(32)));
    typedef int i8 __attribute__((vector_size(32)));
    return (dl_f8)__builtin_ia32_permvarsf256((v8)a, (i8)index);
}
#endif
#if defined(__AVX512F__)
DL_SIMD_INLINE dl_f16 dl_permute16(dl_f16 a, dl_i16 index)
{
    typedef float v16 __attribute__((vector_size(64)));
    typedef int i16 __attribute__((vector_size(64)));
    return (dl_f16)__builtin_ia32_permvarsf512((v16)a, (i16)index);
}
#endif

/* From here to dl_keep_denormals, numbers too small to be normal count as 0 on this thread. Moments of gradients that have
 * become 0 fade into that range, where arithmetic is a hundred times slower. */
DL_SIMD_INLINE unsigned dl_flush_denormals(void)
{
#ifdef __SSE__
    unsigned before = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(before | 0x8040u);
    return before;
#else
    return 0;
#endif
}
DL_SIMD_INLINE void dl_keep_denormals(unsigned before)
{
#ifdef __SSE__
    __builtin_ia32_ldmxcsr(before);
#else
    (void)before;
#endif
}

/* Into the first-level cache, or only into the second-level one. */
DL_SIMD_INLINE void dl_prefetch(const void *address) { __builtin_prefetch(address, 0, 3); }
DL_SIMD_INLINE void dl_prefetch_far(const void *address) { __builtin_prefetch(address, 0, 2); }

#endif
