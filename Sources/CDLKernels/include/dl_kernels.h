#ifndef DL_KERNELS_H
#define DL_KERNELS_H

/* The tables through which the library reaches its tuned kernels. One table of each kind is filled by each
 * build of the kernels (AVX2 with FMA, AVX-512); the processor decides which is used, once, when the library loads. */

#include "dl_runtime.h"
#include "dl_simd.h"
#include "dl_simd_masked.h"
#include "dl_simd_transpose.h"
#include "dl_kernels_convolution.h"
#include "dl_kernels_math.h"
#include "dl_kernels_recurrent.h"

#endif
