#ifndef DL_SIMD_TRANSPOSE_H
#define DL_SIMD_TRANSPOSE_H

/* Transposition of small blocks in registers, for packing and for changes of layout.
 *
 * An n by n block is transposed in log2(n) rounds: the round of distance d exchanges the off-diagonal d by d
 * quarters of every 2d by 2d block. */

#include "dl_simd_masked.h"

/* Vectors at any address. */
typedef float dl_f4u __attribute__((ext_vector_type(4), aligned(4)));
typedef float dl_f8u __attribute__((ext_vector_type(8), aligned(4)));
typedef float dl_f16u __attribute__((ext_vector_type(16), aligned(4)));

#if defined(__AVX512F__)
#define DL_SWAP16_8(a, b) do { dl_f16 t = __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23); \
    b = __builtin_shufflevector(a, b, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31); a = t; } while (0)
#define DL_SWAP16_4(a, b) do { dl_f16 t = __builtin_shufflevector(a, b, 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27); \
    b = __builtin_shufflevector(a, b, 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31); a = t; } while (0)
#define DL_SWAP16_2(a, b) do { dl_f16 t = __builtin_shufflevector(a, b, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29); \
    b = __builtin_shufflevector(a, b, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31); a = t; } while (0)
#define DL_SWAP16_1(a, b) do { dl_f16 t = __builtin_shufflevector(a, b, 0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30); \
    b = __builtin_shufflevector(a, b, 1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31); a = t; } while (0)

/* to[j][i] = from[i][j] for i < rows and j < columns, both at most 16. Lanes i >= rows of each row of `to` become zero:
 * `columns` rows of `width` floats, at most 16, are written. */
DL_SIMD_INLINE void dl_transpose16(const float *from, long from_stride, long rows, float *to, long to_stride, long columns,
                                  long width) {
    dl_f16 r0 = 0 < rows ? dl_load_first16(from + 0 * from_stride, columns) : (dl_f16)0.0f;
    dl_f16 r1 = 1 < rows ? dl_load_first16(from + 1 * from_stride, columns) : (dl_f16)0.0f;
    dl_f16 r2 = 2 < rows ? dl_load_first16(from + 2 * from_stride, columns) : (dl_f16)0.0f;
    dl_f16 r3 = 3 < rows ? dl_load_first16(from + 3 * from_stride, columns) : (dl_f16)0.0f;
    dl_f16 r4 = 4 < rows ? dl_load_first16(from + 4 * from_stride, columns) : (dl_f16)0.0f;
    dl_f16 r5 = 5 < rows ? dl_load_first16(from + 5 * from_stride, columns) : (dl_f16)0.0f;
    dl_f16 r6 = 6 < rows ? dl_load_first16(from + 6 * from_stride, columns) : (dl_f16)0.0f;
    dl_f16 r7 = 7 < rows ? dl_load_first16(from + 7 * from_stride, columns) : (dl_f16)0.0f;
    dl_f16 r8 = 8 < rows ? dl_load_first16(from + 8 * from_stride, columns) : (dl_f16)0.0f;
    dl_f16 r9 = 9 < rows ? dl_load_first16(from + 9 * from_stride, columns) : (dl_f16)0.0f;
    dl_f16 r10 = 10 < rows ? dl_load_first16(from + 10 * from_stride, columns) : (dl_f16)0.0f;
    dl_f16 r11 = 11 < rows ? dl_load_first16(from + 11 * from_stride, columns) : (dl_f16)0.0f;
    dl_f16 r12 = 12 < rows ? dl_load_first16(from + 12 * from_stride, columns) : (dl_f16)0.0f;
    dl_f16 r13 = 13 < rows ? dl_load_first16(from + 13 * from_stride, columns) : (dl_f16)0.0f;
    dl_f16 r14 = 14 < rows ? dl_load_first16(from + 14 * from_stride, columns) : (dl_f16)0.0f;
    dl_f16 r15 = 15 < rows ? dl_load_first16(from + 15 * from_stride, columns) : (dl_f16)0.0f;
    DL_SWAP16_8(r0, r8); DL_SWAP16_8(r1, r9); DL_SWAP16_8(r2, r10); DL_SWAP16_8(r3, r11); DL_SWAP16_8(r4, r12);
    DL_SWAP16_8(r5, r13); DL_SWAP16_8(r6, r14); DL_SWAP16_8(r7, r15);
    DL_SWAP16_4(r0, r4); DL_SWAP16_4(r1, r5); DL_SWAP16_4(r2, r6); DL_SWAP16_4(r3, r7); DL_SWAP16_4(r8, r12);
    DL_SWAP16_4(r9, r13); DL_SWAP16_4(r10, r14); DL_SWAP16_4(r11, r15);
    DL_SWAP16_2(r0, r2); DL_SWAP16_2(r1, r3); DL_SWAP16_2(r4, r6); DL_SWAP16_2(r5, r7); DL_SWAP16_2(r8, r10);
    DL_SWAP16_2(r9, r11); DL_SWAP16_2(r12, r14); DL_SWAP16_2(r13, r15);
    DL_SWAP16_1(r0, r1); DL_SWAP16_1(r2, r3); DL_SWAP16_1(r4, r5); DL_SWAP16_1(r6, r7); DL_SWAP16_1(r8, r9);
    DL_SWAP16_1(r10, r11); DL_SWAP16_1(r12, r13); DL_SWAP16_1(r14, r15);
    if (0 < columns) dl_store_first16(to + 0 * to_stride, r0, width);
    if (1 < columns) dl_store_first16(to + 1 * to_stride, r1, width);
    if (2 < columns) dl_store_first16(to + 2 * to_stride, r2, width);
    if (3 < columns) dl_store_first16(to + 3 * to_stride, r3, width);
    if (4 < columns) dl_store_first16(to + 4 * to_stride, r4, width);
    if (5 < columns) dl_store_first16(to + 5 * to_stride, r5, width);
    if (6 < columns) dl_store_first16(to + 6 * to_stride, r6, width);
    if (7 < columns) dl_store_first16(to + 7 * to_stride, r7, width);
    if (8 < columns) dl_store_first16(to + 8 * to_stride, r8, width);
    if (9 < columns) dl_store_first16(to + 9 * to_stride, r9, width);
    if (10 < columns) dl_store_first16(to + 10 * to_stride, r10, width);
    if (11 < columns) dl_store_first16(to + 11 * to_stride, r11, width);
    if (12 < columns) dl_store_first16(to + 12 * to_stride, r12, width);
    if (13 < columns) dl_store_first16(to + 13 * to_stride, r13, width);
    if (14 < columns) dl_store_first16(to + 14 * to_stride, r14, width);
    if (15 < columns) dl_store_first16(to + 15 * to_stride, r15, width);
}
#endif

#if defined(__AVX2__)
#define DL_SWAP8_4(a, b) do { dl_f8 t = __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11); \
    b = __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15); a = t; } while (0)
#define DL_SWAP8_2(a, b) do { dl_f8 t = __builtin_shufflevector(a, b, 0, 1, 8, 9, 4, 5, 12, 13); \
    b = __builtin_shufflevector(a, b, 2, 3, 10, 11, 6, 7, 14, 15); a = t; } while (0)
#define DL_SWAP8_1(a, b) do { dl_f8 t = __builtin_shufflevector(a, b, 0, 8, 2, 10, 4, 12, 6, 14); \
    b = __builtin_shufflevector(a, b, 1, 9, 3, 11, 5, 13, 7, 15); a = t; } while (0)

/* to[j][i] = from[i][j] for i < rows and j < columns, both at most 8. Lanes i >= rows of each row of `to` become zero:
 * `columns` rows of `width` floats, at most 8, are written. */
DL_SIMD_INLINE void dl_transpose8(const float *from, long from_stride, long rows, float *to, long to_stride, long columns,
                                  long width) {
    dl_f8 r0 = 0 < rows ? dl_load_first8(from + 0 * from_stride, columns) : (dl_f8)0.0f;
    dl_f8 r1 = 1 < rows ? dl_load_first8(from + 1 * from_stride, columns) : (dl_f8)0.0f;
    dl_f8 r2 = 2 < rows ? dl_load_first8(from + 2 * from_stride, columns) : (dl_f8)0.0f;
    dl_f8 r3 = 3 < rows ? dl_load_first8(from + 3 * from_stride, columns) : (dl_f8)0.0f;
    dl_f8 r4 = 4 < rows ? dl_load_first8(from + 4 * from_stride, columns) : (dl_f8)0.0f;
    dl_f8 r5 = 5 < rows ? dl_load_first8(from + 5 * from_stride, columns) : (dl_f8)0.0f;
    dl_f8 r6 = 6 < rows ? dl_load_first8(from + 6 * from_stride, columns) : (dl_f8)0.0f;
    dl_f8 r7 = 7 < rows ? dl_load_first8(from + 7 * from_stride, columns) : (dl_f8)0.0f;
    DL_SWAP8_4(r0, r4); DL_SWAP8_4(r1, r5); DL_SWAP8_4(r2, r6); DL_SWAP8_4(r3, r7);
    DL_SWAP8_2(r0, r2); DL_SWAP8_2(r1, r3); DL_SWAP8_2(r4, r6); DL_SWAP8_2(r5, r7);
    DL_SWAP8_1(r0, r1); DL_SWAP8_1(r2, r3); DL_SWAP8_1(r4, r5); DL_SWAP8_1(r6, r7);
    if (0 < columns) dl_store_first8(to + 0 * to_stride, r0, width);
    if (1 < columns) dl_store_first8(to + 1 * to_stride, r1, width);
    if (2 < columns) dl_store_first8(to + 2 * to_stride, r2, width);
    if (3 < columns) dl_store_first8(to + 3 * to_stride, r3, width);
    if (4 < columns) dl_store_first8(to + 4 * to_stride, r4, width);
    if (5 < columns) dl_store_first8(to + 5 * to_stride, r5, width);
    if (6 < columns) dl_store_first8(to + 6 * to_stride, r6, width);
    if (7 < columns) dl_store_first8(to + 7 * to_stride, r7, width);
}
#endif

#if defined(__AVX512F__)
#define DL_LOW16(a, b) __builtin_shufflevector(a, b, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29)
#define DL_HIGH16(a, b) __builtin_shufflevector(a, b, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31)
#define DL_LOW_PAIRS16(a, b) __builtin_shufflevector(a, b, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29)
#define DL_HIGH_PAIRS16(a, b) __builtin_shufflevector(a, b, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31)

/* Four planes of 16 positions become positions of four channels, `stride` floats apart: four floats are written for
 * each, in ascending order. */
DL_SIMD_INLINE void dl_interleave16(dl_f16 a, dl_f16 b, dl_f16 c, dl_f16 d, float *to, long stride) {
    dl_f16 ab = DL_LOW16(a, b), ab2 = DL_HIGH16(a, b), cd = DL_LOW16(c, d), cd2 = DL_HIGH16(c, d);
    dl_f16 p0 = DL_LOW_PAIRS16(ab, cd), p1 = DL_HIGH_PAIRS16(ab, cd);
    dl_f16 p2 = DL_LOW_PAIRS16(ab2, cd2), p3 = DL_HIGH_PAIRS16(ab2, cd2);
    *(dl_f4u *)(to + 0 * stride) = __builtin_shufflevector(p0, p0, 0, 1, 2, 3);
    *(dl_f4u *)(to + 1 * stride) = __builtin_shufflevector(p1, p1, 0, 1, 2, 3);
    *(dl_f4u *)(to + 2 * stride) = __builtin_shufflevector(p2, p2, 0, 1, 2, 3);
    *(dl_f4u *)(to + 3 * stride) = __builtin_shufflevector(p3, p3, 0, 1, 2, 3);
    *(dl_f4u *)(to + 4 * stride) = __builtin_shufflevector(p0, p0, 4, 5, 6, 7);
    *(dl_f4u *)(to + 5 * stride) = __builtin_shufflevector(p1, p1, 4, 5, 6, 7);
    *(dl_f4u *)(to + 6 * stride) = __builtin_shufflevector(p2, p2, 4, 5, 6, 7);
    *(dl_f4u *)(to + 7 * stride) = __builtin_shufflevector(p3, p3, 4, 5, 6, 7);
    *(dl_f4u *)(to + 8 * stride) = __builtin_shufflevector(p0, p0, 8, 9, 10, 11);
    *(dl_f4u *)(to + 9 * stride) = __builtin_shufflevector(p1, p1, 8, 9, 10, 11);
    *(dl_f4u *)(to + 10 * stride) = __builtin_shufflevector(p2, p2, 8, 9, 10, 11);
    *(dl_f4u *)(to + 11 * stride) = __builtin_shufflevector(p3, p3, 8, 9, 10, 11);
    *(dl_f4u *)(to + 12 * stride) = __builtin_shufflevector(p0, p0, 12, 13, 14, 15);
    *(dl_f4u *)(to + 13 * stride) = __builtin_shufflevector(p1, p1, 12, 13, 14, 15);
    *(dl_f4u *)(to + 14 * stride) = __builtin_shufflevector(p2, p2, 12, 13, 14, 15);
    *(dl_f4u *)(to + 15 * stride) = __builtin_shufflevector(p3, p3, 12, 13, 14, 15);
}

/* The inverse: four floats are read at each of 16 positions; the first `channels` planes of them are written, with
 * zeros from position `count` on. */
DL_SIMD_INLINE void dl_deinterleave16(const float *from, long stride, float *planes, long plane_stride, long channels,
                                      long count) {
    dl_f8 p0a = __builtin_shufflevector(*(const dl_f4u *)(from + 0 * stride), *(const dl_f4u *)(from + 4 * stride), 0, 1, 2, 3, 4, 5, 6, 7);
    dl_f8 p0b = __builtin_shufflevector(*(const dl_f4u *)(from + 8 * stride), *(const dl_f4u *)(from + 12 * stride), 0, 1, 2, 3, 4, 5, 6, 7);
    dl_f16 p0 = __builtin_shufflevector(p0a, p0b, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    dl_f8 p1a = __builtin_shufflevector(*(const dl_f4u *)(from + 1 * stride), *(const dl_f4u *)(from + 5 * stride), 0, 1, 2, 3, 4, 5, 6, 7);
    dl_f8 p1b = __builtin_shufflevector(*(const dl_f4u *)(from + 9 * stride), *(const dl_f4u *)(from + 13 * stride), 0, 1, 2, 3, 4, 5, 6, 7);
    dl_f16 p1 = __builtin_shufflevector(p1a, p1b, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    dl_f8 p2a = __builtin_shufflevector(*(const dl_f4u *)(from + 2 * stride), *(const dl_f4u *)(from + 6 * stride), 0, 1, 2, 3, 4, 5, 6, 7);
    dl_f8 p2b = __builtin_shufflevector(*(const dl_f4u *)(from + 10 * stride), *(const dl_f4u *)(from + 14 * stride), 0, 1, 2, 3, 4, 5, 6, 7);
    dl_f16 p2 = __builtin_shufflevector(p2a, p2b, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    dl_f8 p3a = __builtin_shufflevector(*(const dl_f4u *)(from + 3 * stride), *(const dl_f4u *)(from + 7 * stride), 0, 1, 2, 3, 4, 5, 6, 7);
    dl_f8 p3b = __builtin_shufflevector(*(const dl_f4u *)(from + 11 * stride), *(const dl_f4u *)(from + 15 * stride), 0, 1, 2, 3, 4, 5, 6, 7);
    dl_f16 p3 = __builtin_shufflevector(p3a, p3b, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    dl_f16 ab = DL_LOW16(p0, p1), ab2 = DL_HIGH16(p0, p1), cd = DL_LOW16(p2, p3), cd2 = DL_HIGH16(p2, p3);
    const dl_i16 lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    dl_i16 inside = lane < (dl_i16)(int)(count > 16 ? 16 : count);
#define DL_KEEP(v) ((dl_f16)((dl_i16)(v) & inside))
    *(dl_f16u *)planes = DL_KEEP(DL_LOW_PAIRS16(ab, cd));
    if (channels > 1) *(dl_f16u *)(planes + plane_stride) = DL_KEEP(DL_HIGH_PAIRS16(ab, cd));
    if (channels > 2) *(dl_f16u *)(planes + 2 * plane_stride) = DL_KEEP(DL_LOW_PAIRS16(ab2, cd2));
    if (channels > 3) *(dl_f16u *)(planes + 3 * plane_stride) = DL_KEEP(DL_HIGH_PAIRS16(ab2, cd2));
#undef DL_KEEP
}
#endif

#if defined(__AVX2__)
#define DL_LOW8(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 4, 12, 5, 13)
#define DL_HIGH8(a, b) __builtin_shufflevector(a, b, 2, 10, 3, 11, 6, 14, 7, 15)
#define DL_LOW_PAIRS8(a, b) __builtin_shufflevector(a, b, 0, 1, 8, 9, 4, 5, 12, 13)
#define DL_HIGH_PAIRS8(a, b) __builtin_shufflevector(a, b, 2, 3, 10, 11, 6, 7, 14, 15)

/* Four planes of 8 positions become positions of four channels, `stride` floats apart: four floats are written for
 * each, in ascending order. */
DL_SIMD_INLINE void dl_interleave8(dl_f8 a, dl_f8 b, dl_f8 c, dl_f8 d, float *to, long stride) {
    dl_f8 ab = DL_LOW8(a, b), ab2 = DL_HIGH8(a, b), cd = DL_LOW8(c, d), cd2 = DL_HIGH8(c, d);
    dl_f8 p0 = DL_LOW_PAIRS8(ab, cd), p1 = DL_HIGH_PAIRS8(ab, cd);
    dl_f8 p2 = DL_LOW_PAIRS8(ab2, cd2), p3 = DL_HIGH_PAIRS8(ab2, cd2);
    *(dl_f4u *)(to + 0 * stride) = __builtin_shufflevector(p0, p0, 0, 1, 2, 3);
    *(dl_f4u *)(to + 1 * stride) = __builtin_shufflevector(p1, p1, 0, 1, 2, 3);
    *(dl_f4u *)(to + 2 * stride) = __builtin_shufflevector(p2, p2, 0, 1, 2, 3);
    *(dl_f4u *)(to + 3 * stride) = __builtin_shufflevector(p3, p3, 0, 1, 2, 3);
    *(dl_f4u *)(to + 4 * stride) = __builtin_shufflevector(p0, p0, 4, 5, 6, 7);
    *(dl_f4u *)(to + 5 * stride) = __builtin_shufflevector(p1, p1, 4, 5, 6, 7);
    *(dl_f4u *)(to + 6 * stride) = __builtin_shufflevector(p2, p2, 4, 5, 6, 7);
    *(dl_f4u *)(to + 7 * stride) = __builtin_shufflevector(p3, p3, 4, 5, 6, 7);
}

/* The inverse: four floats are read at each of 8 positions; the first `channels` planes of them are written, with
 * zeros from position `count` on. */
DL_SIMD_INLINE void dl_deinterleave8(const float *from, long stride, float *planes, long plane_stride, long channels,
                                      long count) {
    dl_f8 p0 = __builtin_shufflevector(*(const dl_f4u *)(from + 0 * stride), *(const dl_f4u *)(from + 4 * stride), 0, 1, 2, 3, 4, 5, 6, 7);
    dl_f8 p1 = __builtin_shufflevector(*(const dl_f4u *)(from + 1 * stride), *(const dl_f4u *)(from + 5 * stride), 0, 1, 2, 3, 4, 5, 6, 7);
    dl_f8 p2 = __builtin_shufflevector(*(const dl_f4u *)(from + 2 * stride), *(const dl_f4u *)(from + 6 * stride), 0, 1, 2, 3, 4, 5, 6, 7);
    dl_f8 p3 = __builtin_shufflevector(*(const dl_f4u *)(from + 3 * stride), *(const dl_f4u *)(from + 7 * stride), 0, 1, 2, 3, 4, 5, 6, 7);
    dl_f8 ab = DL_LOW8(p0, p1), ab2 = DL_HIGH8(p0, p1), cd = DL_LOW8(p2, p3), cd2 = DL_HIGH8(p2, p3);
    const dl_i8 lane = {0, 1, 2, 3, 4, 5, 6, 7};
    dl_i8 inside = lane < (dl_i8)(int)(count > 8 ? 8 : count);
#define DL_KEEP(v) ((dl_f8)((dl_i8)(v) & inside))
    *(dl_f8u *)planes = DL_KEEP(DL_LOW_PAIRS8(ab, cd));
    if (channels > 1) *(dl_f8u *)(planes + plane_stride) = DL_KEEP(DL_HIGH_PAIRS8(ab, cd));
    if (channels > 2) *(dl_f8u *)(planes + 2 * plane_stride) = DL_KEEP(DL_LOW_PAIRS8(ab2, cd2));
    if (channels > 3) *(dl_f8u *)(planes + 3 * plane_stride) = DL_KEEP(DL_HIGH_PAIRS8(ab2, cd2));
#undef DL_KEEP
}
#endif

#if defined(__AVX512F__)
/* Lane i of the result is the sum of the lanes of the i-th of 16 vectors in memory. */
DL_SIMD_INLINE dl_f16 dl_lane_sums16(const float *vectors) {
    dl_f16 r0 = *(const dl_f16u *)(vectors + 0);
    dl_f16 r1 = *(const dl_f16u *)(vectors + 16);
    dl_f16 r2 = *(const dl_f16u *)(vectors + 32);
    dl_f16 r3 = *(const dl_f16u *)(vectors + 48);
    dl_f16 r4 = *(const dl_f16u *)(vectors + 64);
    dl_f16 r5 = *(const dl_f16u *)(vectors + 80);
    dl_f16 r6 = *(const dl_f16u *)(vectors + 96);
    dl_f16 r7 = *(const dl_f16u *)(vectors + 112);
    dl_f16 r8 = *(const dl_f16u *)(vectors + 128);
    dl_f16 r9 = *(const dl_f16u *)(vectors + 144);
    dl_f16 r10 = *(const dl_f16u *)(vectors + 160);
    dl_f16 r11 = *(const dl_f16u *)(vectors + 176);
    dl_f16 r12 = *(const dl_f16u *)(vectors + 192);
    dl_f16 r13 = *(const dl_f16u *)(vectors + 208);
    dl_f16 r14 = *(const dl_f16u *)(vectors + 224);
    dl_f16 r15 = *(const dl_f16u *)(vectors + 240);
    DL_SWAP16_8(r0, r8); r0 += r8; DL_SWAP16_8(r1, r9); r1 += r9; DL_SWAP16_8(r2, r10); r2 += r10;
    DL_SWAP16_8(r3, r11); r3 += r11; DL_SWAP16_8(r4, r12); r4 += r12; DL_SWAP16_8(r5, r13); r5 += r13;
    DL_SWAP16_8(r6, r14); r6 += r14; DL_SWAP16_8(r7, r15); r7 += r15;
    DL_SWAP16_4(r0, r4); r0 += r4; DL_SWAP16_4(r1, r5); r1 += r5; DL_SWAP16_4(r2, r6); r2 += r6;
    DL_SWAP16_4(r3, r7); r3 += r7;
    DL_SWAP16_2(r0, r2); r0 += r2; DL_SWAP16_2(r1, r3); r1 += r3;
    DL_SWAP16_1(r0, r1); r0 += r1;
    return r0;
}
#endif

#if defined(__AVX2__)
/* Lane i of the result is the sum of the lanes of the i-th of 8 vectors in memory. */
DL_SIMD_INLINE dl_f8 dl_lane_sums8(const float *vectors) {
    dl_f8 r0 = *(const dl_f8u *)(vectors + 0);
    dl_f8 r1 = *(const dl_f8u *)(vectors + 8);
    dl_f8 r2 = *(const dl_f8u *)(vectors + 16);
    dl_f8 r3 = *(const dl_f8u *)(vectors + 24);
    dl_f8 r4 = *(const dl_f8u *)(vectors + 32);
    dl_f8 r5 = *(const dl_f8u *)(vectors + 40);
    dl_f8 r6 = *(const dl_f8u *)(vectors + 48);
    dl_f8 r7 = *(const dl_f8u *)(vectors + 56);
    DL_SWAP8_4(r0, r4); r0 += r4; DL_SWAP8_4(r1, r5); r1 += r5; DL_SWAP8_4(r2, r6); r2 += r6;
    DL_SWAP8_4(r3, r7); r3 += r7;
    DL_SWAP8_2(r0, r2); r0 += r2; DL_SWAP8_2(r1, r3); r1 += r3;
    DL_SWAP8_1(r0, r1); r0 += r1;
    return r0;
}
#endif

#endif
