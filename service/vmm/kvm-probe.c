/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: a KVM that hangs, lies or stops half way costs a child process and the deadline. */

#include "vmm/kvm-probe.h"

#include "sys/fd.h"

#include <fcntl.h>
#include <linux/kvm.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define GUEST_MEMORY_SIZE (2u << 20)
#define GUEST_EXITS_MAX   64
#define CPUID_ENTRIES_MAX 256

extern const guint8 vmsan_kvm_guest_start[];
extern const guint8 vmsan_kvm_guest_end[];

typedef enum
{
  STEP_OPEN,
  STEP_VERSION,
  STEP_VM,
  STEP_MEMORY,
  STEP_VCPU,
  STEP_REGISTERS,
  STEP_RUN,
  STEP_DONE,
} Step;

/* What the child tells. */
typedef struct
{
  int step;
  int saved_errno; /* 0: the call worked, the result was wrong */
  int exit_reason; /* of the guest's last exit */
  char progress[16];
} Report;

static const char *const step_names[] = {
  [STEP_OPEN] = "opening it",       [STEP_VERSION] = "asking for its version",
  [STEP_VM] = "creating a machine", [STEP_MEMORY] = "giving memory to a machine",
  [STEP_VCPU] = "creating a CPU",   [STEP_REGISTERS] = "setting a CPU's registers",
  [STEP_RUN] = "running a CPU",
};

const void *
vmsan_kvm_guest_get_code (gsize *size)
{
  *size = vmsan_kvm_guest_end - vmsan_kvm_guest_start;
  return vmsan_kvm_guest_start;
}

/* Three levels, the last a single page of 2 MiB at 0. */
void
vmsan_kvm_guest_fill_tables (void *tables)
{
  const guint64 present_writable = 0x3, large = 0x80;
  guint64 *levels = tables;

  memset (tables, 0, VMSAN_KVM_GUEST_TABLES_SIZE);
  levels[0] = (VMSAN_KVM_GUEST_TABLES_ADDRESS + 0x1000) | present_writable;
  levels[0x1000 / sizeof *levels] = (VMSAN_KVM_GUEST_TABLES_ADDRESS + 0x2000) | present_writable;
  levels[0x2000 / sizeof *levels] = present_writable | large;
}

/* ---- The child: system calls only, as after any fork of a threaded process ---------------------
 */

/* memcpy() and memset() are safe there. */
static int
set_up_memory (int vm)
{
  struct kvm_userspace_memory_region region = { .memory_size = GUEST_MEMORY_SIZE };
  guint8 *memory =
      mmap (NULL, GUEST_MEMORY_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

  if (memory == MAP_FAILED)
    return -1;
  memcpy (memory + VMSAN_KVM_GUEST_CODE_ADDRESS, vmsan_kvm_guest_start,
          vmsan_kvm_guest_end - vmsan_kvm_guest_start);
  vmsan_kvm_guest_fill_tables (memory + VMSAN_KVM_GUEST_TABLES_ADDRESS);
  region.userspace_addr = (guintptr) memory;
  /* Intel without unrestricted guests needs three pages for itself; elsewhere it changes nothing.
   */
  ioctl (vm, KVM_SET_TSS_ADDR, 0xfffbd000UL);
  return ioctl (vm, KVM_SET_USER_MEMORY_REGION, &region);
}

static int
set_up_registers (int kvm, int vcpu)
{
  static struct
  {
    struct kvm_cpuid2 header;
    struct kvm_cpuid_entry2 entries[CPUID_ENTRIES_MAX];
  } cpuid = { .header.nent = CPUID_ENTRIES_MAX };
  const struct kvm_regs regs = { .rip = VMSAN_KVM_GUEST_CODE_ADDRESS, .rflags = 2 };
  struct kvm_sregs sregs;

  /* Long mode is refused to a CPU whose CPUID does not have it. */
  if (ioctl (kvm, KVM_GET_SUPPORTED_CPUID, &cpuid) < 0 ||
      ioctl (vcpu, KVM_SET_CPUID2, &cpuid) < 0 || ioctl (vcpu, KVM_GET_SREGS, &sregs) < 0)
    return -1;
  sregs.cs.base = 0;
  sregs.cs.selector = 0;
  if (ioctl (vcpu, KVM_SET_SREGS, &sregs) < 0)
    return -1;
  return ioctl (vcpu, KVM_SET_REGS, &regs);
}

/* Runs to the guest's end; what it reported on the way goes to the report. */
static int
run_guest (int kvm, int vcpu, Report *report)
{
  long size = ioctl (kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
  struct kvm_run *run;
  gsize n_reports = 0;

  if (size < (long) sizeof *run)
    return -1;
  run = mmap (NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
  if (run == MAP_FAILED)
    return -1;
  for (int i = 0; i < GUEST_EXITS_MAX; i++)
    {
      if (ioctl (vcpu, KVM_RUN, 0) < 0)
        {
          if (errno == EINTR)
            continue;
          return -1;
        }
      report->exit_reason = run->exit_reason;
      if (run->exit_reason != KVM_EXIT_IO || run->io.port != VMSAN_KVM_GUEST_REPORT_PORT ||
          run->io.data_offset >= (guint64) size || n_reports + 1 >= sizeof report->progress)
        break;
      report->progress[n_reports++] = ((const char *) run)[run->io.data_offset];
    }
  return 0;
}

static void
probe_in_child (const char *device, Report *report)
{
  int kvm, vm, vcpu;

  report->step = STEP_OPEN;
  if ((kvm = open (device, O_RDWR | O_CLOEXEC)) < 0)
    return;
  report->step = STEP_VERSION;
  errno = 0;
  if (ioctl (kvm, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
    return;
  report->step = STEP_VM;
  if ((vm = ioctl (kvm, KVM_CREATE_VM, 0)) < 0)
    return;
  report->step = STEP_MEMORY;
  if (set_up_memory (vm) < 0)
    return;
  report->step = STEP_VCPU;
  if ((vcpu = ioctl (vm, KVM_CREATE_VCPU, 0)) < 0)
    return;
  report->step = STEP_REGISTERS;
  if (set_up_registers (kvm, vcpu) < 0)
    return;
  report->step = STEP_RUN;
  if (run_guest (kvm, vcpu, report) < 0)
    return;
  report->step = STEP_DONE;
}

/* ---- The parent --------------------------------------------------------------------------------
 */

/* Forks the child; @report_fd becomes the end to read its report from. */
static pid_t
start_child (const char *device, int *report_fd)
{
  int pipe_fds[2];
  pid_t pid;

  if (pipe2 (pipe_fds, O_CLOEXEC) != 0)
    return -1;
  pid = fork ();
  if (pid == 0)
    {
      Report report = { 0 };

      probe_in_child (device, &report);
      report.saved_errno = report.step == STEP_DONE ? 0 : errno;
      _exit (write (pipe_fds[1], &report, sizeof report) == sizeof report ? 0 : 1);
    }
  close (pipe_fds[1]);
  *report_fd = pipe_fds[0];
  return pid;
}

/* Kills the child if need be and reaps it, unless it hangs in the kernel. */
static void
end_child (pid_t pid, guint deadline_ms)
{
  vmsan_autofd int pidfd = syscall (SYS_pidfd_open, pid, 0);
  struct pollfd ended = { pidfd, POLLIN, 0 };

  kill (pid, SIGKILL);
  if (poll (&ended, 1, deadline_ms) > 0)
    waitpid (pid, NULL, 0);
}

/* FALSE when the child did not report in time. */
static gboolean
read_report (int report_fd, guint deadline_ms, Report *report)
{
  struct pollfd reported = { report_fd, POLLIN, 0 };

  while (poll (&reported, 1, deadline_ms) < 0)
    if (errno != EINTR)
      return FALSE;
  return (reported.revents & POLLIN) != 0 &&
         read (report_fd, report, sizeof *report) == sizeof *report;
}

static char *
describe_unusable (const char *device, const Report *report)
{
  g_autofree char *what = NULL;

  if (report->step != STEP_DONE && report->saved_errno != 0)
    what = g_strdup_printf ("%s failed: %s", step_names[report->step],
                            g_strerror (report->saved_errno));
  else if (report->step != STEP_DONE)
    what = g_strdup_printf ("%s gave an unknown answer", step_names[report->step]);
  else
    what = g_strdup_printf ("a test guest stopped after step %u of %u (exit reason %d)",
                            (guint) strlen (report->progress),
                            (guint) strlen (VMSAN_KVM_GUEST_REPORT), report->exit_reason);
  return g_strdup_printf ("%s is there but cannot run a virtual machine: %s. If this computer is "
                          "itself a virtual machine, its host must offer full nested "
                          "virtualization",
                          device, what);
}

static VmsanKvmState
judge (const char *device, const Report *report, char **reason)
{
  if (report->step == STEP_DONE && strcmp (report->progress, VMSAN_KVM_GUEST_REPORT) == 0 &&
      report->exit_reason == KVM_EXIT_HLT)
    return VMSAN_KVM_USABLE;
  if (report->step == STEP_OPEN &&
      (report->saved_errno == ENOENT || report->saved_errno == ENOTDIR))
    {
      *reason =
          g_strdup_printf ("%s does not exist: enable virtualization in the firmware and load "
                           "the module kvm_intel or kvm_amd",
                           device);
      return VMSAN_KVM_ABSENT;
    }
  if (report->step == STEP_OPEN && (report->saved_errno == EACCES || report->saved_errno == EPERM))
    {
      *reason =
          g_strdup_printf ("%s cannot be opened by the service: %s. Check the node's owner and "
                           "mode, and DeviceAllow= of the service's unit",
                           device, g_strerror (report->saved_errno));
      return VMSAN_KVM_UNREADABLE;
    }
  *reason = describe_unusable (device, report);
  return VMSAN_KVM_UNUSABLE;
}

VmsanKvmState
vmsan_kvm_probe (const char *device, guint deadline_ms, char **reason)
{
  vmsan_autofd int report_fd = -1;
  Report report = { 0 };
  gboolean reported;
  pid_t pid;

  *reason = NULL;
  pid = start_child (device, &report_fd);
  if (pid < 0)
    {
      *reason = g_strdup_printf ("%s could not be tried: %s", device, g_strerror (errno));
      return VMSAN_KVM_UNUSABLE;
    }
  reported = read_report (report_fd, deadline_ms, &report);
  end_child (pid, deadline_ms);
  report.progress[sizeof report.progress - 1] = '\0';
  if (reported)
    return judge (device, &report, reason);
  *reason = g_strdup_printf (
      "%s is there but cannot run a virtual machine: a test guest did not end within %u ms", device,
      deadline_ms);
  return VMSAN_KVM_UNUSABLE;
}

gboolean
vmsan_kvm_find_group (const char *device, gid_t *group, char **reason)
{
  struct stat st;

  *group = 0;
  if (stat (device, &st) != 0)
    {
      *reason = g_strdup_printf ("%s cannot be examined: %s", device, g_strerror (errno));
      return FALSE;
    }
  if ((st.st_mode & S_IROTH) != 0 && (st.st_mode & S_IWOTH) != 0)
    return TRUE;
  if (st.st_gid != 0 && (st.st_mode & S_IRGRP) != 0 && (st.st_mode & S_IWGRP) != 0)
    {
      *group = st.st_gid;
      return TRUE;
    }
  *reason = g_strdup_printf ("%s can be used by root only; give it a group, as in: chgrp kvm %s && "
                             "chmod g+rw %s",
                             device, device, device);
  return FALSE;
}
