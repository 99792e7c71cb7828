#ifndef DL_SIMD_MASKED_H
#define DL_SIMD_MASKED_H

/* Loads and stores of the first `count` lanes of a vector. Lanes at or above count read as zero and are
 * neither read from nor written to memory, so the ends of rows need no padding in the buffers. */

#include "dl_simd.h"

#if defined(__AVX512F__)
DL_SIMD_INLINE unsigned short dl_mask16(long count) {
    return (unsigned short)(count >= 16 ? 0xffffu : (1u << count) - 1u);
}
DL_SIMD_INLINE dl_f16 dl_load_first16(const float *from, long count) {
    typedef float v16 __attribute__((vector_size(64)));
    return (dl_f16)__builtin_ia32_loadups512_mask(from, (v16)(dl_f16)0.0f, dl_mask16(count));
}
DL_SIMD_INLINE void dl_store_first16(float *to, dl_f16 value, long count) {
    typedef float v16 __attribute__((vector_size(64)));
    __builtin_ia32_storeups512_mask(to, (v16)value, dl_mask16(count));
}
#endif

#if defined(__AVX2__)
DL_SIMD_INLINE dl_i8 dl_mask8(long count) {
    const dl_i8 positions = {0, 1, 2, 3, 4, 5, 6, 7};
    return positions < (dl_i8)(int)(count > 8 ? 8 : count);
}
DL_SIMD_INLINE dl_f8 dl_load_first8(const float *from, long count) {
    typedef float v8 __attribute__((vector_size(32)));
    typedef int i8 __attribute__((vector_size(32)));
    return (dl_f8)__builtin_ia32_maskloadps256((const v8 *)from, (i8)dl_mask8(count));
}
DL_SIMD_INLINE void dl_store_first8(float *to, dl_f8 value, long count) {
    typedef float v8 __attribute__((vector_size(32)));
    typedef int i8 __attribute__((vector_size(32)));
    __builtin_ia32_maskstoreps256((v8 *)to, (i8)dl_mask8(count), (v8)value);
}
#endif

#endif
