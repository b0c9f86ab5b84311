/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What a test wants to go wrong.
 *
 * A file beside the program, PROGRAM.orders; or else, in a jail that a test does not make itself,
 * what is bound there as a kernel, if its first line is only the magic of an ELF file; or the file
 * that FAKE_FIRECRACKER_ORDERS names. It is read at each request, so that a test can change its
 * mind. A line is a word and what follows it:
 *
 *   version 1.14.4                  the release to be; read once, at the start
 *   kvm /dev/null                   what to open for /dev/kvm, where there is none
 *   slow PUT /vsock 500             waits so many milliseconds before it answers
 *   die PUT /vsock 149              exits with that code and no answer
 *   die-after PUT /vsock 149        answers, then exits
 *   hang-up PUT /vsock              closes the connection without an answer
 *   answer PUT /vsock 400 {…}       answers that status and body, and does nothing
 *   raw PUT /vsock TEXT             sends that text and hangs up
 *   half-answer PUT /vsock          sends half an answer and exits
 *   endless PUT /vsock              answers a body without an end; also endless-header,
 *                                   endless-line, -interim, -chunk-size and -trailer
 *   half-snapshot                   writes half of a snapshot's state, and refuses; with an exit
 *                                   code it ends instead
 *   guest-exit-code 149             how it ends when the guest ends
 *   ignore-ctrl-alt-del             the guest has no such key
 *   deaf                            nothing in the guest listens any more */

#pragma once

#include <stdbool.h>
#include <stddef.h>

void orders_init (const char *program);

/* What follows @word in the first line that begins with it. @call: also "PUT /vsock", or NULL. */
bool orders_get (const char *word, const char *call, char *value, size_t size);
