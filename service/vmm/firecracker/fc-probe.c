/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: what it says was tried, by running the programs and a guest, and is still so. */

#include "vmm/firecracker/fc-probe.h"

#include "sys/error.h"
#include "vmm/kvm-probe.h"
#include "vmm/program-probe.h"

#include <string.h>
#include <unistd.h>

#define KVM_DEADLINE_MS 3000

#define FIRECRACKER "firecracker"
#define JAILER      "jailer"

struct _VmsanFcProbe
{
  GStrv directories;
  char *kvm_device;
  GMutex lock; /* of all below */
  VmsanFileStamp firecracker_stamp;
  VmsanFileStamp jailer_stamp;
  VmsanFileStamp kvm_stamp;
  char *directory;
  VmsanVmmProbe *result;
};

VmsanFcProbe *
vmsan_fc_probe_new (const char *const *directories, const char *kvm_device)
{
  VmsanFcProbe *self = g_new0 (VmsanFcProbe, 1);

  self->directories = g_strdupv ((char **) directories);
  self->kvm_device = g_strdup (kvm_device);
  g_mutex_init (&self->lock);
  return self;
}

void
vmsan_fc_probe_free (VmsanFcProbe *self)
{
  if (self == NULL)
    return;
  g_clear_pointer (&self->result, vmsan_vmm_probe_free);
  g_mutex_clear (&self->lock);
  g_strfreev (self->directories);
  g_free (self->kvm_device);
  g_free (self->directory);
  g_free (self);
}

/* ---- The programs -------------------------------------------------------------------------- */

gboolean
vmsan_fc_probe_parse_version (
    const char *output, const char *name, VmsanFcVersion *version, char **text, GError **error)
{
  g_auto (GStrv) lines = g_strsplit (output, "\n", 2);
  g_autofree char *prefix = g_strconcat (name, " v", NULL);
  const char *line = lines[0] != NULL ? lines[0] : "";

  if (!g_str_has_prefix (line, prefix))
    {
      g_autofree char *shown = g_utf8_make_valid (line, strnlen (line, 60));

      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_UNAVAILABLE,
                   "%s does not tell its version, but “%s”", name, shown);
      return FALSE;
    }
  line += strlen (prefix);
  if (!vmsan_fc_version_parse (line, version, error))
    return FALSE;
  *text = g_strdup (line);
  return TRUE;
}

/* Both are static programs. */
static gboolean
read_version (const char *directory,
              const char *file,
              const char *name,
              VmsanFcVersion *version,
              char **text,
              GError **error)
{
  g_autofree char *path = g_build_filename (directory, file, NULL);
  const VmsanBind bind = { .source = path, .source_fd = -1, .target = path };
  g_autofree char *output = vmsan_program_probe_read_version (path, &bind, 1, error);

  return output != NULL && vmsan_fc_probe_parse_version (output, name, version, text, error);
}

static gboolean
read_versions (const char *directory, char **text, GError **error)
{
  g_autofree char *jailer_text = NULL;
  VmsanFcVersion firecracker, jailer;

  if (!read_version (directory, FIRECRACKER, "Firecracker", &firecracker, text, error) ||
      !read_version (directory, JAILER, "Jailer", &jailer, &jailer_text, error))
    return FALSE;
  if (strcmp (*text, jailer_text) == 0)
    return TRUE;
  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_UNAVAILABLE,
               "Firecracker is of version %s, but its jailer in the same directory of %s: install "
               "both from one release",
               *text, jailer_text);
  return FALSE;
}

static char *
find_directory (const VmsanFcProbe *self)
{
  for (char **directory = self->directories; *directory != NULL; directory++)
    {
      g_autofree char *firecracker = g_build_filename (*directory, FIRECRACKER, NULL);
      g_autofree char *jailer = g_build_filename (*directory, JAILER, NULL);

      if (access (firecracker, X_OK) == 0 && access (jailer, X_OK) == 0)
        return g_strdup (*directory);
    }
  return NULL;
}

/* ---- All of it ----------------------------------------------------------------------------- */

static VmsanVmmProbe *
find_out (const VmsanFcProbe *self)
{
  VmsanVmmProbe *probe = g_new0 (VmsanVmmProbe, 1);
  g_autofree char *searched = g_strjoinv (", ", self->directories);
  g_autofree char *kvm_reason = NULL;
  g_autoptr (GError) error = NULL;

  probe->acceleration = "kvm";
  if (self->directory == NULL)
    probe->reason = g_strdup_printf (
        "Firecracker and its jailer are not there; looked for in %s. Install a release with "
        "“vmsan-client setup firecracker”",
        searched);
  else if (!read_versions (self->directory, &probe->version, &error))
    probe->reason = g_strdup (error->message);
  else if (*self->kvm_device != '\0' &&
           vmsan_kvm_probe (self->kvm_device, KVM_DEADLINE_MS, &kvm_reason) != VMSAN_KVM_USABLE)
    probe->reason = g_strdup_printf ("Firecracker needs KVM: %s", kvm_reason);
  else
    probe->available = TRUE;
  if (probe->version == NULL)
    probe->version = g_strdup ("");
  if (probe->reason == NULL)
    probe->reason = g_strdup ("");
  return probe;
}

/* Call with the lock held. */
static gboolean
has_changed (VmsanFcProbe *self)
{
  g_autofree char *directory = find_directory (self);
  g_autofree char *firecracker =
      g_build_filename (directory != NULL ? directory : "", FIRECRACKER, NULL);
  g_autofree char *jailer = g_build_filename (directory != NULL ? directory : "", JAILER, NULL);
  VmsanFileStamp stamps[3];
  gboolean changed;

  vmsan_file_stamp_take (&stamps[0], firecracker);
  vmsan_file_stamp_take (&stamps[1], jailer);
  vmsan_file_stamp_take (&stamps[2], self->kvm_device);
  changed = self->result == NULL || g_strcmp0 (directory, self->directory) != 0 ||
            !vmsan_file_stamp_equal (&stamps[0], &self->firecracker_stamp) ||
            !vmsan_file_stamp_equal (&stamps[1], &self->jailer_stamp) ||
            !vmsan_file_stamp_equal (&stamps[2], &self->kvm_stamp);
  self->firecracker_stamp = stamps[0];
  self->jailer_stamp = stamps[1];
  self->kvm_stamp = stamps[2];
  g_free (self->directory);
  self->directory = g_steal_pointer (&directory);
  return changed;
}

VmsanVmmProbe *
vmsan_fc_probe_run (VmsanFcProbe *self, char **directory)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);

  /* What was in the way may have passed without a trace on these files: a module that was loaded,
   * a host that was too busy, another hypervisor. */
  if (has_changed (self) || !self->result->available)
    {
      g_clear_pointer (&self->result, vmsan_vmm_probe_free);
      self->result = find_out (self);
    }
  if (directory != NULL)
    *directory = g_strdup (self->directory);
  return vmsan_vmm_probe_copy (self->result);
}
