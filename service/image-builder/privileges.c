/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: who takes over the unpacking process can write the files of the one image that it is
 * making, and that is what an archive can do anyway. */

#include "privileges.h"

#include "report.h"

#include <errno.h>
#include <linux/capability.h>
#include <seccomp.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BIT(cap) (UINT32_C (1) << (cap))

/* To give files any owner, mode and time, whatever their modes are. */
#define KEPT_LOW (BIT (CAP_CHOWN) | BIT (CAP_DAC_OVERRIDE) | BIT (CAP_FOWNER) | BIT (CAP_FSETID))
/* And file capabilities. */
#define KEPT_HIGH_CAP CAP_SETFCAP

static void
drop_capabilities (void)
{
  struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
  const uint32_t kept = KEPT_LOW | BIT (KEPT_HIGH_CAP);
  struct __user_cap_data_struct data[2] = { { kept, kept, 0 }, { 0, 0, 0 } };

  for (int cap = 0; prctl (PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
    if ((cap >= 32 || (kept & BIT (cap)) == 0) && prctl (PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
      report_errno_and_exit (REPORT_FAILED, errno, "Dropping the capability %d failed", cap);
  if (syscall (SYS_capset, &header, data) < 0)
    report_errno_and_exit (REPORT_FAILED, errno, "Dropping capabilities failed");
}

/* What libarchive and the C library use to read one descriptor and write files. Everything else is
 * EPERM, not death: a library that tries something new gets an error that is reported. */
static const int allowed[] = {
  /* memory; mmap() and mprotect() are below */
  SCMP_SYS (brk),
  SCMP_SYS (munmap),
  SCMP_SYS (mremap),
  SCMP_SYS (madvise),
  /* descriptors */
  SCMP_SYS (read),
  SCMP_SYS (pread64),
  SCMP_SYS (readv),
  SCMP_SYS (write),
  SCMP_SYS (pwrite64),
  SCMP_SYS (writev),
  SCMP_SYS (lseek),
  SCMP_SYS (close),
  SCMP_SYS (fcntl),
  SCMP_SYS (dup),
  SCMP_SYS (dup2),
  SCMP_SYS (dup3),
  SCMP_SYS (fsync),
  SCMP_SYS (fdatasync),
  SCMP_SYS (fallocate),
  SCMP_SYS (ftruncate),
  SCMP_SYS (fadvise64),
  SCMP_SYS (poll),
  SCMP_SYS (ppoll),
  SCMP_SYS (select),
  SCMP_SYS (pselect6),
  /* files */
  SCMP_SYS (open),
  SCMP_SYS (openat),
  SCMP_SYS (creat),
  SCMP_SYS (stat),
  SCMP_SYS (fstat),
  SCMP_SYS (lstat),
  SCMP_SYS (newfstatat),
  SCMP_SYS (statx),
  SCMP_SYS (statfs),
  SCMP_SYS (fstatfs),
  SCMP_SYS (access),
  SCMP_SYS (faccessat),
  SCMP_SYS (faccessat2),
  SCMP_SYS (readlink),
  SCMP_SYS (readlinkat),
  SCMP_SYS (getdents64),
  SCMP_SYS (getcwd),
  SCMP_SYS (chdir),
  SCMP_SYS (fchdir),
  SCMP_SYS (mkdir),
  SCMP_SYS (mkdirat),
  SCMP_SYS (rmdir),
  SCMP_SYS (unlink),
  SCMP_SYS (unlinkat),
  SCMP_SYS (rename),
  SCMP_SYS (renameat),
  SCMP_SYS (renameat2),
  SCMP_SYS (link),
  SCMP_SYS (linkat),
  SCMP_SYS (symlink),
  SCMP_SYS (symlinkat),
  SCMP_SYS (mknod),
  SCMP_SYS (mknodat),
  SCMP_SYS (truncate),
  SCMP_SYS (chmod),
  SCMP_SYS (fchmod),
  SCMP_SYS (fchmodat),
  SCMP_SYS (chown),
  SCMP_SYS (fchown),
  SCMP_SYS (lchown),
  SCMP_SYS (fchownat),
  SCMP_SYS (utime),
  SCMP_SYS (utimes),
  SCMP_SYS (futimesat),
  SCMP_SYS (utimensat),
  SCMP_SYS (umask),
  SCMP_SYS (setxattr),
  SCMP_SYS (lsetxattr),
  SCMP_SYS (fsetxattr),
  SCMP_SYS (getxattr),
  SCMP_SYS (lgetxattr),
  SCMP_SYS (fgetxattr),
  SCMP_SYS (listxattr),
  SCMP_SYS (llistxattr),
  SCMP_SYS (flistxattr),
  SCMP_SYS (removexattr),
  SCMP_SYS (lremovexattr),
  SCMP_SYS (fremovexattr),
  /* itself */
  SCMP_SYS (exit),
  SCMP_SYS (exit_group),
  SCMP_SYS (futex),
  SCMP_SYS (getpid),
  SCMP_SYS (gettid),
  SCMP_SYS (getuid),
  SCMP_SYS (geteuid),
  SCMP_SYS (getgid),
  SCMP_SYS (getegid),
  SCMP_SYS (clock_gettime),
  SCMP_SYS (gettimeofday),
  SCMP_SYS (time),
  SCMP_SYS (getrandom),
  SCMP_SYS (rt_sigreturn),
  SCMP_SYS (rt_sigaction),
  SCMP_SYS (rt_sigprocmask),
  SCMP_SYS (restart_syscall),
  SCMP_SYS (tgkill),
  SCMP_SYS (prlimit64),
  SCMP_SYS (sysinfo),
  SCMP_SYS (uname),
  SCMP_SYS (rseq),
  SCMP_SYS (sched_getaffinity),
  SCMP_SYS (sched_yield),
};

static void
filter_system_calls (void)
{
  scmp_filter_ctx filter = seccomp_init (SCMP_ACT_ERRNO (EPERM));
  int result = filter == NULL ? -ENOMEM : 0;

  for (unsigned i = 0; result == 0 && i < sizeof allowed / sizeof allowed[0]; i++)
    {
      result = seccomp_rule_add (filter, SCMP_ACT_ALLOW, allowed[i], 0);
      if (result == -EDOM) /* this architecture does not have it */
        result = 0;
    }
  /* The archive's own files are now under /usr/lib: nothing of them may become code. */
  if (result == 0)
    result = seccomp_rule_add (filter, SCMP_ACT_ALLOW, SCMP_SYS (mmap), 1,
                               SCMP_A2 (SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
  if (result == 0)
    result = seccomp_rule_add (filter, SCMP_ACT_ALLOW, SCMP_SYS (mprotect), 1,
                               SCMP_A2 (SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
  if (result == 0)
    result = seccomp_load (filter);
  if (result < 0)
    report_errno_and_exit (REPORT_FAILED, -result, "Restricting system calls failed");
  seccomp_release (filter);
}

void
privileges_drop (const char *directory)
{
  if (chdir (directory) < 0 || chroot (".") < 0)
    report_errno_and_exit (REPORT_FAILED, errno, "Entering the scratch directory failed");
  drop_capabilities ();
  filter_system_calls ();
}
