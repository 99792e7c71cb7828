#define _GNU_SOURCE
#include "dl_file.h"
#include "dl_system.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { buffer_size = 1 << 16 };

struct dl_writer {
    int file;
    int error;
    /* The final name, links followed, and the temporary one; NULL where the file is written to directly. */
    char *path, *temporary;
    size_t used;
    char buffer[buffer_size];
};

static void destroy(dl_writer *w) {
    if (w->file >= 0) { close(w->file); }
    free(w->path);
    free(w->temporary);
    free(w);
}

static int open_retrying(const char *path, int flags) {
    int file;
    do {
        file = open(path, flags | O_CLOEXEC, 0666);
    } while (file < 0 && errno == EINTR);
    return file;
}

/* Where path leads to: the target of a link even if that does not exist yet. */
static char *resolved(const char *path) {
    char *whole = realpath(path, NULL);
    if (whole != NULL || errno != ENOENT) { return whole; }
    char target[PATH_MAX];
    ssize_t length = readlink(path, target, sizeof target - 1);
    if (length < 0) { return strdup(path); }
    target[length] = 0;
    if (target[0] == '/') { return strdup(target); }
    const char *slash = strrchr(path, '/');
    int folder = slash != NULL ? (int)(slash + 1 - path) : 0;
    char *joined;
    return asprintf(&joined, "%.*s%s", folder, path, target) < 0 ? NULL : joined;
}

/* Creates an empty file of a new name in the folder of the path. The name does not contain the file's own, which
 * may be as long as names can be. */
static int open_temporary(dl_writer *w) {
    const char *slash = strrchr(w->path, '/');
    int folder = slash != NULL ? (int)(slash + 1 - w->path) : 0;
    for (int attempt = 0; attempt < 100; attempt++) {
        unsigned long long random = dl_system_entropy();
        if (asprintf(&w->temporary, "%.*s.dl-%016llx.tmp", folder, w->path, random) < 0) {
            w->temporary = NULL;
            return ENOMEM;
        }
        w->file = open_retrying(w->temporary, O_WRONLY | O_CREAT | O_EXCL);
        if (w->file >= 0) { return 0; }
        int error = errno;
        free(w->temporary);
        w->temporary = NULL;
        if (error != EEXIST) { return error; }
    }
    return EEXIST;
}

static int open_writer(dl_writer **writer, const char *path, int append) {
    *writer = NULL;
    if (*path == 0) { return ENOENT; }
    dl_writer *w = malloc(sizeof *w);
    if (w == NULL) { return ENOMEM; }
    w->file = -1;
    w->error = 0;
    w->used = 0;
    w->temporary = NULL;
    w->path = NULL;
    int error = 0;
    struct stat facts;
    int exists = stat(path, &facts) == 0;
    if (exists && S_ISDIR(facts.st_mode)) {
        error = EISDIR;
    } else if (append || (exists && !S_ISREG(facts.st_mode))) {
        w->file = open_retrying(path, O_WRONLY | (append ? O_APPEND | O_CREAT : 0));
        error = w->file < 0 ? errno : 0;
    } else if (path[strlen(path) - 1] == '/') {
        error = ENOTDIR;
    } else if (exists && access(path, W_OK) != 0) {
        /* Renaming would replace a file that its owner has protected. */
        error = errno;
    } else {
        w->path = resolved(path);
        error = w->path == NULL ? errno : open_temporary(w);
        if (error == 0 && exists && fchmod(w->file, facts.st_mode & 07777) != 0) { error = errno; }
    }
    if (error != 0) {
        dl_writer_abort(w);
        return error;
    }
    *writer = w;
    return 0;
}

int dl_writer_open(dl_writer **writer, const char *path) { return open_writer(writer, path, 0); }

int dl_writer_open_append(dl_writer **writer, const char *path) { return open_writer(writer, path, 1); }

static void put(dl_writer *w, const char *bytes, size_t count) {
    while (count > 0 && w->error == 0) {
        /* Linux writes at most two gigabytes at once. */
        ssize_t done = write(w->file, bytes, count < ((size_t)1 << 30) ? count : (size_t)1 << 30);
        if (done < 0 && errno == EINTR) { continue; }
        if (done <= 0) {
            w->error = done < 0 ? errno : EIO;
            return;
        }
        bytes += done;
        count -= (size_t)done;
    }
}

int dl_writer_flush(dl_writer *w) {
    put(w, w->buffer, w->used);
    w->used = 0;
    return w->error;
}

int dl_writer_write(dl_writer *w, const void *bytes, size_t count) {
    if (count > buffer_size - w->used) { dl_writer_flush(w); }
    if (count >= buffer_size) {
        put(w, bytes, count);
    } else if (w->error == 0 && count > 0) {
        memcpy(w->buffer + w->used, bytes, count);
        w->used += count;
    }
    return w->error;
}

/* A new name is safe only when its folder has reached the disk. Some file systems cannot; the data are safe there too. */
static void sync_folder(const char *path) {
    char *copy = strdup(path);
    if (copy == NULL) { return; }
    char *slash = strrchr(copy, '/');
    if (slash == copy) { slash++; }
    if (slash != NULL) { *slash = 0; }
    int folder = open_retrying(slash != NULL ? copy : ".", O_RDONLY | O_DIRECTORY);
    if (folder >= 0) {
        fsync(folder);
        close(folder);
    }
    free(copy);
}

int dl_writer_commit(dl_writer *w) {
    dl_writer_flush(w);
    if (w->error == 0 && fsync(w->file) != 0 && w->temporary != NULL) { w->error = errno; }
    int closed = close(w->file);
    if (w->error == 0 && closed != 0 && errno != EINTR) { w->error = errno; }
    w->file = -1;
    if (w->temporary != NULL) {
        if (w->error == 0 && rename(w->temporary, w->path) != 0) { w->error = errno; }
        if (w->error != 0) {
            unlink(w->temporary);
        } else {
            sync_folder(w->path);
        }
    }
    int error = w->error;
    destroy(w);
    return error;
}

void dl_writer_abort(dl_writer *w) {
    if (w == NULL) { return; }
    if (w->temporary != NULL) { unlink(w->temporary); }
    destroy(w);
}
