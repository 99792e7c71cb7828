/* A program that knows nothing of the library and links the C library's own libdl, as every old makefile does. */
#include <dlfcn.h>
#include <stdio.h>

int main(void) {
    void *program = dlopen(NULL, RTLD_NOW);
    if (program == NULL || dlsym(program, "dl_version") != NULL) {
        puts("the library got into a program that did not ask for it");
        return 1;
    }
    return dlclose(program);
}
