/* SPDX-License-Identifier: MIT */
/*
 * analysis/db_make.h: what the files that make the database share: db.c (where it
 * lives) and db_load.c (what is in it).  For nobody else.
 *
 * Context: cold; a database belongs to one thread.
 */
#ifndef FL_DB_MAKE_H
#define FL_DB_MAKE_H

#include "analysis/db.h"

/* Raised whenever tables, views or what is in them change. */
#define FL_DB_VERSION	3

/*
 * fl_db_make_tables: Tables, into an empty database.
 * fl_db_load: What is in @dir, as campaign @id (from 1).
 * @seen: in and out: what the sources before this one must be like; {} at first.
 * fl_db_make_views: Indexes and views, when all is loaded.
 * All return 0, or as fl_db_open.
 */
int fl_db_make_tables(sqlite3 *db, struct fl_complaint *why);
int fl_db_load(sqlite3 *db, int id, const char *dir,
	       const struct fl_db_options *options, json_t *seen,
	       struct fl_complaint *why);
int fl_db_make_views(sqlite3 *db, struct fl_complaint *why);

/* fl_db_wrong: What SQLite says, as a complaint; -ENOMEM or -EIO. */
int fl_db_wrong(sqlite3 *db, struct fl_complaint *why);

/* fl_db_name: The last part of @dir's path, to be freed; NULL without memory. */
char *fl_db_name(const char *dir);

#endif
