/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The guest that kvm-probe runs: it does what a kernel does on its way up, and says how far it
 * got. Copied to guest-physical 0x1000 and entered there in real mode, with identity page tables
 * for the first 2 MiB at 0x10000.
 *
 * Real mode, protected mode, long mode with paging, an exception and its return, a reload of the
 * page tables, CPUID, halt. Some hosts have a /dev/kvm that stops in the middle of this: the
 * first three steps need only an emulator, a kernel needs them all. */

#define ADDRESS(label) (0x1000 + (label) - vmsan_kvm_guest_start)
#define REPORT_PORT 0x10
#define PAGE_TABLES 0x10000
#define STACK_TOP 0x8000

#define CODE32 0x08
#define DATA 0x10
#define CODE64 0x18

#define CR0_PE 0x1
#define CR0_PG 0x80000000
#define CR4_PAE 0x20
#define MSR_EFER 0xc0000080
#define EFER_LME 0x100

        .macro report step
        movb $\step, %al
        outb %al, $REPORT_PORT
        .endm

        .section .rodata
        .balign 16
        .globl vmsan_kvm_guest_start
        .globl vmsan_kvm_guest_end
        .hidden vmsan_kvm_guest_start
        .hidden vmsan_kvm_guest_end

        .code16
vmsan_kvm_guest_start:
        cli
        report '1'
        lgdtl %cs:ADDRESS(gdt_pointer)
        movl %cr0, %eax
        orl $CR0_PE, %eax
        movl %eax, %cr0
        ljmpl $CODE32, $ADDRESS(protected_mode)

        .code32
protected_mode:
        movw $DATA, %ax
        movw %ax, %ds
        movw %ax, %es
        movw %ax, %ss
        movl $STACK_TOP, %esp
        report '2'
        movl %cr4, %eax
        orl $CR4_PAE, %eax
        movl %eax, %cr4
        movl $PAGE_TABLES, %eax
        movl %eax, %cr3
        movl $MSR_EFER, %ecx
        rdmsr
        orl $EFER_LME, %eax
        wrmsr
        movl %cr0, %eax
        orl $CR0_PG, %eax
        movl %eax, %cr0
        ljmpl $CODE64, $ADDRESS(long_mode)

        .code64
long_mode:
        report '3'
        movl $STACK_TOP, %esp
        lidt ADDRESS(idt_pointer)
        int3
        report '5'
        movq %cr3, %rax
        movq %rax, %cr3
        xorl %eax, %eax
        cpuid
        report '6'
        hlt

on_breakpoint:
        report '4'
        iretq

        .balign 8
gdt:    .quad 0
        .quad 0x00cf9b000000ffff
        .quad 0x00cf93000000ffff
        .quad 0x00af9b000000ffff
gdt_pointer:
        .word . - gdt - 1
        .long ADDRESS(gdt)

        .balign 8
idt:    .fill 3 * 2, 8, 0
        .word ADDRESS(on_breakpoint), CODE64, 0x8e00, 0
        .quad 0
idt_pointer:
        .word . - idt - 1
        .quad ADDRESS(idt)
vmsan_kvm_guest_end:

        .section .note.GNU-stack, "", @progbits
