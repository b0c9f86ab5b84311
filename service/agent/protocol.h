/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The agent protocol, version 1: what vmsand, libvmsan and the guest's agent say to each other.
 *
 * This header is the specification; all ends include it. It needs libc only.
 *
 * Streams. Each session has a stream of its own: one virtio-serial port ("org.vmsan.agent.N"), or
 * one vsock connection. A stream carries one session, then it is closed.
 *
 * Handshake. A serial port may still hold bytes of an earlier session, in both directions. So the
 * host sends a VmsanHello with a nonce that nobody can guess, and the guest skips whatever it
 * reads until a VmsanHello begins; the guest answers with a VmsanWelcome that repeats the nonce,
 * and the host skips whatever it reads until that begins (at most VMSAN_PROTOCOL_SKIP_MAX bytes).
 * The token proves that vmsand opened the stream: the first CONTROL hello after boot sets it, every
 * later hello must carry it. Where the machine has a port 0, that first one must come through it. A
 * host that gets no welcome in some seconds closes the stream and tries again: what an earlier host
 * left half sent may have swallowed the hello. vmsand does the handshake; a caller that is given
 * the stream never sees the token.
 *
 * Frames. After the handshake each side sends frames: an 8-byte header (VmsanFrameHeader) and
 * `length` bytes of payload, at most VMSAN_FRAME_PAYLOAD_MAX. Integers are little-endian. A frame
 * that is too long, of an unknown type, or not allowed now ends the session. Structured payloads
 * are a sequence of fields: u16 tag, u16 zero, u32 length, bytes. Unknown tags are ignored, so that
 * later versions can add some; a field that does not fit its frame ends the session.
 *
 * A hello where a frame should begin ends the session, and is answered when its programs are ended:
 * a serial port's host may have changed without the guest seeing the port closed. A host uses a
 * port again after SESSION_ENDED, or after a new vmsand has found it missing in SESSIONS.
 *
 * Control session. One at a time, vmsand only; a new one takes the place of an old one. Host:
 * CONFIGURE after boot, later SHUTDOWN, PING, LIST. Guest: READY or FAILED after CONFIGURE, PONG,
 * SESSIONS, SESSION_ENDED at any time. CONFIGURE may be repeated, by a vmsand that was restarted:
 * then only the clock is set, and the answer is the same once more. After FAILED the guest powers
 * off when the host closes the stream, or after three seconds. SHUTDOWN has no answer but the end
 * of the machine, at the latest after the VMSAN_SHUTDOWN times together.
 *
 * Exec session. Host: EXEC, then STDIN frames, STDIN_EOF, SIGNAL, WINDOW_SIZE. Guest: STARTED or
 * EXEC_FAILED; then STDOUT, STDERR, STDIN_CREDIT; STDOUT_EOF and STDERR_EOF; last EXITED. The host
 * may have at most as many STDIN bytes under way as STDIN_CREDIT frames granted (the first comes
 * with STARTED), so that SIGNAL is never stuck behind input that the program does not read. Output
 * needs no credit: a host that does not read makes the stream fill, and the program's pipe with
 * it. When the host closes the stream, the program's session gets SIGHUP and, after
 * VMSAN_HANGUP_GRACE_MS, SIGKILL. EXITED is sent when the program itself has ended and its output
 * was drained: background children that still hold its output do not keep the session. They live
 * on, unless the host closes the stream before EXITED or TIMEOUT_MS runs out: those end everything
 * that the program started. A host that breaks the protocol gets EXEC_FAILED or, once the program
 * runs, EXITED with SIGKILL. On a terminal, STDIN_EOF types the end-of-file character.
 *
 * The guest is hostile to the host and the host's callers may be hostile to the guest: each side
 * checks all it reads against the bounds below. */

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define VMSAN_PROTOCOL_VERSION 1

#define VMSAN_HELLO_MAGIC   "\177vmsanH1" /* 8 bytes without the terminator */
#define VMSAN_WELCOME_MAGIC "\177vmsanW1"
#define VMSAN_MAGIC_SIZE    8
#define VMSAN_NONCE_SIZE    16
#define VMSAN_TOKEN_SIZE    32

#define VMSAN_PROTOCOL_SKIP_MAX (4u << 20)
#define VMSAN_FRAME_PAYLOAD_MAX (64u << 10)
#define VMSAN_STDIN_WINDOW      (256u << 10)
#define VMSAN_HANGUP_GRACE_MS   2000
#define VMSAN_SHUTDOWN_INIT_MS  10000 /* for the image's init to end the machine when asked */
#define VMSAN_SHUTDOWN_TERM_MS  2000  /* then, or without an init: from SIGTERM to SIGKILL */
#define VMSAN_SHUTDOWN_KILL_MS  1000  /* from SIGKILL to the end */
#define VMSAN_ARGS_MAX          1024  /* arguments or environment entries in one EXEC */
#define VMSAN_VSOCK_PORT        7000
#define VMSAN_SERIAL_NAME       "org.vmsan.agent." /* and the number of the port */

/* What a stream may be used for; in VmsanHello.kind. */
enum VmsanSessionKind
{
  VMSAN_SESSION_CONTROL = 1, /* vmsand itself */
  VMSAN_SESSION_CALLER = 2,  /* to be handed to a caller: EXEC */
};

typedef struct
{
  uint8_t magic[VMSAN_MAGIC_SIZE];
  uint8_t nonce[VMSAN_NONCE_SIZE];
  uint8_t token[VMSAN_TOKEN_SIZE];
  uint16_t version; /* highest the host speaks */
  uint16_t kind;    /* VmsanSessionKind */
  uint32_t zero;
} VmsanHello; /* 64 bytes */

enum VmsanWelcomeStatus
{
  VMSAN_WELCOME_OK = 0,
  VMSAN_WELCOME_BAD_TOKEN = 1,
  VMSAN_WELCOME_BAD_VERSION = 2,
  VMSAN_WELCOME_NOT_READY = 3, /* not configured yet, or shutting down */
  VMSAN_WELCOME_BUSY = 4,      /* too many sessions */
};

typedef struct
{
  uint8_t magic[VMSAN_MAGIC_SIZE];
  uint8_t nonce[VMSAN_NONCE_SIZE];
  uint16_t version; /* the one that will be spoken */
  uint16_t status;  /* VmsanWelcomeStatus; not OK: the stream is over */
  uint32_t zero;
} VmsanWelcome; /* 32 bytes */

typedef struct
{
  uint8_t type; /* VmsanFrameType */
  uint8_t zero[3];
  uint32_t length;
} VmsanFrameHeader; /* 8 bytes */

_Static_assert(sizeof (VmsanHello) == 64, "wire format");
_Static_assert(sizeof (VmsanWelcome) == 32, "wire format");
_Static_assert(sizeof (VmsanFrameHeader) == 8, "wire format");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "structures are read in place");

enum VmsanFrameType
{
  /* control, host to guest */
  VMSAN_FRAME_CONFIGURE = 1, /* fields HOSTNAME, INIT, ENV, CWD, USER, ... */
  VMSAN_FRAME_SHUTDOWN = 2,  /* fields ACTION */
  VMSAN_FRAME_PING = 3,      /* 8 opaque bytes */
  VMSAN_FRAME_LIST = 4,      /* empty */

  /* control, guest to host */
  VMSAN_FRAME_READY = 16,         /* fields VERSION, BOOT_MS, INIT */
  VMSAN_FRAME_FAILED = 17,        /* fields MESSAGE: the guest cannot come up; it powers off */
  VMSAN_FRAME_PONG = 18,          /* the 8 bytes */
  VMSAN_FRAME_SESSIONS = 19,      /* one PORT field for each serial port that callers use */
  VMSAN_FRAME_SESSION_ENDED = 20, /* fields PORT: that serial port is free again */

  /* exec, host to guest */
  VMSAN_FRAME_EXEC = 32, /* fields ARG (1 or more), ENV, CWD, USER, TIMEOUT_MS, TTY */
  VMSAN_FRAME_STDIN = 33,
  VMSAN_FRAME_STDIN_EOF = 34,
  VMSAN_FRAME_SIGNAL = 35,      /* u32 signal number, to the process group */
  VMSAN_FRAME_WINDOW_SIZE = 36, /* u16 rows, u16 columns */

  /* exec, guest to host */
  VMSAN_FRAME_STARTED = 48,      /* u32 pid in the guest */
  VMSAN_FRAME_EXEC_FAILED = 49,  /* fields CODE, MESSAGE; the session is over */
  VMSAN_FRAME_STDIN_CREDIT = 50, /* u32 more bytes */
  VMSAN_FRAME_STDOUT = 51,
  VMSAN_FRAME_STDERR = 52,
  VMSAN_FRAME_STDOUT_EOF = 53,
  VMSAN_FRAME_STDERR_EOF = 54,
  VMSAN_FRAME_EXITED = 55, /* VmsanExited; the session is over */
};

enum VmsanFieldTag
{
  VMSAN_FIELD_ARG = 1,
  VMSAN_FIELD_ENV = 2, /* NAME=VALUE */
  VMSAN_FIELD_CWD = 3,
  VMSAN_FIELD_USER = 4,       /* name or uid, with :group if wanted */
  VMSAN_FIELD_TIMEOUT_MS = 5, /* u64 */
  VMSAN_FIELD_TTY = 6,        /* u16 rows, u16 columns: on a terminal, stderr joins stdout */
  VMSAN_FIELD_HOSTNAME = 16,
  VMSAN_FIELD_INIT = 17,    /* CONFIGURE: "auto", "none" or a path; READY: what runs, or "none" */
  VMSAN_FIELD_ACTION = 18,  /* u32 VmsanShutdownAction */
  VMSAN_FIELD_VERSION = 19, /* text */
  VMSAN_FIELD_BOOT_MS = 20, /* u32, guest clock from kernel start to ready */
  VMSAN_FIELD_MESSAGE = 21, /* UTF-8 text, at most 1024 bytes */
  VMSAN_FIELD_CODE = 22,    /* u32 VmsanExecError */
  VMSAN_FIELD_PORT = 23,    /* u32 */
  VMSAN_FIELD_REALTIME_NS = 24, /* u64: host's clock, to set the guest's */

  /* CONFIGURE, for the first Ethernet device; none of them: loopback only */
  VMSAN_FIELD_ADDRESS = 32,  /* "192.0.0.2/29", "fd00::2/64"; at most one of each family */
  VMSAN_FIELD_GATEWAY = 33,  /* default route, of the family of the address */
  VMSAN_FIELD_RESOLVER = 34, /* for /etc/resolv.conf; at most 3 */
};

enum VmsanShutdownAction
{
  VMSAN_SHUTDOWN_POWER_OFF = 1, /* QEMU */
  VMSAN_SHUTDOWN_REBOOT = 2,    /* Firecracker ends when the guest reboots */
};

enum VmsanExecError
{
  VMSAN_EXEC_NOT_FOUND = 1,      /* like a shell's 127 */
  VMSAN_EXEC_NOT_EXECUTABLE = 2, /* like a shell's 126 */
  VMSAN_EXEC_NO_USER = 3,
  VMSAN_EXEC_NO_DIRECTORY = 4,
  VMSAN_EXEC_BAD_REQUEST = 5,
  VMSAN_EXEC_NO_RESOURCES = 6, /* memory, processes or sessions */
};

typedef struct
{
  uint32_t exit_code;     /* 0 to 255; 0 when a signal ended it */
  uint32_t signal_number; /* 0 when it exited */
  uint32_t timed_out;     /* 1 when TIMEOUT_MS ran out and it was killed for that */
} VmsanExited;

/* ---- Fields -------------------------------------------------------------------------------- */

typedef struct
{
  uint16_t tag;
  uint32_t length;
  const uint8_t *data; /* inside the payload; not NUL-terminated */
} VmsanField;

typedef struct
{
  const uint8_t *next;
  size_t left;
} VmsanFieldReader;

static inline void
vmsan_field_reader_init (VmsanFieldReader *reader, const void *payload, size_t length)
{
  reader->next = (const uint8_t *) payload;
  reader->left = length;
}

/* 1: @field is filled; 0: the end; -1: malformed. */
static inline int
vmsan_field_reader_next (VmsanFieldReader *reader, VmsanField *field)
{
  uint16_t zero;

  if (reader->left == 0)
    return 0;
  if (reader->left < 8)
    return -1;
  memcpy (&field->tag, reader->next, 2);
  memcpy (&zero, reader->next + 2, 2);
  memcpy (&field->length, reader->next + 4, 4);
  if (zero != 0 || field->length > reader->left - 8)
    return -1;
  field->data = reader->next + 8;
  reader->next += 8 + field->length;
  reader->left -= 8 + field->length;
  return 1;
}

/* Appends a field to a payload of @capacity bytes of which *@used are taken; false: no room. */
static inline bool
vmsan_field_append (
    uint8_t *payload, size_t capacity, size_t *used, uint16_t tag, const void *data, size_t length)
{
  const uint16_t zero = 0;
  const uint32_t length32 = (uint32_t) length;

  if (*used > capacity || capacity - *used < 8 || length > capacity - *used - 8)
    return false;
  memcpy (payload + *used, &tag, 2);
  memcpy (payload + *used + 2, &zero, 2);
  memcpy (payload + *used + 4, &length32, 4);
  if (length > 0)
    memcpy (payload + *used + 8, data, length);
  *used += 8 + length;
  return true;
}

/* The text of a field as a C string in @buffer; false when it does not fit or contains a NUL. */
static inline bool
vmsan_field_get_text (const VmsanField *field, char *buffer, size_t size)
{
  if (field->length >= size || memchr (field->data, '\0', field->length) != NULL)
    return false;
  memcpy (buffer, field->data, field->length);
  buffer[field->length] = '\0';
  return true;
}

static inline bool
vmsan_field_get_u32 (const VmsanField *field, uint32_t *value)
{
  if (field->length != sizeof *value)
    return false;
  memcpy (value, field->data, sizeof *value);
  return true;
}

static inline bool
vmsan_field_get_u64 (const VmsanField *field, uint64_t *value)
{
  if (field->length != sizeof *value)
    return false;
  memcpy (value, field->data, sizeof *value);
  return true;
}
