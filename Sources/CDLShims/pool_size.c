#define _GNU_SOURCE
#include "dl_pool.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The processors in the affinity mask. */
static int64_t affinity(void) {
    /* The kernel refuses a mask smaller than its own, whose size it does not tell. */
    for (int processors = 1024; processors <= 1 << 18; processors *= 2) {
        cpu_set_t *mask = CPU_ALLOC(processors);
        if (mask == NULL) { break; }
        size_t size = CPU_ALLOC_SIZE(processors);
        CPU_ZERO_S(size, mask);
        int found = sched_getaffinity(0, size, mask) == 0 ? CPU_COUNT_S(size, mask) : 0;
        CPU_FREE(mask);
        if (found > 0) { return found; }
    }
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? online : 1;
}

static int read_line(const char *path, char *line, size_t size) {
    FILE *file = fopen(path, "re");
    if (file == NULL) { return 0; }
    char *found = fgets(line, (int)size, file);
    fclose(file);
    return found != NULL;
}

/* A quota of one and a half processors keeps two threads. */
static int64_t processors_of_quota(long long quota, long long period) {
    return quota > 0 && period > 0 ? quota / period + (quota % period != 0) : 0;
}

/* The quota that one folder of the control group file system sets, 0 for none. */
static int64_t quota_of_folder(const char *folder, int version) {
    char path[1200], line[128];
    long long quota = 0, period = 0;
    if (version == 2) {
        snprintf(path, sizeof path, "%s/cpu.max", folder);
        if (!read_line(path, line, sizeof line) || sscanf(line, "%lld %lld", &quota, &period) != 2) { return 0; }
        return processors_of_quota(quota, period);
    }
    snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", folder);
    if (!read_line(path, line, sizeof line) || sscanf(line, "%lld", &quota) != 1) { return 0; }
    snprintf(path, sizeof path, "%s/cpu.cfs_period_us", folder);
    if (!read_line(path, line, sizeof line) || sscanf(line, "%lld", &period) != 1) { return 0; }
    return processors_of_quota(quota, period);
}

/* The least quota from a group's folder up to the root of its file system. In a container the group's own path may
 * not exist below the mount point; the root of the mount is then the container's group. */
static int64_t quota_of_group(const char *mount, const char *group, int version) {
    char folder[1024];
    size_t root = strlen(mount);
    int length = snprintf(folder, sizeof folder, "%s%s", mount, group);
    if (length < 0 || (size_t)length >= sizeof folder) { folder[root] = 0; }
    int64_t least = 0;
    for (;;) {
        int64_t quota = quota_of_folder(folder, version);
        if (quota > 0 && (least == 0 || quota < least)) { least = quota; }
        char *slash = strrchr(folder, '/');
        if (slash == NULL || (size_t)(slash - folder) < root) { return least; }
        *slash = 0;
    }
}

/* Does the comma-separated list hold the word cpu? */
static int names_cpu(const char *list) {
    for (const char *word = list; *word != 0;) {
        size_t length = strcspn(word, ",");
        if (length == 3 && strncmp(word, "cpu", 3) == 0) { return 1; }
        word += length + (word[length] == ',');
    }
    return 0;
}

/* Lines of /proc/self/cgroup are "number:controllers:path"; version 2 has number 0 and no controllers. */
static int64_t group_quota(void) {
    FILE *file = fopen("/proc/self/cgroup", "re");
    if (file == NULL) { return 0; }
    int64_t least = 0;
    char line[1024];
    while (fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = 0;
        char *controllers = strchr(line, ':');
        char *group = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
        if (group == NULL) { continue; }
        *group++ = 0;
        controllers++;
        int64_t quota = 0;
        if (*controllers == 0) {
            quota = quota_of_group("/sys/fs/cgroup", group, 2);
        } else if (names_cpu(controllers)) {
            quota = quota_of_group("/sys/fs/cgroup/cpu", group, 1);
        }
        if (quota > 0 && (least == 0 || quota < least)) { least = quota; }
    }
    fclose(file);
    return least;
}

int64_t dl_pool_default_threads(void) {
    int64_t threads = affinity();
    int64_t quota = group_quota();
    if (quota > 0 && quota < threads) { threads = quota; }
    const char *wish = getenv("DL_NUM_THREADS");
    if (wish != NULL) {
        char *end;
        long long most = strtoll(wish, &end, 10);
        if (end != wish && *end == 0 && most > 0 && most < threads) { threads = most; }
    }
    return threads < DL_POOL_MAXIMUM_THREADS ? threads : DL_POOL_MAXIMUM_THREADS;
}
