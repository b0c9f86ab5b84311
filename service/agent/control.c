/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "agent/control.h"

#include "agent/agent.h"
#include "config.h"

#include <errno.h>
#include <stdlib.h>

void
agent_control_init (AgentControl *control, Agent *agent)
{
  control->agent = agent;
  control->stream = -1;
}

void
agent_control_begin (AgentControl *control, int stream)
{
  control->stream = stream;
  agent_frame_reader_reset (&control->reader);
  agent_output_reset (&control->output);
}

void
agent_control_end (AgentControl *control)
{
  control->stream = -1;
  agent_lost_control (control->agent);
}

/* A host that lets the answers pile up loses some; it can LIST. Errors of the stream show up when
 * it is read next. */
static void
send_frame (AgentControl *control, uint8_t type, const void *payload, size_t length)
{
  if (control->stream < 0)
    return;
  if (!agent_output_frame (&control->output, type, payload, length))
    agent_log ("the host does not read its control session");
  agent_output_flush (&control->output, control->stream);
}

void
agent_control_send_ready (AgentControl *control)
{
  const Agent *agent = control->agent;
  uint8_t payload[PATH_MAX + 128];
  size_t used = 0;

  vmsan_field_append (payload, sizeof payload, &used, VMSAN_FIELD_VERSION, PACKAGE_VERSION,
                      strlen (PACKAGE_VERSION));
  vmsan_field_append (payload, sizeof payload, &used, VMSAN_FIELD_BOOT_MS, &agent->boot_ms,
                      sizeof agent->boot_ms);
  vmsan_field_append (payload, sizeof payload, &used, VMSAN_FIELD_INIT, agent->init,
                      strlen (agent->init));
  send_frame (control, VMSAN_FRAME_READY, payload, used);
}

void
agent_control_send_failed (AgentControl *control, const AgentError *error)
{
  uint8_t payload[sizeof error->message + 8];
  size_t used = 0;

  vmsan_field_append (payload, sizeof payload, &used, VMSAN_FIELD_MESSAGE, error->message,
                      strlen (error->message));
  send_frame (control, VMSAN_FRAME_FAILED, payload, used);
}

void
agent_control_send_session_ended (AgentControl *control, uint32_t port)
{
  uint8_t payload[16];
  size_t used = 0;

  vmsan_field_append (payload, sizeof payload, &used, VMSAN_FIELD_PORT, &port, sizeof port);
  send_frame (control, VMSAN_FRAME_SESSION_ENDED, payload, used);
}

static void
send_sessions (AgentControl *control)
{
  uint8_t payload[AGENT_STREAMS_MAX * 16];
  uint32_t ports[AGENT_STREAMS_MAX];
  const size_t n_ports = agent_channel_list_busy (&control->agent->channel, ports);
  size_t used = 0;

  for (size_t i = 0; i < n_ports; i++)
    vmsan_field_append (payload, sizeof payload, &used, VMSAN_FIELD_PORT, &ports[i],
                        sizeof ports[i]);
  send_frame (control, VMSAN_FRAME_SESSIONS, payload, used);
}

static bool
configure (AgentControl *control, const AgentFrame *frame)
{
  AgentConfig *config = calloc (1, sizeof *config);
  AgentError error = { "there is no memory for the configuration" };

  if (config != NULL)
    switch (agent_config_parse (config, frame->payload, frame->length, &error))
      {
      case AGENT_PARSE_OK:
        agent_configure (control->agent, config);
        return true;
      case AGENT_PARSE_MALFORMED:
        free (config);
        return false;
      case AGENT_PARSE_REFUSED:
        break;
      }
  free (config);
  return agent_refuse_configuration (control->agent, &error);
}

static bool
shut_down (AgentControl *control, const AgentFrame *frame)
{
  uint32_t action = 0;
  VmsanFieldReader reader;
  VmsanField field;
  int more;

  vmsan_field_reader_init (&reader, frame->payload, frame->length);
  while ((more = vmsan_field_reader_next (&reader, &field)) == 1)
    if (field.tag == VMSAN_FIELD_ACTION && !vmsan_field_get_u32 (&field, &action))
      return false;
  if (more < 0 || (action != VMSAN_SHUTDOWN_POWER_OFF && action != VMSAN_SHUTDOWN_REBOOT))
    return false;
  agent_shut_down (control->agent, action);
  return true;
}

/* False: the host does not keep to the protocol. */
static bool
handle_frame (AgentControl *control, const AgentFrame *frame)
{
  switch (frame->type)
    {
    case VMSAN_FRAME_CONFIGURE:
      return configure (control, frame);
    case VMSAN_FRAME_SHUTDOWN:
      return shut_down (control, frame);
    case VMSAN_FRAME_PING:
      if (frame->length != 8)
        return false;
      send_frame (control, VMSAN_FRAME_PONG, frame->payload, frame->length);
      return true;
    case VMSAN_FRAME_LIST:
      if (frame->length != 0)
        return false;
      send_sessions (control);
      return true;
    default:
      return false;
    }
}

AgentControlStatus
agent_control_advance (AgentControl *control)
{
  AgentFrame frame;

  for (;;)
    {
      if (agent_output_flush (&control->output, control->stream) < 0)
        return AGENT_CONTROL_OVER;
      /* While answers wait nothing more is asked for. */
      if (agent_output_room (&control->output) < VMSAN_FRAME_PAYLOAD_MAX)
        return AGENT_CONTROL_ALIVE;
      switch (agent_frame_reader_read (&control->reader, control->stream, &frame))
        {
        case AGENT_FRAME_COMPLETE:
          if (!handle_frame (control, &frame))
            return AGENT_CONTROL_OVER;
          break;
        case AGENT_FRAME_NONE:
          return AGENT_CONTROL_ALIVE;
        case AGENT_FRAME_HELLO:
          return AGENT_CONTROL_HELLO;
        case AGENT_FRAME_MALFORMED:
          return AGENT_CONTROL_MALFORMED;
        case AGENT_FRAME_HANGUP:
          return AGENT_CONTROL_OVER;
        }
    }
}
