/* JPEG by libjpeg-turbo. It reports errors by a function that must not return; each function below is where it jumps to. */
#include "failure.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jerror.h>
#include <jpeglib.h>

/* Progressive files have some ten; each goes over the whole picture. */
#define MOST_SCANS 100

/* The handler of errors, first of all so that one is the other. */
typedef struct jpeg_errors {
    struct jpeg_error_mgr manager;
    jmp_buf back;
    dl_picture_failure *failure;
    struct dl_jpeg_reader *reader;
} jpeg_errors;

struct dl_jpeg_reader {
    struct jpeg_decompress_struct jpeg;
    jpeg_errors errors;
    struct jpeg_source_mgr source;
    struct jpeg_progress_mgr progress;
    size_t count;
    void *(*alloc_large)(j_common_ptr jpeg, int pool, size_t size);
    JSAMPARRAY (*alloc_sarray)(j_common_ptr jpeg, int pool, JDIMENSION width, JDIMENSION rows);
    /* The file is over; an end marker of our own stands there. */
    int has_ended;
    int has_head;
    dl_picture_info picture;
};

static size_t position(const dl_jpeg_reader *reader)
{
    if (!reader) return 0;
    return reader->has_ended ? reader->count : reader->count - reader->source.bytes_in_buffer;
}

static void jump(j_common_ptr jpeg)
{
    jpeg_errors *errors = (jpeg_errors *)jpeg->err;
    char text[JMSG_LENGTH_MAX];
    text[0] = 0;
    jpeg->err->format_message(jpeg, text);
    picture_failure(
        errors->failure, jpeg->err->msg_code == JERR_OUT_OF_MEMORY ? DL_PICTURE_NO_MEMORY : DL_PICTURE_DAMAGED,
        position(errors->reader), "%.200s", text);
    longjmp(errors->back, 1);
}

static void stop(dl_jpeg_reader *reader, int32_t code, const char *reason)
{
    picture_failure(reader->errors.failure, code, position(reader), "%s", reason);
    longjmp(reader->errors.back, 1);
}

static void say_nothing(j_common_ptr jpeg) { (void)jpeg; }

/* Warnings are passed over, as others do, but for pixels that are not there. */
static void pass_over(j_common_ptr jpeg, int level)
{
    jpeg_errors *errors = (jpeg_errors *)jpeg->err;
    if (level >= 0) return;
    errors->manager.num_warnings++;
    if (errors->manager.msg_code == JWRN_HIT_MARKER && errors->reader && errors->reader->has_ended)
        stop(errors->reader, DL_PICTURE_DAMAGED, "the file ends too early");
}

static void use_errors(jpeg_errors *errors, dl_picture_failure *failure)
{
    jpeg_std_error(&errors->manager);
    errors->manager.error_exit = jump;
    errors->manager.output_message = say_nothing;
    errors->manager.emit_message = pass_over;
    errors->failure = failure;
}

/* ---- Reading ------------------------------------------------------------------------------------------------- */

static void begin_source(j_decompress_ptr jpeg) { (void)jpeg; }

/* A file may lack the marker at its end; of one in many scans it tells that all are there. */
static boolean fill_source(j_decompress_ptr jpeg)
{
    static const JOCTET end[] = {0xFF, JPEG_EOI};
    dl_jpeg_reader *reader = jpeg->client_data;
    if (reader->has_ended || !reader->has_head || jpeg->progressive_mode)
        stop(reader, DL_PICTURE_DAMAGED, "the file ends too early");
    reader->has_ended = 1;
    reader->source.next_input_byte = end;
    reader->source.bytes_in_buffer = sizeof end;
    return TRUE;
}

static void skip_source(j_decompress_ptr jpeg, long count)
{
    struct jpeg_source_mgr *source = jpeg->src;
    if (count <= 0) return;
    if ((size_t)count > source->bytes_in_buffer)
        stop(jpeg->client_data, DL_PICTURE_DAMAGED, "the file ends too early");
    source->next_input_byte += count;
    source->bytes_in_buffer -= (size_t)count;
}

static void count_scans(j_common_ptr common)
{
    j_decompress_ptr jpeg = (j_decompress_ptr)common;
    if (jpeg->input_scan_number > MOST_SCANS) stop(jpeg->client_data, DL_PICTURE_DAMAGED, "it has more than 100 scans");
}

/* Damaged files make the library show samples that it never wrote; those are 0, not what memory held before. */
static void *large_zeros(j_common_ptr jpeg, int pool, size_t size)
{
    dl_jpeg_reader *reader = jpeg->client_data;
    void *memory = reader->alloc_large(jpeg, pool, size);
    memset(memory, 0, size);
    return memory;
}

static JSAMPARRAY sample_zeros(j_common_ptr jpeg, int pool, JDIMENSION width, JDIMENSION rows)
{
    dl_jpeg_reader *reader = jpeg->client_data;
    /* Vectors reach beyond the end of a row. */
    JDIMENSION wide = (width + 63) / 64 * 64, row;
    JSAMPARRAY samples = reader->alloc_sarray(jpeg, pool, wide, rows);
    for (row = 0; row < rows; row++) memset(samples[row], 0, wide * sizeof(JSAMPLE));
    return samples;
}

static void check_size(dl_jpeg_reader *reader, int64_t pixels)
{
    struct jpeg_decompress_struct *jpeg = &reader->jpeg;
    int64_t width = jpeg->image_width, height = jpeg->image_height, blocks = 0;
    dl_picture_failure *failure = reader->errors.failure;
    int i;
    if (width < 1 || height < 1) stop(reader, DL_PICTURE_DAMAGED, "it has no pixels");
    if (width > pixels / height) {
        picture_failure(
            failure, DL_PICTURE_TOO_LARGE, position(reader), "%lld x %lld pixels; at most %lld are read", (long long)width,
            (long long)height, (long long)pixels);
        longjmp(reader->errors.back, 1);
    }
    for (i = 0; i < jpeg->num_components; i++)
        blocks += (int64_t)jpeg->comp_info[i].width_in_blocks * (int64_t)jpeg->comp_info[i].height_in_blocks;
    /* Each block takes a bit at least, but for arithmetic coding, which has a hundredth of one. */
    if (blocks / (jpeg->arith_code ? 800 : 8) > (int64_t)reader->count) {
        picture_failure(
            failure, DL_PICTURE_DAMAGED, position(reader), "%lld x %lld pixels do not fit into a file of %lld bytes",
            (long long)width, (long long)height, (long long)reader->count);
        longjmp(reader->errors.back, 1);
    }
}

static void choose_form(dl_jpeg_reader *reader)
{
    struct jpeg_decompress_struct *jpeg = &reader->jpeg;
    reader->picture.channels = 3;
    switch (jpeg->jpeg_color_space) {
    case JCS_GRAYSCALE:
        jpeg->out_color_space = JCS_GRAYSCALE;
        reader->picture.channels = 1;
        break;
    case JCS_RGB:
    case JCS_YCbCr: jpeg->out_color_space = JCS_RGB; break;
    case JCS_CMYK:
    case JCS_YCCK:
        jpeg->out_color_space = JCS_CMYK;
        reader->picture.channels = 4;
        reader->picture.is_cmyk = jpeg->saw_Adobe_marker ? 2 : 1;
        break;
    default: stop(reader, DL_PICTURE_DAMAGED, "its colours are of an unknown kind");
    }
}

int32_t dl_jpeg_open(
    dl_jpeg_reader **out, dl_picture_info *info, const unsigned char *bytes, size_t count, int64_t pixels,
    dl_picture_failure *failure)
{
    dl_jpeg_reader *reader = calloc(1, sizeof *reader);
    memset(failure, 0, sizeof *failure);
    *out = NULL;
    if (!reader) {
        picture_failure(failure, DL_PICTURE_NO_MEMORY, 0, "out of memory");
        return failure->code;
    }
    reader->count = count;
    reader->source.next_input_byte = bytes;
    reader->source.bytes_in_buffer = count;
    reader->source.init_source = begin_source;
    reader->source.fill_input_buffer = fill_source;
    reader->source.skip_input_data = skip_source;
    reader->source.resync_to_restart = jpeg_resync_to_restart;
    reader->source.term_source = begin_source;
    reader->progress.progress_monitor = count_scans;
    use_errors(&reader->errors, failure);
    reader->errors.reader = reader;
    reader->jpeg.err = &reader->errors.manager;
    if (setjmp(reader->errors.back)) {
        dl_jpeg_close(reader);
        return failure->code;
    }
    jpeg_create_decompress(&reader->jpeg);
    reader->jpeg.client_data = reader;
    reader->alloc_large = reader->jpeg.mem->alloc_large;
    reader->alloc_sarray = reader->jpeg.mem->alloc_sarray;
    reader->jpeg.mem->alloc_large = large_zeros;
    reader->jpeg.mem->alloc_sarray = sample_zeros;
    reader->jpeg.src = &reader->source;
    reader->jpeg.progress = &reader->progress;
    jpeg_read_header(&reader->jpeg, TRUE);
    reader->has_head = 1;
    check_size(reader, pixels);
    choose_form(reader);
    reader->picture.width = reader->jpeg.image_width;
    reader->picture.height = reader->jpeg.image_height;
    reader->picture.depth = 8;
    *info = reader->picture;
    *out = reader;
    return DL_PICTURE_OK;
}

int32_t dl_jpeg_decode(dl_jpeg_reader *reader, unsigned char *rows, dl_picture_failure *failure)
{
    struct jpeg_decompress_struct *jpeg = &reader->jpeg;
    size_t stride = (size_t)reader->picture.width * (size_t)reader->picture.channels;
    memset(failure, 0, sizeof *failure);
    reader->errors.failure = failure;
    if (setjmp(reader->errors.back)) return failure->code;
    jpeg_start_decompress(jpeg);
    if (jpeg->output_width != reader->picture.width || jpeg->output_height != reader->picture.height
        || jpeg->output_components != reader->picture.channels)
        stop(reader, DL_PICTURE_DAMAGED, "its rows have another length than its head says");
    while (jpeg->output_scanline < jpeg->output_height) {
        JSAMPROW row = rows + (size_t)jpeg->output_scanline * stride;
        if (jpeg_read_scanlines(jpeg, &row, 1) != 1) stop(reader, DL_PICTURE_DAMAGED, "a row is missing");
    }
    jpeg_finish_decompress(jpeg);
    return DL_PICTURE_OK;
}

void dl_jpeg_close(dl_jpeg_reader *reader)
{
    if (!reader) return;
    jpeg_destroy_decompress(&reader->jpeg);
    free(reader);
}

/* ---- Writing ------------------------------------------------------------------------------------------------- */

typedef struct jpeg_writer {
    struct jpeg_compress_struct jpeg;
    jpeg_errors errors;
    struct jpeg_destination_mgr destination;
    unsigned char *bytes;
    size_t capacity;
} jpeg_writer;

static boolean grow(j_compress_ptr jpeg)
{
    jpeg_writer *writer = jpeg->client_data;
    size_t used = writer->capacity, capacity = used * 2 + 65536;
    unsigned char *bytes = capacity > used ? realloc(writer->bytes, capacity) : NULL;
    if (!bytes) {
        picture_failure(writer->errors.failure, DL_PICTURE_NO_MEMORY, used, "out of memory");
        longjmp(writer->errors.back, 1);
    }
    writer->bytes = bytes;
    writer->capacity = capacity;
    writer->destination.next_output_byte = bytes + used;
    writer->destination.free_in_buffer = capacity - used;
    return TRUE;
}

static void begin_destination(j_compress_ptr jpeg) { grow(jpeg); }
static void end_destination(j_compress_ptr jpeg) { (void)jpeg; }

int32_t dl_jpeg_encode(
    unsigned char **bytes, size_t *count, const dl_picture_info *info, const unsigned char *rows, int32_t quality,
    dl_picture_failure *failure)
{
    size_t stride = (size_t)info->width * (size_t)info->channels;
    jpeg_writer *writer = calloc(1, sizeof *writer);
    memset(failure, 0, sizeof *failure);
    *bytes = NULL;
    *count = 0;
    if (!writer) {
        picture_failure(failure, DL_PICTURE_NO_MEMORY, 0, "out of memory");
        return failure->code;
    }
    use_errors(&writer->errors, failure);
    writer->jpeg.err = &writer->errors.manager;
    if (!setjmp(writer->errors.back)) {
        jpeg_create_compress(&writer->jpeg);
        writer->jpeg.client_data = writer;
        writer->jpeg.dest = &writer->destination;
        writer->destination.init_destination = begin_destination;
        writer->destination.empty_output_buffer = grow;
        writer->destination.term_destination = end_destination;
        writer->jpeg.image_width = (JDIMENSION)info->width;
        writer->jpeg.image_height = (JDIMENSION)info->height;
        writer->jpeg.input_components = info->channels;
        writer->jpeg.in_color_space = info->channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
        jpeg_set_defaults(&writer->jpeg);
        jpeg_set_quality(&writer->jpeg, quality, TRUE);
        jpeg_start_compress(&writer->jpeg, TRUE);
        while (writer->jpeg.next_scanline < writer->jpeg.image_height) {
            JSAMPROW row = (JSAMPROW)(rows + (size_t)writer->jpeg.next_scanline * stride);
            jpeg_write_scanlines(&writer->jpeg, &row, 1);
        }
        jpeg_finish_compress(&writer->jpeg);
    }
    jpeg_destroy_compress(&writer->jpeg);
    if (failure->code) {
        free(writer->bytes);
    } else {
        *bytes = writer->bytes;
        *count = writer->capacity - writer->destination.free_in_buffer;
    }
    free(writer);
    return failure->code;
}
