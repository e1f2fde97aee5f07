/* SPDX-License-Identifier: MIT */
/*
 * faultline/program.h: the compiled form of a trace, or of any sequence of
 * allocations in several regions.
 *
 * A program is an array of 32-bit words.  It always has a current region slot,
 * so that the commonest event, an allocation, is one word: its size.
 *
 *	word < FL_OP_BASE            allocate that many bytes
 *	FL_OP_xxx | slot             the rest; slot < 2^24
 *	FL_OP_LARGE, low, high       allocate low + high * 2^32 bytes
 *
 * Slots are reused when a region dies, so their number is the most regions
 * alive at once, not the number of regions ever made.  A program is balanced:
 * every region it creates it destroys, so it can be run again.
 *
 * A destroy or reset of the current slot is legal; so is a SWITCH to it.  After
 * a destroy there is no current slot until the next SWITCH or CREATE.
 */
#ifndef FL_PROGRAM_H
#define FL_PROGRAM_H

#include <stdint.h>

#define FL_OP_BASE	0xf0000000u
#define FL_OP_MASK	0xff000000u
#define FL_SLOT_MASK	0x00ffffffu

#define FL_OP_SWITCH	0xf0000000u	/* slot becomes current */
#define FL_OP_CREATE	0xf1000000u	/* make a region in slot; it is current */
#define FL_OP_RESET	0xf2000000u	/* all objects of slot die */
#define FL_OP_DESTROY	0xf3000000u	/* slot's region dies */
#define FL_OP_LARGE	0xf4000000u	/* two more words: the size */

#define FL_SLOTS_MAX	(FL_SLOT_MASK + 1u)

#endif
