#ifndef DL_SHIMS_H
#define DL_SHIMS_H

/* What Swift cannot say, or cannot say without Foundation. Nothing here is part of the library's
 * interface: the symbols are hidden, and the public header is include/dl.h. */

#include "dl_error_state.h"
#include "dl_file.h"
#include "dl_handle.h"
#include "dl_memory.h"
#include "dl_pool.h"
#include "dl_processor.h"
#include "dl_system.h"
#include "dl_text.h"
#include "dl_thread_context.h"

#endif
