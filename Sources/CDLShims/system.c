#define _GNU_SOURCE
#include "dl_system.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

void dl_system_error_text(int error, char *text, size_t size) {
    /* Not translated, unlike strerror's, and free of shared state. */
    const char *words = strerrordesc_np(error);
    if (words != NULL) {
        snprintf(text, size, "%s", words);
    } else {
        snprintf(text, size, "Unknown error %d", error);
    }
}

static double seconds(clockid_t clock) {
    struct timespec t;
    if (clock_gettime(clock, &t) != 0) { return 0; }
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double dl_system_log(double x) { return log(x); }

double dl_system_seconds(void) { return seconds(CLOCK_MONOTONIC); }

double dl_system_wall_seconds(void) { return seconds(CLOCK_REALTIME); }

const char *dl_system_environment(const char *name) { return getenv(name); }

int dl_system_is_terminal(int file) { return isatty(file); }

int dl_system_terminal_width(int file) {
    struct winsize size;
    return isatty(file) && ioctl(file, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

uint64_t dl_system_entropy(void) {
    uint64_t bits;
    if (getrandom(&bits, sizeof bits, GRND_NONBLOCK) == (ssize_t)sizeof bits) { return bits; }
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    bits = (uint64_t)t.tv_sec * 1000000007u ^ (uint64_t)t.tv_nsec << 20 ^ (uint64_t)getpid() << 44;
    return bits * 0x9e3779b97f4a7c15u;
}

void dl_system_report(const char *text)
{
    size_t left = strlen(text);
    while (left > 0) {
        ssize_t done = write(STDERR_FILENO, text, left);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return;
        text += done;
        left -= (size_t)done;
    }
}
