#ifndef DL_PROCESSOR_H
#define DL_PROCESSOR_H

#include <stddef.h>
#include <stdint.h>

/* The vector units both the processor and the operating system offer: 0 less than AVX2 with FMA,
 * 1 all of x86-64-v3 (AVX2, FMA, BMI, F16C), 2 all of x86-64-v4 (AVX-512 F, BW, CD, DQ, VL).
 * The environment variable DL_CPU (baseline, avx2, avx512) can only lower it. */
int32_t dl_processor_level(void);

/* Writes the processor's name ("unknown" where it has none) as a C string of at most size bytes, the zero included. */
void dl_processor_name(char *text, size_t size);

/* Writes the names of the vector extensions found, separated by blanks, in the same way. */
void dl_processor_features(char *text, size_t size);

#endif
