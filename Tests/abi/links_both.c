/* A program that links the library and opens it a second time by its name; closing it leaves it in place. */
#include <dl.h>
#include <dlfcn.h>
#include <stdio.h>

int main(void) {
    void *library = dlopen("libdl-1.so", RTLD_NOW);
    if (library == NULL) {
        puts(dlerror());
        return 1;
    }
    const char *(*version)(void) = (const char *(*)(void))dlsym(library, "dl_version");
    if (version == NULL || version() != dl_version()) {
        puts("two copies of the library");
        return 1;
    }
    dlclose(library);
    return dl_version()[0] == 0;
}
