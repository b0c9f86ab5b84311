# SPDX-License-Identifier: GPL-2.0-or-later
"""A bzImage that the service takes, and cannot unpack."""

FIELDS = {
    # Documentation/arch/x86/boot.rst: offset, size, value
    "setup_sects": (0x1f1, 1, 3),
    "syssize": (0x1f4, 4, 128),
    "boot_flag": (0x1fe, 2, 0xaa55),
    "header": (0x202, 4, int.from_bytes(b"HdrS", "little")),
    "version": (0x206, 2, 0x20f),
    "loadflags": (0x211, 1, 1),
    "xloadflags": (0x236, 2, 1),
    "payload_length": (0x24c, 4, 100),
    "payload": (0x800, 2, 0xcdab),  # the magic of a compression that nobody knows
}

REASON = "Its compression is not known (it begins with ab cd)"


def odd_kernel():
    image = bytearray(4096)
    for at, size, value in FIELDS.values():
        image[at:at + size] = value.to_bytes(size, "little")
    return bytes(image)
