/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A test's own directory goes, with all that is in it. */
#ifndef TESTS_UNIT_REMOVE_TREE_H
#define TESTS_UNIT_REMOVE_TREE_H

#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

/* Returns 0, or another number when something stays. */
static int remove_tree(const char *dir)
{
    enum { DESCRIPTORS = 8 };

    return nftw(dir, remove_one, DESCRIPTORS, FTW_DEPTH | FTW_PHYS);
}

#endif
