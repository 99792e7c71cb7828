#define _GNU_SOURCE
#include "dl_text.h"

#include <float.h>
#include <locale.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static locale_t c_locale;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_locale(void) { c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0); }

static locale_t plain_locale(void) {
    pthread_once(&once, make_locale);
    return c_locale;
}

size_t dl_text_from_double(char *text, size_t size, double value, char style, int precision) {
    const char *format = style == 'e' ? "%.*e" : style == 'f' ? "%.*f" : "%.*g";
    /* Beyond this the digits of a double are zeros. */
    if (precision < 0) { precision = 0; }
    if (precision > 1100) { precision = 1100; }
    locale_t plain = plain_locale();
    locale_t host = plain != (locale_t)0 ? uselocale(plain) : (locale_t)0;
    int length = snprintf(text, size, format, precision, value);
    if (plain != (locale_t)0) { uselocale(host); }
    return length > 0 ? (size_t)length : 0;
}

static double read_back(const char *text) {
    locale_t plain = plain_locale();
    return plain != (locale_t)0 ? strtod_l(text, NULL, plain) : strtod(text, NULL);
}

static float read_back_float(const char *text) {
    locale_t plain = plain_locale();
    return plain != (locale_t)0 ? strtof_l(text, NULL, plain) : strtof(text, NULL);
}

size_t dl_text_shortest_double(char *text, size_t size, double value) {
    char trial[40];
    size_t length = 0;
    /* Fifteen digits always survive, so fewer are tried only for denormals, which have less to tell. */
    int start = value > -DBL_MIN && value < DBL_MIN ? 1 : 15;
    for (int precision = start; precision <= 17; precision++) {
        length = dl_text_from_double(trial, sizeof trial, value, 'g', precision);
        if (value != value || read_back(trial) == value) { break; }
    }
    if (value != value) { length = (size_t)snprintf(trial, sizeof trial, "nan"); }
    snprintf(text, size, "%s", trial);
    return length;
}

size_t dl_text_shortest_float(char *text, size_t size, float value) {
    char trial[40];
    size_t length = 0;
    int start = value > -FLT_MIN && value < FLT_MIN ? 1 : 6;
    for (int precision = start; precision <= 9; precision++) {
        length = dl_text_from_double(trial, sizeof trial, value, 'g', precision);
        if (value != value || read_back_float(trial) == value) { break; }
    }
    if (value != value) { length = (size_t)snprintf(trial, sizeof trial, "nan"); }
    snprintf(text, size, "%s", trial);
    return length;
}

/* Powers of ten that are exact. */
static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

static int is_digit(char c) { return c >= '0' && c <= '9'; }

/* The parts of a decimal number. */
typedef struct number {
    uint64_t digits;    /* the first nineteen significant ones */
    int64_t exponent;   /* of ten, for these digits */
    int negative, cut;  /* cut: there were more than nineteen */
} number;

/* 1 if the whole text is a decimal number. */
static int scan(const char *text, size_t length, number *n) {
    size_t at = 0, seen = 0;
    int kept = 0;
    *n = (number){0, 0, 0, 0};
    if (at < length && (text[at] == '-' || text[at] == '+')) { n->negative = text[at++] == '-'; }
    for (int fraction = 0; fraction < 2; fraction++) {
        for (; at < length && is_digit(text[at]); at++, seen++) {
            if (kept < 19) {
                n->digits = n->digits * 10 + (uint64_t)(text[at] - '0');
                if (n->digits > 0) { kept++; }
                n->exponent -= fraction;
            } else {
                n->cut = 1;
                n->exponent += 1 - fraction;
            }
        }
        if (fraction == 0) {
            if (at >= length || text[at] != '.') { break; }
            at++;
        }
    }
    if (seen == 0) { return 0; }
    if (at < length && (text[at] == 'e' || text[at] == 'E')) {
        at++;
        int minus = 0;
        if (at < length && (text[at] == '-' || text[at] == '+')) { minus = text[at++] == '-'; }
        if (at >= length || !is_digit(text[at])) { return 0; }
        int64_t exponent = 0;
        for (; at < length && is_digit(text[at]); at++) {
            if (exponent < 1000000) { exponent = exponent * 10 + (text[at] - '0'); }
        }
        n->exponent += minus ? -exponent : exponent;
    }
    return at == length;
}

int dl_text_to_double(const char *text, size_t length, double *value) {
    number n;
    if (!scan(text, length, &n)) { return 0; }
    /* Both factors exact, so the one rounding of the product or quotient is the right one. */
    if (!n.cut && n.digits <= (uint64_t)1 << 53 && n.exponent >= -22 && n.exponent <= 22) {
        double magnitude = (double)n.digits;
        magnitude = n.exponent < 0 ? magnitude / powers[-n.exponent] : magnitude * powers[n.exponent];
        *value = n.negative ? -magnitude : magnitude;
        return 1;
    }
    char small[128];
    char *copy = length < sizeof small ? small : malloc(length + 1);
    if (copy == NULL) { return 0; }
    memcpy(copy, text, length);
    copy[length] = 0;
    *value = read_back(copy);
    if (copy != small) { free(copy); }
    return 1;
}
