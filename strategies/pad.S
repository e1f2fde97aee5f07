/* SPDX-License-Identifier: MIT */
/*
 * Linked in front of a module, moves its cold code on by PAD_BYTES, and the rest,
 * which linkers put behind that, by twice as much.  Nothing runs it.
 */
	.section .text.unlikely, "ax", %progbits
	.p2align 6
	.skip PAD_BYTES, 0xcc
	.text
	.p2align 6
	.skip PAD_BYTES, 0xcc
	.section .note.GNU-stack, "", %progbits
