/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "agent/rootfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define IMAGE_DIR "/vmsan-image"
#define DISK_DIR  "/vmsan-disk"
#define ROOT_DIR  "/vmsan-root"
#define DEPTH_MAX 8 /* of the initramfs */

/* The root of the private disk's mount, which no path leads to after the switch; -1 before. */
static int disk_fd = -1;

/* What each format that an image may have needs to be mounted with. */
static const struct
{
  const char *name;
  const char *options;
} formats[] = {
  /* The image is never written, so a journal that was not emptied cannot be replayed. */
  { "ext4", "noload" },
  { "squashfs", NULL },
  { "erofs", NULL },
};

/* Mounted in the new root after the switch. */
static const struct
{
  const char *type;
  const char *target;
  const char *options;
  unsigned long flags;
  mode_t mode;
} extras[] = {
  { "devpts", "/dev/pts", "mode=620,ptmxmode=666", MS_NOSUID | MS_NOEXEC, 0755 },
  { "tmpfs", "/dev/shm", "mode=1777", MS_NOSUID | MS_NODEV, 01777 },
  { "tmpfs", "/run", "mode=755", MS_NOSUID | MS_NODEV, 0755 },
};

/* What udev would make in /dev. */
static const struct
{
  const char *target;
  const char *path;
} device_links[] = {
  { "/proc/self/fd", "/dev/fd" },
  { "/proc/self/fd/0", "/dev/stdin" },
  { "/proc/self/fd/1", "/dev/stdout" },
  { "/proc/self/fd/2", "/dev/stderr" },
};

static bool
mount_at (const char *source,
          const char *target,
          const char *type,
          unsigned long flags,
          const char *options,
          AgentError *error)
{
  if (mount (source, target, type, flags, options) == 0)
    return true;
  return agent_error_set_errno (error, "cannot mount %s on %s", source, target);
}

static void
open_console (void)
{
  const int fd = open ("/dev/console", O_RDWR | O_NOCTTY);

  for (int i = 0; fd >= 0 && i < 3; i++)
    dup2 (fd, i);
  if (fd > 2)
    close (fd);
}

bool
agent_rootfs_mount_basics (AgentError *error)
{
  bool mounted;

  mkdir ("/proc", 0755);
  mkdir ("/sys", 0755);
  mkdir ("/dev", 0755);
  mounted = mount_at ("proc", "/proc", "proc", MS_NOSUID | MS_NOEXEC | MS_NODEV, NULL, error) &&
            mount_at ("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NOEXEC | MS_NODEV, NULL, error) &&
            mount_at ("devtmpfs", "/dev", "devtmpfs", MS_NOSUID, "mode=0755", error);
  open_console ();
  return mounted;
}

/* ---- Disks --------------------------------------------------------------------------------- */

static bool
read_serial (int block_fd, const char *name, char *serial, size_t size)
{
  char path[300];
  ssize_t n;
  int fd;

  snprintf (path, sizeof path, "%s/serial", name);
  fd = openat (block_fd, path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return false;
  n = read (fd, serial, size - 1);
  close (fd);
  serial[n > 0 ? n : 0] = '\0';
  serial[strcspn (serial, "\n")] = '\0';
  return true;
}

bool
agent_rootfs_find_disks (const AgentSerials *serials, AgentDisks *disks)
{
  DIR *directory = opendir ("/sys/block");
  struct dirent *entry;
  char serial[64];

  *disks = (AgentDisks){ "", "" };
  if (directory == NULL)
    return false;
  while ((entry = readdir (directory)) != NULL)
    {
      if (strncmp (entry->d_name, "vd", 2) != 0 ||
          !read_serial (dirfd (directory), entry->d_name, serial, sizeof serial))
        continue;
      if (strcmp (serial, serials->image) == 0)
        snprintf (disks->image, sizeof disks->image, "/dev/%.50s", entry->d_name);
      else if (strcmp (serial, serials->disk) == 0)
        snprintf (disks->disk, sizeof disks->disk, "/dev/%.50s", entry->d_name);
    }
  closedir (directory);
  return disks->image[0] != '\0' && disks->disk[0] != '\0';
}

static bool
mount_image (const char *device, const char *format, AgentError *error)
{
  for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
    {
      if (strcmp (formats[i].name, format) != 0)
        continue;
      if (mount (device, IMAGE_DIR, format, MS_RDONLY | MS_NOATIME, formats[i].options) == 0)
        return true;
      if (errno == ENODEV)
        return agent_error_set (error,
                                "the image cannot be mounted as %s: the kernel has no such file "
                                "system; add the module to the kernel",
                                format);
      return agent_error_set_errno (error, "the image cannot be mounted as %s", format);
    }
  return agent_error_set (error,
                          "the image cannot be mounted: its format “%s” is none of ext4, squashfs "
                          "and erofs",
                          format);
}

static bool
mount_overlay (const AgentDisks *disks, const char *format, AgentError *error)
{
  mkdir (IMAGE_DIR, 0700);
  mkdir (DISK_DIR, 0700);
  mkdir (ROOT_DIR, 0755);
  if (!mount_image (disks->image, format, error))
    return false;
  /* Zeroing the unused inode tables in the background would make the host's sparse file grow. */
  if (mount (disks->disk, DISK_DIR, "ext4", MS_NOATIME, "noinit_itable") < 0)
    return agent_error_set_errno (error, "the private disk cannot be mounted as ext4");
  if ((mkdir (DISK_DIR "/upper", 0755) < 0 && errno != EEXIST) ||
      (mkdir (DISK_DIR "/work", 0700) < 0 && errno != EEXIST))
    return agent_error_set_errno (error, "the private disk cannot be prepared");
  if (mount ("overlay", ROOT_DIR, "overlay", 0,
             "lowerdir=" IMAGE_DIR ",upperdir=" DISK_DIR "/upper,workdir=" DISK_DIR "/work") < 0)
    return agent_error_set_errno (error, "the image and the private disk cannot be joined");
  disk_fd = open (DISK_DIR, O_PATH | O_DIRECTORY | O_CLOEXEC);
  return true;
}

/* ---- The new root -------------------------------------------------------------------------- */

/* Makes sure that NAME in the new root is a directory and no link to one. */
static bool
ensure_directory (int root_fd, const char *name, mode_t mode, AgentError *error)
{
  struct stat stat;

  if (fstatat (root_fd, name, &stat, AT_SYMLINK_NOFOLLOW) == 0)
    {
      if (S_ISDIR (stat.st_mode))
        return true;
      if (unlinkat (root_fd, name, 0) < 0)
        return agent_error_set_errno (error, "cannot replace /%s, which is no directory", name);
    }
  /* Its mode is not cut by a umask: the agent runs with none. */
  if (mkdirat (root_fd, name, mode) < 0)
    return agent_error_set_errno (error, "cannot make the directory /%s in the image", name);
  return true;
}

static bool
ensure_directories (AgentError *error)
{
  const int root_fd = open (ROOT_DIR, O_PATH | O_DIRECTORY | O_CLOEXEC);
  struct stat stat;
  bool made;

  if (root_fd < 0)
    return agent_error_set_errno (error, "cannot open the root of the image");
  made = ensure_directory (root_fd, "proc", 0755, error) &&
         ensure_directory (root_fd, "sys", 0755, error) &&
         ensure_directory (root_fd, "dev", 0755, error) &&
         ensure_directory (root_fd, "run", 0755, error);
  /* These may be links in an image; only what is missing is made. */
  if (made && fstatat (root_fd, "tmp", &stat, AT_SYMLINK_NOFOLLOW) < 0)
    mkdirat (root_fd, "tmp", 01777);
  if (made && fstatat (root_fd, "etc", &stat, AT_SYMLINK_NOFOLLOW) < 0)
    mkdirat (root_fd, "etc", 0755);
  close (root_fd);
  return made;
}

/* Empties the initramfs: its files are memory that the guest could use. The agent's own program
 * lives on as long as it runs. */
static void
remove_tree (int directory_fd, dev_t device, unsigned depth)
{
  DIR *directory = fdopendir (directory_fd);
  struct dirent *entry;
  struct stat stat;

  if (directory == NULL)
    {
      close (directory_fd);
      return;
    }
  while ((entry = readdir (directory)) != NULL)
    {
      if (strcmp (entry->d_name, ".") == 0 || strcmp (entry->d_name, "..") == 0 ||
          fstatat (dirfd (directory), entry->d_name, &stat, AT_SYMLINK_NOFOLLOW) < 0 ||
          stat.st_dev != device)
        continue;
      if (S_ISDIR (stat.st_mode) && depth < DEPTH_MAX)
        {
          const int fd = openat (dirfd (directory), entry->d_name,
                                 O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

          if (fd >= 0)
            remove_tree (fd, device, depth + 1);
        }
      unlinkat (dirfd (directory), entry->d_name, S_ISDIR (stat.st_mode) ? AT_REMOVEDIR : 0);
    }
  closedir (directory);
}

/* As switch_root(8) does: the initramfs cannot be unmounted, so the new root is put over it. */
static bool
switch_root (AgentError *error)
{
  static const char *const moved[] = { "/proc", "/sys", "/dev" };
  const int old_root = open ("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  struct stat stat;

  for (size_t i = 0; i < sizeof moved / sizeof *moved; i++)
    {
      char target[64];

      snprintf (target, sizeof target, ROOT_DIR "%s", moved[i]);
      if (!mount_at (moved[i], target, NULL, MS_MOVE, NULL, error))
        return false;
    }
  if (chdir (ROOT_DIR) < 0 || mount (".", "/", NULL, MS_MOVE, NULL) < 0 || chroot (".") < 0 ||
      chdir ("/") < 0)
    return agent_error_set_errno (error, "cannot switch to the root of the image");
  if (old_root >= 0 && fstat (old_root, &stat) == 0)
    remove_tree (old_root, stat.st_dev, 0);
  return true;
}

static bool
mount_extras (AgentError *error)
{
  for (size_t i = 0; i < sizeof extras / sizeof *extras; i++)
    {
      mkdir (extras[i].target, extras[i].mode);
      if (!mount_at (extras[i].type, extras[i].target, extras[i].type, extras[i].flags,
                     extras[i].options, error))
        return false;
    }
  for (size_t i = 0; i < sizeof device_links / sizeof *device_links; i++)
    if (symlink (device_links[i].target, device_links[i].path) < 0 && errno != EEXIST)
      agent_log ("cannot make %s: %s", device_links[i].path, strerror (errno));
  return true;
}

bool
agent_rootfs_enter (const AgentDisks *disks, const char *format, AgentError *error)
{
  return mount_overlay (disks, format, error) && ensure_directories (error) &&
         switch_root (error) && mount_extras (error);
}

void
agent_rootfs_quiesce (void)
{
  char path[64];

  sync ();
  mount (NULL, "/", NULL, MS_REMOUNT | MS_RDONLY, NULL);
  if (disk_fd < 0)
    return;
  snprintf (path, sizeof path, "/proc/self/fd/%d", disk_fd);
  mount (NULL, path, NULL, MS_REMOUNT | MS_RDONLY, NULL);
  sync ();
}
