/* Compiled as C99 and C++17 with every warning: the header stands alone and may be included twice. */
#include <dl.h>
#include <dl.h>

/* The initialisers fill their structs, and the version comes first. */
int header_versions(void);
int header_versions(void) {
    dl_compile_options compile = DL_COMPILE_OPTIONS_INIT;
    dl_data data = DL_DATA_INIT;
    dl_fit_options fit = DL_FIT_OPTIONS_INIT;
    dl_script_options script = DL_SCRIPT_OPTIONS_INIT;
    return compile.version + data.version + fit.version + script.version;
}
