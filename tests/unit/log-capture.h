/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Warnings that the code under test writes, kept to be looked at. Structured ones are out of reach
 * of g_test_expect_message(). */

#pragma once

#include <glib.h>
#include <string.h>

static GPtrArray *log_captured; /* (element-type utf8): texts of warnings */
static GMutex log_capture_lock;

static inline GLogWriterOutput
log_capture_write (GLogLevelFlags level, const GLogField *fields, gsize n_fields, gpointer data)
{
  g_autoptr (GMutexLocker) locker = NULL;

  if ((level & (G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL)) != 0 ||
      (level & G_LOG_LEVEL_WARNING) == 0)
    return g_log_writer_default (level, fields, n_fields, data);
  locker = g_mutex_locker_new (&log_capture_lock);
  for (gsize i = 0; i < n_fields; i++)
    if (strcmp (fields[i].key, "MESSAGE") == 0)
      g_ptr_array_add (log_captured, fields[i].length < 0
                                         ? g_strdup (fields[i].value)
                                         : g_strndup (fields[i].value, fields[i].length));
  return G_LOG_WRITER_HANDLED;
}

/* Call once in main(). */
static inline void
log_capture_init (void)
{
  log_captured = g_ptr_array_new_with_free_func (g_free);
  g_log_set_writer_func (log_capture_write, NULL, NULL);
}

static inline guint
log_capture_count (void)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&log_capture_lock);

  return log_captured->len;
}

/* Whether a warning contains @text; forgets it. */
static inline gboolean
log_capture_take (const char *text)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&log_capture_lock);

  for (guint i = 0; i < log_captured->len; i++)
    if (strstr (g_ptr_array_index (log_captured, i), text) != NULL)
      {
        g_ptr_array_remove_index (log_captured, i);
        return TRUE;
      }
  return FALSE;
}

/* Fails the test when there are warnings that nobody took. */
static inline void
log_capture_assert_empty (void)
{
  for (guint i = 0; i < log_captured->len; i++)
    g_test_message ("Unexpected warning: %s", (char *) g_ptr_array_index (log_captured, i));
  g_assert_cmpuint (log_captured->len, ==, 0);
}
