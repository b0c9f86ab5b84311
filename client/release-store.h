/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The directory that releases of Firecracker are installed in: one directory each, such as
 * "v1.15.1", and the link "current" to one of them, which is what the service uses. */

#pragma once

#include "release.h"

#define RELEASE_STORE_DIRECTORY "/usr/local/lib/vmsan/firecracker"

typedef struct _ReleaseStore ReleaseStore;

/* Makes the directory if need be, and locks it. */
ReleaseStore *release_store_open (const char *path, GError **error);

/* Absolute. */
const char *release_store_get_path (ReleaseStore *store);

/* Sets *@found to whether a release is current, and @release to it. */
gboolean
release_store_get_current (ReleaseStore *store, Release *release, gboolean *found, GError **error);

/* A directory only for the one who holds the store, for downloads that may have to be continued. */
int release_store_get_private (ReleaseStore *store);

/* Returns a descriptor, which is the store's, of an empty directory for the programs. */
int release_store_prepare (ReleaseStore *store, GError **error);

/* Installs what was prepared as @release, which becomes the current one. Whoever opens a program
 * below "current" meanwhile gets the old or the new one. On an error all is as before. */
gboolean release_store_install (ReleaseStore *store, const Release *release, GError **error);

/* Removes all releases but @current. The names of those that were are added to @removed. */
gboolean release_store_remove_others (ReleaseStore *store,
                                      const Release *current,
                                      GPtrArray *removed,
                                      GError **error);

/* Removes what was prepared and not installed, and directories that nothing was put in. */
void release_store_close (ReleaseStore *store);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ReleaseStore, release_store_close)
