/*
 * Copyright (c) 2026 The Bloodraven authors
 *
 * Permission to use, copy, modify, and distribute this software for any
 * purpose with or without fee is hereby granted, provided that the above
 * copyright notice and this permission notice appear in all copies.
 *
 * THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES
 * WITH REGARD TO THIS SOFTWARE INCLUDING ALL IMPLIED WARRANTIES OF
 * MERCHANTABILITY AND FITNESS. IN NO EVENT SHALL THE AUTHOR BE LIABLE FOR
 * ANY SPECIAL, DIRECT, INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY DAMAGES
 * WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS, WHETHER IN AN
 * ACTION OF CONTRACT, NEGLIGENCE OR OTHER TORTIOUS ACTION, ARISING OUT OF
 * OR IN CONNECTION WITH THE USE OR PERFORMANCE OF THIS SOFTWARE.
 */

/*
 * Before mysqld: whose data directory this is, and what state it is in.
 *
 * A server must never listen on TCP without being read-only
 * (bloodraven-fencing(7)). With a complete data directory the command line
 * says so. The first initialisation needs a writable server, but that one has
 * no network; its last script (kube_script.c) writes the file GUARD_CONF_FILE
 * before the entrypoint starts the server proper. One that was cut short
 * leaves a data directory that looks complete to the entrypoint; a mark
 * (mysqld --initialize passes over names with a leading dot) tells, and all
 * of it is thrown away: nobody had ever been able to connect to it.
 */

#include <sys/file.h>
#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "guard.h"

#define DEPTH_MAX 16 /* directories below the data directory */
#define OURS      ".bloodraven-"

static const char ro_text[] = "[mysqld]\nread-only=ON\nsuper-read-only=ON\n";

static bool
is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* lost+found belongs to the file system. */
static bool
is_ours(const char *name)
{
	return is_dots(name) || strcmp(name, "lost+found") == 0 ||
	    strncmp(name, OURS, sizeof(OURS) - 1) == 0;
}

/* A directory stream of our own on it; never follows a link. */
static DIR *
dir_at(int at, const char *name)
{
	DIR *d;
	int fd;

	fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1)
		return NULL;
	if ((d = fdopendir(fd)) == NULL)
		close(fd);
	return d;
}

int
guard_foreign(int dirfd)
{
	struct dirent *e;
	DIR *d = dir_at(dirfd, ".");
	int found = 0;

	if (d == NULL)
		return -1;
	errno = 0;
	while (found == 0 && (e = readdir(d)) != NULL)
		if (!is_ours(e->d_name))
			found = 1;
	if (found == 0 && errno != 0)
		found = -1;
	closedir(d);
	return found;
}

/* One entry: removed, or, a directory, opened as *sub. */
static int
wipe_entry(DIR *d, const char *name, DIR **sub)
{
	if (unlinkat(dirfd(d), name, 0) == 0)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -1;
	if (unlinkat(dirfd(d), name, AT_REMOVEDIR) == 0)
		return 0;
	if (errno != ENOTEMPTY && errno != EEXIST)
		return -1;
	*sub = dir_at(dirfd(d), name);
	return *sub == NULL ? -1 : 0;
}

/*
 * A directory that was emptied is removed when its parent is read again: the
 * parent's stream is rewound after each.
 */
int
guard_wipe(int dirfd)
{
	DIR *stack[DEPTH_MAX], *sub;
	struct dirent *e;
	unsigned n = 0;
	int rc = -1, saved;

	if ((stack[n] = dir_at(dirfd, ".")) == NULL)
		return -1;
	n++;
	while (n > 0) {
		errno = 0;
		if ((e = readdir(stack[n - 1])) == NULL) {
			if (errno != 0)
				goto out;
			closedir(stack[--n]);
			if (n > 0)
				rewinddir(stack[n - 1]);
			continue;
		}
		if (is_dots(e->d_name) || (n == 1 && is_ours(e->d_name)))
			continue;
		sub = NULL;
		if (wipe_entry(stack[n - 1], e->d_name, &sub) == -1)
			goto out;
		if (sub != NULL && n == DEPTH_MAX) {
			closedir(sub);
			errno = ELOOP;
			goto out;
		}
		if (sub != NULL)
			stack[n++] = sub;
	}
	rc = 0;
out:
	saved = errno;
	while (n > 0)
		closedir(stack[--n]);
	errno = saved;
	return rc;
}

bool
guard_boot_marked(const char *datadir)
{
	char path[256];

	if ((size_t)snprintf(path, sizeof(path), "%s/" GUARD_MARK, datadir) >=
	    sizeof(path))
		return false;
	return access(path, F_OK) == 0;
}

/*
 * The lock stays with mysqld through every exec: a second Pod of the volume
 * on the same node waits and does not mistake the first one's initialisation
 * for one that was cut short. SIGTERM ends the wait.
 */
static int
take_lock(struct guard *g, int dir)
{
	struct pollfd pfd = { .fd = g->sigfd, .events = POLLIN };
	int64_t end = guard_now() + GUARD_LOCK_MS;
	int fd;

	fd = openat(dir, GUARD_LOCK, O_RDWR | O_CREAT | O_NOFOLLOW, 0644);
	if (fd == -1) {
		log_warn(GUARD_LOCK);
		return -1;
	}
	while (flock(fd, LOCK_EX | LOCK_NB) == -1) {
		if (errno != EWOULDBLOCK || guard_now() >= end) {
			log_warnx("another Pod uses the data directory");
			close(fd);
			return -1;
		}
		if (poll(&pfd, 1, 100) == 1) {
			log_warnx("ended while waiting for the data directory");
			close(fd);
			return -1;
		}
	}
	if (fd != GUARD_LOCK_FD) {
		if (dup2(fd, GUARD_LOCK_FD) == -1)
			return -1;
		close(fd);
	}
	return 0;
}

static int
write_conf(const char *path)
{
	char tmp[256];
	int fd, rc = -1;

	if ((size_t)snprintf(tmp, sizeof(tmp), "%s.tmp", path) >= sizeof(tmp)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd == -1)
		return -1;
	if (write(fd, ro_text, sizeof(ro_text) - 1) == sizeof(ro_text) - 1)
		rc = 0;
	close(fd);
	/* Renamed into place: no mysqld reads half of it. */
	return rc == -1 ? -1 : rename(tmp, path);
}

/* A mark that survives a power cut, before mysqld writes anything. */
static int
make_mark(int dir)
{
	int fd;

	fd = openat(
	    dir, GUARD_MARK, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd == -1)
		return -1;
	if (fsync(fd) == -1 || fsync(dir) == -1) {
		close(fd);
		return -1;
	}
	close(fd);
	return 0;
}

static int
prepare(struct guard *g, int dir, const char *conf_file)
{
	struct stat st;

	if (faccessat(dir, GUARD_MARK, F_OK, 0) == 0) {
		log_ev(LL_WARN, "initialisationCutShort",
		    KVS("action", "beginning anew"));
		if (guard_wipe(dir) == -1) {
			log_warn("wiping a cut-short initialisation");
			return -1;
		}
	}
	if (fstatat(dir, "mysql", &st, 0) == 0 && S_ISDIR(st.st_mode)) {
		/*
		 * The command line says it, too; the file is for who starts a
		 * server by hand, and no reason not to start this one.
		 */
		if (write_conf(conf_file) == -1)
			log_warn("%s", conf_file);
		return 0;
	}
	g->first = g->init = true;
	if (unlink(conf_file) == -1 && errno != ENOENT) {
		log_warn("%s", conf_file);
		return -1;
	}
	/* With foreign files mysqld will refuse to initialise: leave them. */
	switch (guard_foreign(dir)) {
	case 0:
		if (make_mark(dir) == 0)
			return 0;
		log_warn(GUARD_MARK);
		return -1;
	case 1:
		return 0;
	default:
		log_warn("reading the data directory");
		return -1;
	}
}

int
guard_boot(struct guard *g, const char *datadir, const char *conf_file)
{
	int dir, rc = -1;

	dir = open(datadir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir == -1) {
		log_warn("%s", datadir);
		return -1;
	}
	if (take_lock(g, dir) == 0)
		rc = prepare(g, dir, conf_file);
	close(dir);
	return rc;
}
