#include "dl_processor.h"

#include <stdio.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>

void dl_processor_name(char *text, size_t size) {
    unsigned words[13] = {0};
    unsigned highest = __get_cpuid_max(0x80000000u, NULL);
    if (highest >= 0x80000004u) {
        for (unsigned part = 0; part < 3; part++) {
            unsigned *w = words + 4 * part;
            __get_cpuid(0x80000002u + part, &w[0], &w[1], &w[2], &w[3]);
        }
    }
    /* Some processors pad the name with blanks in front or behind. */
    const char *name = (const char *)words;
    while (*name == ' ') { name++; }
    size_t length = strlen(name);
    while (length > 0 && name[length - 1] == ' ') { length--; }
    if (length == 0) { name = "unknown"; length = strlen(name); }
    snprintf(text, size, "%.*s", (int)length, name);
}

void dl_processor_features(char *text, size_t size) {
    if (size == 0) { return; }
    text[0] = 0;
    size_t used = 0;
    __builtin_cpu_init();
    /* The builtin takes literals only. */
#define APPEND(feature)                                                                                  \
    if (__builtin_cpu_supports(feature) && used < size) {                                                \
        int n = snprintf(text + used, size - used, "%s%s", used > 0 ? " " : "", feature);                \
        used += n > 0 ? (size_t)n : 0;                                                                   \
    }
    APPEND("sse4.2")
    APPEND("avx")
    APPEND("f16c")
    APPEND("fma")
    APPEND("bmi2")
    APPEND("avx2")
    APPEND("avx512f")
    APPEND("avx512bw")
    APPEND("avx512cd")
    APPEND("avx512dq")
    APPEND("avx512vl")
    APPEND("avx512vnni")
    APPEND("avx512bf16")
#undef APPEND
}

#else

void dl_processor_name(char *text, size_t size) { snprintf(text, size, "unknown"); }

void dl_processor_features(char *text, size_t size) { if (size > 0) { text[0] = 0; } }

#endif
