/* PNG by libpng. It reports errors by longjmp; each function below is where such a jump ends. */
#include "failure.h"

#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

/* DEFLATE packs at most so many bytes into one. */
#define DEFLATE_RATIO 1032

struct dl_png_reader {
    png_structp png;
    png_infop info;
    const unsigned char *bytes;
    size_t count, position;
    dl_picture_info picture;
    dl_picture_failure *failure;
};

static void warn(png_structp png, png_const_charp message)
{
    (void)png;
    (void)message;
}

static void fail_read(png_structp png, png_const_charp message)
{
    dl_png_reader *reader = png_get_error_ptr(png);
    int32_t code = strstr(message, "memory") ? DL_PICTURE_NO_MEMORY : DL_PICTURE_DAMAGED;
    picture_failure(reader->failure, code, reader->position, "%s", message);
    png_longjmp(png, 1);
}

static void read_bytes(png_structp png, png_bytep to, size_t count)
{
    dl_png_reader *reader = png_get_io_ptr(png);
    if (reader->count - reader->position < count) {
        reader->position = reader->count;
        png_error(png, "the file ends too early");
    }
    memcpy(to, reader->bytes + reader->position, count);
    reader->position += count;
}

/* The size is known, nothing of it is allocated yet. */
static void check_size(dl_png_reader *reader, int64_t pixels)
{
    int64_t width = png_get_image_width(reader->png, reader->info), height = png_get_image_height(reader->png, reader->info);
    int64_t row = (int64_t)png_get_rowbytes(reader->png, reader->info) + 1, packed = (int64_t)reader->count;
    reader->picture.width = width;
    reader->picture.height = height;
    if (width > pixels / height) {
        picture_failure(
            reader->failure, DL_PICTURE_TOO_LARGE, reader->position, "%lld x %lld pixels; at most %lld are read",
            (long long)width, (long long)height, (long long)pixels);
        png_longjmp(reader->png, 1);
    }
    if (row * height / DEFLATE_RATIO > packed) {
        picture_failure(
            reader->failure, DL_PICTURE_DAMAGED, reader->position, "%lld x %lld pixels do not fit into a file of %lld bytes",
            (long long)width, (long long)height, (long long)packed);
        png_longjmp(reader->png, 1);
    }
}

static void choose_form(dl_png_reader *reader)
{
    png_structp png = reader->png;
    int type = png_get_color_type(png, reader->info), depth = png_get_bit_depth(png, reader->info);
    if (type == PNG_COLOR_TYPE_GRAY && depth == 16) {
        const uint16_t one = 1;
        if (*(const unsigned char *)&one) png_set_swap(png);
    } else {
        /* Palettes become colours, few bits become eight, a transparent colour becomes alpha. */
        png_set_expand(png);
        if (depth == 16) png_set_strip_16(png);
    }
}

int32_t dl_png_open(
    dl_png_reader **out, dl_picture_info *info, const unsigned char *bytes, size_t count, int64_t pixels,
    dl_picture_failure *failure)
{
    /* Those that say how colours are meant, and text, would only be unpacked. */
    static const unsigned char ignored[] = "iCCP\0zTXt\0iTXt\0tEXt\0sPLT\0hIST\0eXIf\0pCAL\0sCAL\0tIME\0gAMA\0cHRM\0sRGB";
    dl_png_reader *reader = calloc(1, sizeof *reader);
    memset(failure, 0, sizeof *failure);
    *out = NULL;
    if (!reader) {
        picture_failure(failure, DL_PICTURE_NO_MEMORY, 0, "out of memory");
        return failure->code;
    }
    reader->bytes = bytes;
    reader->count = count;
    reader->failure = failure;
    reader->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, reader, fail_read, warn);
    if (reader->png) reader->info = png_create_info_struct(reader->png);
    if (!reader->info) {
        picture_failure(failure, DL_PICTURE_NO_MEMORY, 0, "out of memory");
        dl_png_close(reader);
        return failure->code;
    }
    if (setjmp(png_jmpbuf(reader->png))) {
        picture_failure(failure, DL_PICTURE_DAMAGED, reader->position, "libpng gave up");
        dl_png_close(reader);
        return failure->code;
    }
    png_set_read_fn(reader->png, reader, read_bytes);
    png_set_user_limits(reader->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    png_set_keep_unknown_chunks(reader->png, PNG_HANDLE_CHUNK_NEVER, ignored, sizeof ignored / 5);
    png_read_info(reader->png, reader->info);
    check_size(reader, pixels);
    choose_form(reader);
    png_set_interlace_handling(reader->png);
    png_read_update_info(reader->png, reader->info);
    reader->picture.channels = png_get_channels(reader->png, reader->info);
    reader->picture.depth = png_get_bit_depth(reader->png, reader->info);
    if (png_get_rowbytes(reader->png, reader->info)
        != (size_t)reader->picture.width * (size_t)reader->picture.channels * (size_t)reader->picture.depth / 8)
        png_error(reader->png, "its rows have another length than its head says");
    *info = reader->picture;
    *out = reader;
    return DL_PICTURE_OK;
}

int32_t dl_png_decode(dl_png_reader *reader, unsigned char *rows, dl_picture_failure *failure)
{
    size_t stride = (size_t)reader->picture.width * (size_t)reader->picture.channels * (size_t)reader->picture.depth / 8;
    int pass, passes = png_get_interlace_type(reader->png, reader->info) == PNG_INTERLACE_ADAM7 ? PNG_INTERLACE_ADAM7_PASSES : 1;
    int64_t row;
    memset(failure, 0, sizeof *failure);
    reader->failure = failure;
    if (setjmp(png_jmpbuf(reader->png))) {
        picture_failure(failure, DL_PICTURE_DAMAGED, reader->position, "libpng gave up");
        return failure->code;
    }
    for (pass = 0; pass < passes; pass++)
        for (row = 0; row < reader->picture.height; row++)
            png_read_row(reader->png, rows + (size_t)row * stride, NULL);
    png_read_end(reader->png, NULL);
    return DL_PICTURE_OK;
}

void dl_png_close(dl_png_reader *reader)
{
    if (!reader) return;
    if (reader->png) png_destroy_read_struct(&reader->png, &reader->info, NULL);
    free(reader);
}

/* ---- Writing ------------------------------------------------------------------------------------------------- */

typedef struct png_writer {
    png_structp png;
    png_infop info;
    unsigned char *bytes;
    size_t count, capacity;
    dl_picture_failure *failure;
} png_writer;

static void fail_write(png_structp png, png_const_charp message)
{
    png_writer *writer = png_get_error_ptr(png);
    int32_t code = strstr(message, "memory") ? DL_PICTURE_NO_MEMORY : DL_PICTURE_DAMAGED;
    picture_failure(writer->failure, code, writer->count, "%s", message);
    png_longjmp(png, 1);
}

static void write_bytes(png_structp png, png_bytep from, size_t count)
{
    png_writer *writer = png_get_io_ptr(png);
    if (count > writer->capacity - writer->count) {
        size_t capacity = (writer->count + count) * 2 + 4096;
        unsigned char *bytes = capacity > count ? realloc(writer->bytes, capacity) : NULL;
        if (!bytes) png_error(png, "out of memory");
        writer->bytes = bytes;
        writer->capacity = capacity;
    }
    memcpy(writer->bytes + writer->count, from, count);
    writer->count += count;
}

static void flush_nothing(png_structp png) { (void)png; }

int32_t dl_png_encode(
    unsigned char **bytes, size_t *count, const dl_picture_info *info, const unsigned char *rows, int32_t level,
    dl_picture_failure *failure)
{
    static const int types[] = {
        PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_GRAY_ALPHA, PNG_COLOR_TYPE_RGB, PNG_COLOR_TYPE_RGB_ALPHA};
    size_t stride = (size_t)info->width * (size_t)info->channels * (size_t)info->depth / 8;
    png_writer *writer = calloc(1, sizeof *writer);
    int64_t row;
    memset(failure, 0, sizeof *failure);
    *bytes = NULL;
    *count = 0;
    if (!writer) {
        picture_failure(failure, DL_PICTURE_NO_MEMORY, 0, "out of memory");
        return failure->code;
    }
    writer->failure = failure;
    writer->png = png_create_write_struct(PNG_LIBPNG_VER_STRING, writer, fail_write, warn);
    if (writer->png) writer->info = png_create_info_struct(writer->png);
    if (!writer->info) picture_failure(failure, DL_PICTURE_NO_MEMORY, 0, "out of memory");
    else if (setjmp(png_jmpbuf(writer->png))) picture_failure(failure, DL_PICTURE_DAMAGED, writer->count, "libpng gave up");
    else {
        const uint16_t one = 1;
        png_set_write_fn(writer->png, writer, write_bytes, flush_nothing);
        png_set_user_limits(writer->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
        png_set_IHDR(
            writer->png, writer->info, (png_uint_32)info->width, (png_uint_32)info->height, info->depth,
            types[(info->channels - 1) & 3], PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
        png_set_compression_level(writer->png, level);
        png_write_info(writer->png, writer->info);
        if (info->depth == 16 && *(const unsigned char *)&one) png_set_swap(writer->png);
        for (row = 0; row < info->height; row++) png_write_row(writer->png, rows + (size_t)row * stride);
        png_write_end(writer->png, NULL);
    }
    if (writer->png) png_destroy_write_struct(&writer->png, &writer->info);
    if (failure->code) {
        free(writer->bytes);
    } else {
        *bytes = writer->bytes;
        *count = writer->count;
    }
    free(writer);
    return failure->code;
}
