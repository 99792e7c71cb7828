#define _GNU_SOURCE
#include "dl_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

dl_file_failure dl_file_failure_of(int error) {
    switch (error) {
    case ENOENT: return DL_FILE_MISSING;
    case ENOMEM: return DL_FILE_NO_MEMORY;
    case EFBIG: return DL_FILE_TOO_LARGE;
    case ENODATA: return DL_FILE_TOO_SHORT;
    default: return DL_FILE_OTHER;
    }
}

int dl_file_kind(const char *path) {
    struct stat facts;
    if (stat(path, &facts) != 0) { return 0; }
    return S_ISREG(facts.st_mode) ? 1 : S_ISDIR(facts.st_mode) ? 2 : 3;
}

static int open_for_reading(const char *path, int *file, struct stat *facts) {
    do {
        *file = open(path, O_RDONLY | O_CLOEXEC);
    } while (*file < 0 && errno == EINTR);
    if (*file < 0) { return errno; }
    int error = fstat(*file, facts) != 0 ? errno : S_ISDIR(facts->st_mode) ? EISDIR : 0;
    if (error != 0) { close(*file); }
    return error;
}

int dl_file_read(const char *path, int64_t limit, char **bytes, int64_t *length) {
    *bytes = NULL;
    *length = 0;
    int file;
    struct stat facts;
    int error = open_for_reading(path, &file, &facts);
    if (error != 0) { return error; }
    char *buffer = NULL;
    size_t used = 0, room = 0;
    if (limit < 0) { limit = 0; }
    /* The size is a hint: files grow, and those in /proc say 0. */
    size_t wanted = S_ISREG(facts.st_mode) && facts.st_size > 0 ? (size_t)facts.st_size + 1 : 4096;
    if (wanted > (size_t)limit) { wanted = (size_t)limit + 1; }
    for (;;) {
        if (used == room) {
            if (room > 0) { wanted = room > (size_t)limit / 2 ? (size_t)limit + 1 : 2 * room; }
            char *larger = realloc(buffer, wanted + 1);
            if (larger == NULL) { error = ENOMEM; break; }
            buffer = larger;
            room = wanted;
        }
        ssize_t count = read(file, buffer + used, room - used);
        if (count < 0 && errno == EINTR) { continue; }
        if (count < 0) { error = errno; break; }
        if (count == 0) { break; }
        used += (size_t)count;
        if (used > (size_t)limit) { error = EFBIG; break; }
    }
    close(file);
    if (error != 0) {
        free(buffer);
        return error;
    }
    buffer[used] = 0;
    *bytes = buffer;
    *length = (int64_t)used;
    return 0;
}

void dl_file_free(char *bytes) { free(bytes); }

int dl_file_open(const char *path, int *file, int64_t *size) {
    struct stat facts;
    *size = 0;
    int error = open_for_reading(path, file, &facts);
    if (error == 0 && !S_ISREG(facts.st_mode)) {
        close(*file);
        error = ESPIPE;
    }
    if (error != 0) {
        *file = -1;
        return error;
    }
    *size = facts.st_size;
    return 0;
}

int dl_file_read_at(int file, int64_t position, void *buffer, size_t count) {
    if (position < 0) { return EINVAL; }
    char *target = buffer;
    while (count > 0) {
        ssize_t got = pread(file, target, count, position);
        if (got < 0 && errno == EINTR) { continue; }
        if (got < 0) { return errno; }
        if (got == 0) { return ENODATA; }
        target += got;
        position += got;
        count -= (size_t)got;
    }
    return 0;
}

void dl_file_close(int file) {
    if (file >= 0) { close(file); }
}

int dl_file_remove(const char *path) { return unlink(path) == 0 || errno == ENOENT ? 0 : errno; }

int dl_file_make_folder(const char *path) {
    char *copy = strdup(path);
    if (copy == NULL) { return ENOMEM; }
    int error = 0;
    for (char *end = copy; error == 0 && *end != 0;) {
        /* The next part: blanks of slashes first, then the name. */
        while (*end == '/') { end++; }
        while (*end != 0 && *end != '/') { end++; }
        char kept = *end;
        *end = 0;
        if (*copy != 0 && mkdir(copy, 0777) != 0 && dl_file_kind(copy) != 2) { error = errno; }
        *end = kept;
    }
    if (error == 0 && *path == 0) { error = ENOENT; }
    free(copy);
    return error;
}
