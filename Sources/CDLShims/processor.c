#include "dl_shims.h"

#include <stdlib.h>
#include <string.h>

static int32_t detected_level(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (!(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi")
          && __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("f16c") && __builtin_cpu_supports("lzcnt")
          && __builtin_cpu_supports("movbe") && __builtin_cpu_supports("popcnt"))) {
        return 0;
    }
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd")
        && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
        return 2;
    }
    return 1;
#else
    return 0;
#endif
}

int32_t dl_processor_level(void) {
    int32_t level = detected_level();
    const char *wanted = getenv("DL_CPU");
    if (wanted == NULL) return level;
    int32_t cap = level;
    if (strcmp(wanted, "baseline") == 0) cap = 0;
    if (strcmp(wanted, "avx2") == 0) cap = 1;
    return cap < level ? cap : level;
}
