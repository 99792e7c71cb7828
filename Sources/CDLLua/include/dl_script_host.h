#ifndef DL_SCRIPT_HOST_H
#define DL_SCRIPT_HOST_H

/* The script host: it implements the dl_script_ functions of dl.h in C, because errors in Lua unwind by longjmp and no
 * Swift frame may lie under one. There is nothing else for other modules here. */

/* The kind of its handles, after those that DLLibrary numbers. */
enum { DL_SCRIPT_HANDLE_KIND = 9 };

#endif
