#define _GNU_SOURCE
#include "dl_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static char kind_of(DIR *folder, const char *name) {
    struct stat facts, link;
    if (fstatat(dirfd(folder), name, &facts, 0) != 0) { return 'o'; }
    char kind = S_ISREG(facts.st_mode) ? 'f' : S_ISDIR(facts.st_mode) ? 'd' : 'o';
    int is_link = fstatat(dirfd(folder), name, &link, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(link.st_mode);
    return is_link ? (char)(kind - 'a' + 'A') : kind;
}

int dl_folder_read(const char *path, int64_t limit, char **entries, int64_t *length) {
    *entries = NULL;
    *length = 0;
    DIR *folder = opendir(path);
    if (folder == NULL) { return errno; }
    char *bytes = NULL;
    size_t used = 0, room = 0;
    int error = 0;
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(folder);
        if (entry == NULL) { error = errno; break; }
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) { continue; }
        size_t size = strlen(entry->d_name) + 2;
        if (used + size > (size_t)limit) { error = EFBIG; break; }
        if (used + size > room) {
            room = 2 * room + size + 4096;
            char *larger = realloc(bytes, room);
            if (larger == NULL) { error = ENOMEM; break; }
            bytes = larger;
        }
        bytes[used] = kind_of(folder, entry->d_name);
        memcpy(bytes + used + 1, entry->d_name, size - 1);
        used += size;
    }
    closedir(folder);
    if (error != 0) {
        free(bytes);
        return error;
    }
    *entries = bytes;
    *length = (int64_t)used;
    return 0;
}
