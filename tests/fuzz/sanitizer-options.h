/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What AddressSanitizer has to know in targets that parse JSON. */

#pragma once

#ifdef __SANITIZE_ADDRESS__
/* json-glib 1.6 loses a node for some texts that it refuses. What reads from a stranger stops at
 * the first of those. To be told by the stack, the stack has to be whole. */
const char *__asan_default_options (void);
const char *__lsan_default_suppressions (void);

const char *
__asan_default_options (void)
{
  return "fast_unwind_on_malloc=0";
}

const char *
__lsan_default_suppressions (void)
{
  return "leak:json_parser_load_from_data\n";
}
#endif
