# Reads prototypes (prototypes.awk) and writes a C program that calls every function with arguments no caller should
# pass: all null, handles that are none, handles released before. None may crash; a status is one of the header's, and
# a failure has a message of one line.
BEGIN {
    FS = " [|] "
    print "#include <dl.h>\n#include <stdint.h>\n#include <stdio.h>\n#include <string.h>\n"
    print "static int failures, calls;"
    print "static char scratch[16][4096] __attribute__((aligned(64)));"
    print "static void status(const char *name, dl_status s) {"
    print "    calls++;"
    print "    memset(scratch, 0, sizeof scratch);"
    print "    if (s < 0 || s > DL_ERROR_INTERNAL || s == DL_ERROR_INTERNAL) { printf(\"%s: status %d: %s\\n\", name, (int)s, dl_last_error()); failures++; }"
    print "    if (s == DL_OK) return;"
    print "    const char *text = dl_last_error();"
    print "    if (text == NULL || *text == 0 || strchr(text, '\\n') != NULL) { printf(\"%s: message '%s'\\n\", name, text ? text : \"NULL\"); failures++; }"
    print "    if (dl_last_status() != s) { printf(\"%s: dl_last_status %d, not %d\\n\", name, (int)dl_last_status(), (int)s); failures++; }"
    print "}\n"
    print "static void call_all(void *handle, int null, int32_t number) {"
    # What stays NULL in the first pass.
    print "#define AT(i) (null ? NULL : (void *)scratch[i])"
    print "#define TEXT (null ? NULL : \"x\")"
    print "    (void)handle; (void)number;"
}
{
    name = $2
    # A limit of one byte would fail all that follows; and text that was not given out must not be freed.
    number = (name == "dl_set_memory_limit") ? "0" : "number"
    call = name "("
    for (i = 3; i <= NF; i++) {
        p = $i
        if (p ~ /\(\*/) argument = "NULL"
        else if (name == "dl_text_free") argument = "NULL"
        else if (p ~ /^(const )?dl_(tensor|tape|layer|model|loss|metric|optimizer|fit|script) \*[a-z_0-9]+$/) argument = "handle"
        else if (p ~ /^const char \*[a-z_0-9]+$/) argument = "TEXT"
        else if (p ~ /[*\[]/) argument = "AT(" (i - 3) ")"
        else argument = number
        call = call (i > 3 ? ", " : "") argument
    }
    call = call ")"
    if ($1 == "dl_status") print "    status(\"" name "\", " call ");"
    else if ($1 == "void") print "    " call "; calls++;"
    else print "    (void)" call "; calls++;"
    functions++
}
END {
    print "#undef AT\n#undef TEXT\n}\n"
    print "int main(void) {"
    print "    static char foreign[256];"
    print "    int64_t shape[1] = {2};"
    print "    dl_tensor *tensor = NULL;"
    print "    if (dl_tensor_create(&tensor, DL_FLOAT32, 1, shape, NULL) != DL_OK) { printf(\"%s\\n\", dl_last_error()); return 1; }"
    print "    dl_tensor_release(tensor);"
    print "    void *handles[] = {NULL, foreign, (void *)1, (void *)(uintptr_t)-8, foreign + 3, tensor, (char *)(void *)tensor + 8, (char *)(void *)tensor + 1};"
    print "    for (int pass = 0; pass < (int)(sizeof handles / sizeof *handles); pass++) {"
    print "        for (int32_t number = -1; number <= 1; number++) call_all(handles[pass], pass == 0, number);"
    print "    }"
    print "    call_all(NULL, 1, INT32_MAX);"
    print "    call_all(foreign, 1, INT32_MIN);"
    print "    printf(\"%d calls of " functions " functions, %d failures\\n\", calls, failures);"
    print "    return failures != 0;"
    print "}"
}
