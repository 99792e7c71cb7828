/* The distribution's archives of libpng and libjpeg are compiled for programs, and take the address of the C library's stderr
 * as one inside the program, which a shared library cannot offer. This is the same stream by a name of our own, hidden: their
 * default messages, which are never printed, are what refers to it. */
extern char stream[] __asm__("_IO_2_1_stderr_");
__attribute__((visibility("hidden"), used)) void *own_stderr __asm__("stderr") = stream;
