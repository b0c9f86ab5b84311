/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The programs of the guest: in a jail there is no other way to bring them. */

        .section .rodata
        .global blob_agent, blob_agent_end, blob_busybox, blob_busybox_end
        .balign 16
blob_agent:
        .incbin AGENT_PATH
blob_agent_end:
        .balign 16
blob_busybox:
        .incbin BUSYBOX_PATH
blob_busybox_end:
        .section .note.GNU-stack, "", @progbits
