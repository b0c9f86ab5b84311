/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The three things that the program does; each returns the program's exit code. */

#pragma once

/* Lines of "+|- tcp|udp|icmp ADDRESS PORT [HEX]": what to try to reach, whether an answer is
 * expected, and what to send there. All at once; ends when each + has an outcome and @silence_ms
 * more have passed, or after @deadline_ms. One line for each: "answered HEX", "refused",
 * "error NUMBER" or "silent". */
int run_probes (int deadline_ms, int silence_ms);

/* Lines of "ADDRESS PORT", then an empty one: rounds of datagrams with a number, one to each, with
 * @interval_us between them. Each further line is answered with "next NUMBER", the number of the
 * next datagram; at the end of the input "end NUMBER", and how many the kernel did not take. */
int run_stream (int interval_us);

/* Lines of HEX: Ethernet frames that leave by @device as they are. */
int run_frames (const char *device);
