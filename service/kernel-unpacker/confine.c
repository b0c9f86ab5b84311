/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: who takes over the process can write into the one file that it is making, and burn the
 * time that it has, which any kernel can do to itself. */

#include "confine.h"

#include "image-builder/report.h"

#include <errno.h>
#include <linux/capability.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static void
drop_capabilities (void)
{
  struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
  struct __user_cap_data_struct data[2] = { { 0 } };

  if (syscall (SYS_capset, &header, data) < 0)
    report_errno_and_exit (REPORT_FAILED, errno, "Dropping capabilities failed");
}

/* mmap() and mprotect() are below. lseek() is what dprintf() asks first. */
static const int allowed[] = {
  SCMP_SYS (brk),
  SCMP_SYS (munmap),
  SCMP_SYS (mremap),
  SCMP_SYS (madvise),
  SCMP_SYS (write),
  SCMP_SYS (writev),
  SCMP_SYS (lseek),
  SCMP_SYS (futex),
  SCMP_SYS (getrandom),
  SCMP_SYS (exit),
  SCMP_SYS (exit_group),
  SCMP_SYS (rt_sigreturn),
  SCMP_SYS (restart_syscall),
};

/* Everything else is EPERM, not death: a library that tries something new gets an error that is
 * reported. */
static void
filter_system_calls (void)
{
  const struct scmp_arg_cmp not_executable = SCMP_A2 (SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
  scmp_filter_ctx filter = seccomp_init (SCMP_ACT_ERRNO (EPERM));
  int result = filter == NULL ? -ENOMEM : 0;

  for (unsigned i = 0; result == 0 && i < sizeof allowed / sizeof allowed[0]; i++)
    result = seccomp_rule_add (filter, SCMP_ACT_ALLOW, allowed[i], 0);
  if (result == 0)
    result = seccomp_rule_add (filter, SCMP_ACT_ALLOW, SCMP_SYS (mmap), 1, not_executable);
  if (result == 0)
    result = seccomp_rule_add (filter, SCMP_ACT_ALLOW, SCMP_SYS (mprotect), 1, not_executable);
  if (result == 0)
    result = seccomp_load (filter);
  if (result < 0)
    report_errno_and_exit (REPORT_FAILED, -result, "Restricting system calls failed");
  seccomp_release (filter);
}

void
confine (void)
{
  drop_capabilities ();
  filter_system_calls ();
}
