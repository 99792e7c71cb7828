/* A program that uses the library and nothing else. */
#include <dl.h>
#include <stdio.h>
#include <string.h>

int main(void) {
    char expected[32];
    snprintf(expected, sizeof expected, "%d.%d.%d", DL_VERSION_MAJOR, DL_VERSION_MINOR, DL_VERSION_PATCH);
    if (strcmp(dl_version(), expected) != 0 || dl_abi_version() != DL_ABI_VERSION) {
        printf("library %s, header %s\n", dl_version(), expected);
        return 1;
    }
    return 0;
}
