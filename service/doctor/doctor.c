/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: the main loop never waits for the host, and each who asks gets an answer that is no
 * older than the question. */

#include "doctor/doctor.h"

#include "doctor/leaks.h"

struct _VmsanDoctor
{
  GObject parent;
  VmsanVmManager *manager;
  gboolean busy;
  GQueue waiting; /* GTask, with whether to repair as its data */
};

G_DEFINE_FINAL_TYPE (VmsanDoctor, vmsan_doctor, G_TYPE_OBJECT)

static void
vmsan_doctor_finalize (GObject *object)
{
  g_object_unref (VMSAN_DOCTOR (object)->manager);
  G_OBJECT_CLASS (vmsan_doctor_parent_class)->finalize (object);
}

static void
vmsan_doctor_class_init (VmsanDoctorClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = vmsan_doctor_finalize;
}

static void
vmsan_doctor_init (VmsanDoctor *self)
{
  g_queue_init (&self->waiting);
}

VmsanDoctor *
vmsan_doctor_new (VmsanVmManager *manager)
{
  VmsanDoctor *self = g_object_new (VMSAN_TYPE_DOCTOR, NULL);

  self->manager = g_object_ref (manager);
  return self;
}

/* ---- An examination ------------------------------------------------------------------------ */

typedef struct
{
  VmsanDoctor *doctor;
  VmsanDoctorScope scope;
  gboolean repair;
  GPtrArray *asking; /* GTask: who gets the findings */
  GPtrArray *findings;
  GPtrArray *leaks;
  GArray *slots; /* guint, reserved */
} Examination;

static void
examination_free (gpointer data)
{
  Examination *self = data;

  g_object_unref (self->doctor);
  g_object_unref (self->scope.networks);
  vmsan_managed_root_unref (self->scope.state_root);
  vmsan_managed_root_unref (self->scope.runtime_root);
  g_free (self->scope.cgroup_parent);
  g_free (self->scope.resolver);
  g_free (self->scope.dnsmasq_binary);
  g_ptr_array_unref (self->asking);
  g_ptr_array_unref (self->findings);
  g_clear_pointer (&self->leaks, g_ptr_array_unref);
  g_array_unref (self->slots);
  g_free (self);
}

static Examination *
examination_new (VmsanDoctor *doctor, gboolean repair)
{
  VmsanVmManager *manager = doctor->manager;
  const VmsanConfig *config = vmsan_vm_manager_get_config (manager);
  Examination *self = g_new0 (Examination, 1);

  self->doctor = g_object_ref (doctor);
  self->scope.networks = g_object_ref (vmsan_vm_manager_get_networks (manager));
  self->scope.state_root = vmsan_managed_root_ref (vmsan_vm_manager_get_state_root (manager));
  self->scope.runtime_root = vmsan_managed_root_ref (vmsan_vm_manager_get_runtime_root (manager));
  self->scope.cgroup_parent = g_strdup (config->cgroup_parent);
  self->scope.resolver = g_strdup (config->resolver);
  self->scope.dnsmasq_binary = g_strdup (config->dnsmasq_binary);
  self->repair = repair;
  self->asking = g_ptr_array_new_with_free_func (g_object_unref);
  self->findings = vmsan_findings_new ();
  self->slots = g_array_new (FALSE, FALSE, sizeof (guint));
  return self;
}

static void start_next (VmsanDoctor *self);

static void
on_judged (GObject *source, GAsyncResult *result, gpointer user_data)
{
  Examination *examination = user_data;
  g_autoptr (VmsanDoctor) self = g_object_ref (examination->doctor);

  for (guint i = 0; i < examination->slots->len; i++)
    vmsan_net_manager_release_slot (examination->scope.networks,
                                    g_array_index (examination->slots, guint, i));
  for (guint i = 0; i < examination->asking->len; i++)
    g_task_return_pointer (g_ptr_array_index (examination->asking, i),
                           g_ptr_array_ref (examination->findings),
                           (GDestroyNotify) g_ptr_array_unref);
  examination_free (examination);
  self->busy = FALSE;
  start_next (self);
}

/* Goes on in a thread with what then is @callback's. The thread gets a task without the doctor: it
 * may be the last to let its task go. */
static void
work (Examination *examination, GTaskThreadFunc func, GAsyncReadyCallback callback)
{
  g_autoptr (GTask) task = g_task_new (NULL, NULL, callback, examination);

  g_task_set_task_data (task, examination, NULL);
  g_task_run_in_thread (task, func);
}

static void
judge_in_thread (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  Examination *examination = data;

  vmsan_leaks_judge (&examination->scope, examination->leaks, examination->repair,
                     examination->findings);
  g_task_return_boolean (task, TRUE);
}

static void
on_looked (GObject *source, GAsyncResult *result, gpointer user_data)
{
  Examination *examination = user_data;

  vmsan_leaks_keep_nobodys (examination->leaks, examination->doctor->manager, examination->slots);
  work (examination, judge_in_thread, on_judged);
}

static void
look_in_thread (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  Examination *examination = data;

  vmsan_doctor_check_host (&examination->scope, examination->findings);
  vmsan_doctor_check_storage (&examination->scope, examination->findings);
  vmsan_doctor_check_network (&examination->scope, examination->findings);
  examination->leaks = vmsan_leaks_look (&examination->scope);
  g_task_return_boolean (task, TRUE);
}

static gboolean
wants_repair (GTask *task)
{
  return GPOINTER_TO_INT (g_task_get_task_data (task));
}

/* The one that waits longest and, where that is to be a look, all others who want just that. */
static void
take_waiting (VmsanDoctor *self, GPtrArray *asking)
{
  gboolean repair = wants_repair (g_queue_peek_head (&self->waiting));

  g_ptr_array_add (asking, g_queue_pop_head (&self->waiting));
  for (GList *link = self->waiting.head; !repair && link != NULL;)
    {
      GList *next = link->next;

      if (!wants_repair (link->data))
        {
          g_ptr_array_add (asking, link->data);
          g_queue_delete_link (&self->waiting, link);
        }
      link = next;
    }
}

static void
start_next (VmsanDoctor *self)
{
  Examination *examination;

  if (self->busy || g_queue_is_empty (&self->waiting))
    return;
  self->busy = TRUE;
  examination = examination_new (self, wants_repair (g_queue_peek_head (&self->waiting)));
  take_waiting (self, examination->asking);
  vmsan_doctor_check_drivers (self->manager, examination->findings);
  vmsan_doctor_check_contents (self->manager, examination->findings);
  work (examination, look_in_thread, on_looked);
}

void
vmsan_doctor_examine_async (VmsanDoctor *self,
                            gboolean repair,
                            GAsyncReadyCallback callback,
                            gpointer user_data)
{
  GTask *task = g_task_new (self, NULL, callback, user_data);

  g_task_set_task_data (task, GINT_TO_POINTER (repair), NULL);
  g_queue_push_tail (&self->waiting, task);
  start_next (self);
}

GPtrArray *
vmsan_doctor_examine_finish (VmsanDoctor *self, GAsyncResult *result)
{
  return g_task_propagate_pointer (G_TASK (result), NULL);
}
