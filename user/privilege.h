/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Giving up what is not needed any more: a daemon that answers on a socket should be able to do
 * little. Knows capabilities(7), not what they are used for here beyond the words of its table.
 */
#ifndef WSGISCOPE_PRIVILEGE_H
#define WSGISCOPE_PRIVILEGE_H

/*
 * Keeps, of the capabilities that this process has, those that re-attaching needs, and gives the
 * others up for good: no program that it might run gets them back. 0 or -errno, message printed.
 */
int privilege_drop(void);

/* Gives all capabilities up; files stay open, and the user's own can be opened. 0 or -errno,
 * nothing printed. */
int privilege_drop_all(void);

#endif
