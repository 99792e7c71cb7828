/* The processor's peak: multiply-adds of 32-bit floats in registers alone, on as many threads as asked for.
 * peak THREADS prints LEVEL GFLOPS: the vectors are those of AVX-512 where the processor has it, else of AVX2. */
#include <immintrin.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { CHAINS = 12, ROUNDS = 4000000, MAXIMUM_THREADS = 256 };

static volatile float sink;

/* Twelve sums that wait for nothing but themselves: more than latency times width of any processor so far. */
__attribute__((target("avx512f"))) static void *wide(void *unused)
{
    __m512 sums[CHAINS];
    const __m512 a = _mm512_set1_ps(0.999f), b = _mm512_set1_ps(0.001f);
    int i, k;
    for (k = 0; k < CHAINS; k++)
        sums[k] = _mm512_set1_ps((float)k);
    for (i = 0; i < ROUNDS; i++)
#pragma GCC unroll 12
        for (k = 0; k < CHAINS; k++)
            sums[k] = _mm512_fmadd_ps(sums[k], a, b);
    for (k = 1; k < CHAINS; k++)
        sums[0] = _mm512_add_ps(sums[0], sums[k]);
    sink = _mm512_cvtss_f32(sums[0]);
    return unused;
}

__attribute__((target("avx2,fma"))) static void *narrow(void *unused)
{
    __m256 sums[CHAINS];
    const __m256 a = _mm256_set1_ps(0.999f), b = _mm256_set1_ps(0.001f);
    int i, k;
    for (k = 0; k < CHAINS; k++)
        sums[k] = _mm256_set1_ps((float)k);
    for (i = 0; i < ROUNDS; i++)
#pragma GCC unroll 12
        for (k = 0; k < CHAINS; k++)
            sums[k] = _mm256_fmadd_ps(sums[k], a, b);
    for (k = 1; k < CHAINS; k++)
        sums[0] = _mm256_add_ps(sums[0], sums[k]);
    sink = _mm256_cvtss_f32(sums[0]);
    return unused;
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

int main(int count, char **arguments)
{
    const int threads = count > 1 ? atoi(arguments[1]) : 1;
    const int avx512 = __builtin_cpu_supports("avx512f");
    double best = 0;
    int turn, i;
    if (threads < 1 || threads > MAXIMUM_THREADS || (!avx512 && !__builtin_cpu_supports("fma"))) {
        fprintf(stderr, "peak: 1 to %d threads, on a processor with AVX2 and FMA\n", MAXIMUM_THREADS);
        return 2;
    }
    /* The best of many short turns: others take the processor away, nobody makes it faster. */
    for (turn = 0; turn < 15; turn++) {
        pthread_t others[MAXIMUM_THREADS];
        const double begin = seconds();
        double rate;
        for (i = 1; i < threads; i++)
            if (pthread_create(&others[i], NULL, avx512 ? wide : narrow, NULL) != 0)
                return 1;
        (avx512 ? wide : narrow)(NULL);
        for (i = 1; i < threads; i++)
            pthread_join(others[i], NULL);
        rate = 2.0 * threads * CHAINS * (avx512 ? 16 : 8) * ROUNDS / (seconds() - begin) / 1e9;
        if (rate > best)
            best = rate;
    }
    printf("%s %.1f\n", avx512 ? "AVX-512" : "AVX2", best);
    return 0;
}
