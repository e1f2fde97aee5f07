/* SPDX-License-Identifier: MIT */
/*
 * vm/sanitized.h: which sanitizer this file is compiled with: FL_HAVE_ASAN and
 * FL_HAVE_TSAN are 0 or 1.  gcc says it by a macro, clang by a feature.
 */
#ifndef FL_SANITIZED_H
#define FL_SANITIZED_H

#if defined(__SANITIZE_ADDRESS__)
#define FL_HAVE_ASAN	1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FL_HAVE_ASAN	1
#endif
#endif
#ifndef FL_HAVE_ASAN
#define FL_HAVE_ASAN	0
#endif

#if defined(__SANITIZE_THREAD__)
#define FL_HAVE_TSAN	1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define FL_HAVE_TSAN	1
#endif
#endif
#ifndef FL_HAVE_TSAN
#define FL_HAVE_TSAN	0
#endif

#endif
