#ifndef DL_FILE_H
#define DL_FILE_H

#include <stddef.h>
#include <stdint.h>

/* Files. Functions that return int give 0 or an errno value; dl_system_error_text turns it into words. */

/* The kinds of failure that callers tell apart. */
typedef enum dl_file_failure {
    DL_FILE_OTHER, DL_FILE_MISSING, DL_FILE_NO_MEMORY, DL_FILE_TOO_LARGE, DL_FILE_TOO_SHORT,
} dl_file_failure;

dl_file_failure dl_file_failure_of(int error);

/* Reads a whole file, or stream up to its end, into memory that dl_file_free gives back. More than limit bytes are
 * EFBIG, a folder is EISDIR. *bytes is never NULL after success, and one zero byte follows the last. */
int dl_file_read(const char *path, int64_t limit, char **bytes, int64_t *length);
void dl_file_free(char *bytes);

/* 0 nothing there (or not to be seen), 1 a regular file, 2 a folder, 3 anything else. */
int dl_file_kind(const char *path);

/* Opens a regular file for dl_file_read_at. *size is its length now. */
int dl_file_open(const char *path, int *file, int64_t *size);

/* Fills the buffer from the position, which need not be aligned. A file that ends before is ENODATA. */
int dl_file_read_at(int file, int64_t position, void *buffer, size_t count);
void dl_file_close(int file);

/* Makes a folder and the missing ones above it. One that exists already is no error. */
int dl_file_make_folder(const char *path);

/* Removes a file. One that does not exist is no error. */
int dl_file_remove(const char *path);
/* What is in a folder, in no order, without . and ..: for each entry a letter (f file, d folder, o anything else; a capital
 * where it is a link to that) and its name with a zero behind it. To be freed by dl_file_free; more bytes than `limit` are
 * EFBIG. */
int dl_folder_read(const char *path, int64_t limit, char **entries, int64_t *length);

/* A file being written. The new contents go to a temporary name in the same folder and take the place of the old
 * file only in dl_writer_commit, after they have reached the disk: whoever reads sees the old file or the new one.
 * A link is followed; the old file's permissions are kept. A device or pipe is written to directly. */
typedef struct dl_writer dl_writer;

int dl_writer_open(dl_writer **writer, const char *path);

/* Opens for adding at the end instead; every dl_writer_flush reaches the file at once. */
int dl_writer_open_append(dl_writer **writer, const char *path);

/* After a failure the writer takes no more; commit then fails with the same error. */
int dl_writer_write(dl_writer *writer, const void *bytes, size_t count);
int dl_writer_flush(dl_writer *writer);

/* Both end the writer. After a failed commit, as after abort, the old file is as before and nothing is left behind.
 * NULL is ignored by abort. */
int dl_writer_commit(dl_writer *writer);
void dl_writer_abort(dl_writer *writer);

#endif
