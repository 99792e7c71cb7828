/* libpng and libjpeg-turbo behind functions that return: their jumps, messages and limits stay on this side. */
#ifndef DL_PICTURES_H
#define DL_PICTURES_H

#include <stddef.h>
#include <stdint.h>

enum { DL_PICTURE_OK = 0, DL_PICTURE_DAMAGED = 1, DL_PICTURE_NO_MEMORY = 2, DL_PICTURE_TOO_LARGE = 3 };

/* Why something failed, and how many bytes of the file had been read by then. */
typedef struct dl_picture_failure {
    int32_t code;
    int64_t offset;
    char reason[256];
} dl_picture_failure;

typedef struct dl_picture_info {
    int64_t width, height;
    /* 1 grey, 2 grey and alpha, 3 red, green and blue, 4 those and alpha, or cyan, magenta, yellow and black */
    int32_t channels;
    /* 8, or 16 for grey: native byte order */
    int32_t depth;
    /* 4 channels of ink; 2: stored as the light that they let through */
    int32_t is_cmyk;
} dl_picture_info;

typedef struct dl_png_reader dl_png_reader;
typedef struct dl_jpeg_reader dl_jpeg_reader;

/* Reads the head of a picture. Nothing of the picture's size is allocated; larger ones than `pixels` are refused, as are
 * those that the file is too short for. The bytes must stay until close. */
int32_t dl_png_open(
    dl_png_reader **out, dl_picture_info *info, const unsigned char *bytes, size_t count, int64_t pixels,
    dl_picture_failure *failure);
int32_t dl_jpeg_open(
    dl_jpeg_reader **out, dl_picture_info *info, const unsigned char *bytes, size_t count, int64_t pixels,
    dl_picture_failure *failure);
/* Reads the rows, one behind the other, into height * width * channels * depth / 8 bytes. Once for a reader. */
int32_t dl_png_decode(dl_png_reader *reader, unsigned char *rows, dl_picture_failure *failure);
int32_t dl_jpeg_decode(dl_jpeg_reader *reader, unsigned char *rows, dl_picture_failure *failure);
void dl_png_close(dl_png_reader *reader);
void dl_jpeg_close(dl_jpeg_reader *reader);

/* A file's bytes out of rows; free them with dl_picture_free. JPEG has 1 or 3 channels of 8 bits. */
int32_t dl_png_encode(
    unsigned char **bytes, size_t *count, const dl_picture_info *info, const unsigned char *rows, int32_t level,
    dl_picture_failure *failure);
int32_t dl_jpeg_encode(
    unsigned char **bytes, size_t *count, const dl_picture_info *info, const unsigned char *rows, int32_t quality,
    dl_picture_failure *failure);
void dl_picture_free(unsigned char *bytes);

static inline double dl_picture_sine(double x) { return __builtin_sin(x); }
static inline double dl_picture_cosine(double x) { return __builtin_cos(x); }

#endif
