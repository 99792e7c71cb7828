#ifndef DL_HANDLE_H
#define DL_HANDLE_H

#include <stdint.h>

/* What the C interface gives out instead of pointers to objects.
 *
 * A handle is an address inside a range reserved for this table, so any pointer value whatever can be tested without
 * being followed: null, foreign, wrong-kind and released handles are told apart from live ones and never crash.
 * A cell is used again only after tens of thousands of others have been released, and then under another address
 * for the next three times, so a stale handle stays an error for long.
 *
 * Every function may be called from any thread. kind is 1 ... DL_HANDLE_KINDS - 1 and the caller's own numbering. */

enum { DL_HANDLE_KINDS = 64 };

/* A new handle with one reference, or NULL where memory, address space or the kind does not allow it. */
void *dl_handle_create(int32_t kind, void *object);

/* The object, or NULL for anything but a live handle of this kind. */
void *dl_handle_object(const void *handle, int32_t kind);

/* The kind of a live handle, 0 for anything else. */
int32_t dl_handle_kind(const void *handle);

/* Adds a reference: 1, or 0 for anything but a live handle of this kind. */
int dl_handle_retain(const void *handle, int32_t kind);

/* Drops a reference: 1 when it was the last, with the object to destroy in *object; 0 when others remain; -1 for
 * anything but a live handle of this kind. */
int dl_handle_release(const void *handle, int32_t kind, void **object);

/* Live handles of a kind; of all kinds for kind 0. */
int64_t dl_handle_count(int32_t kind);

#endif
