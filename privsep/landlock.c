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
 * Landlock by raw system calls: glibc has no wrappers, and the headers of a
 * build host lack what a newer kernel knows, so the constants are our own
 * (include/uapi/linux/landlock.h). What a kernel's ABI lacks is left out;
 * seccomp holds exec, foreign sockets, ptrace and signals without it.
 */

#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <unistd.h>

#include "internal.h"

#define NR_CREATE_RULESET 444 /* the same on every architecture */
#define NR_ADD_RULE       445
#define NR_RESTRICT_SELF  446

#define CREATE_VERSION    1U

#define RULE_PATH         1
#define RULE_PORT         2

#define FS_EXECUTE        (1ULL << 0)
#define FS_READ_FILE      (1ULL << 2)
#define FS_READ_DIR       (1ULL << 3)
#define FS_ABI1           ((1ULL << 13) - 1)
#define FS_REFER          (1ULL << 13) /* ABI 2 */
#define FS_TRUNCATE       (1ULL << 14) /* ABI 3 */
#define FS_IOCTL_DEV      (1ULL << 15) /* ABI 5 */

#define NET_BIND_TCP      (1ULL << 0) /* ABI 4 */
#define NET_CONNECT_TCP   (1ULL << 1)

#define SCOPE_ABSTRACT    (1ULL << 0) /* ABI 6 */
#define SCOPE_SIGNAL      (1ULL << 1)

struct ruleset_attr {
	uint64_t fs, net, scoped;
};

struct path_attr {
	uint64_t allowed;
	int32_t fd;
} __attribute__((packed));

struct port_attr {
	uint64_t allowed, port;
};

int
sandbox_landlock_abi(void)
{
	long abi;

	abi = syscall(NR_CREATE_RULESET, NULL, 0, CREATE_VERSION);
	return (abi < 0 ? 0 : (int)abi);
}

static int
create(const struct ruleset_attr *attr, int abi)
{
	size_t size = abi >= 6 ? 24 : abi >= 4 ? 16 : 8;

	return ((int)syscall(NR_CREATE_RULESET, attr, size, 0));
}

static int
restrict_self(int rs)
{
	int rc = -1, saved;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
		rc = (int)syscall(NR_RESTRICT_SELF, rs, 0);
	saved = errno;
	close(rs);
	errno = saved;
	return (rc);
}

static int
allow_path(int rs, const char *path, uint64_t access)
{
	struct path_attr attr = { .allowed = access };
	long rc;
	int saved;

	if ((attr.fd = open(path, O_PATH | O_CLOEXEC)) == -1)
		return (-1);
	rc = syscall(NR_ADD_RULE, rs, RULE_PATH, &attr, 0);
	saved = errno;
	close(attr.fd);
	errno = saved;
	return ((int)rc);
}

/* A directory that is not there needs no rule: it cannot be read either. */
static int
allow_reading(int rs, const char *const *paths)
{
	for (; paths != NULL && *paths != NULL; paths++) {
		if (allow_path(rs, *paths, FS_READ_FILE | FS_READ_DIR) == 0 ||
		    errno == ENOENT)
			continue;
		/* A file knows no READ_DIR. */
		if (errno != EINVAL ||
		    allow_path(rs, *paths, FS_READ_FILE) == -1)
			return (-1);
	}
	return (0);
}

static int
allow_ports(int rs, const uint16_t *ports)
{
	struct port_attr attr = { .allowed = NET_CONNECT_TCP };

	for (; ports != NULL && *ports != 0; ports++) {
		attr.port = *ports;
		if (syscall(NR_ADD_RULE, rs, RULE_PORT, &attr, 0) == -1)
			return (-1);
	}
	return (0);
}

/* What this ABI can forbid; ruled accesses are then allowed one by one. */
static struct ruleset_attr
attr_for(const struct sandbox *sb, int abi)
{
	struct ruleset_attr attr = { .fs = FS_ABI1 };

	if (abi >= 2)
		attr.fs |= FS_REFER;
	if (abi >= 3)
		attr.fs |= FS_TRUNCATE;
	if (abi >= 4)
		attr.net = NET_BIND_TCP;
	if (abi >= 4 && (!(sb->allow & SB_INET) || sb->connect_ports != NULL))
		attr.net |= NET_CONNECT_TCP;
	if (abi >= 5)
		attr.fs |= FS_IOCTL_DEV;
	if (abi >= 6)
		attr.scoped = SCOPE_ABSTRACT | SCOPE_SIGNAL;
	return (attr);
}

int
landlock_enter(const struct sandbox *sb)
{
	struct ruleset_attr attr;
	int abi = sandbox_landlock_abi(), rs;

	if (abi == 0) {
		log_ev(LL_INFO, "landlockAbsent",
		    KVS("effect", "paths and TCP ports are not restricted"));
		return (0);
	}
	attr = attr_for(sb, abi);
	if ((rs = create(&attr, abi)) == -1)
		return (-1);
	if ((sb->allow & SB_READFILES && allow_reading(rs, sb->paths) == -1) ||
	    (attr.net & NET_CONNECT_TCP && sb->allow & SB_INET &&
		allow_ports(rs, sb->connect_ports) == -1)) {
		close(rs);
		return (-1);
	}
	return (restrict_self(rs));
}

/* The path of the dynamic linker; NULL when this is a static program. */
static const char *
interpreter(void)
{
	const ElfW(Phdr) * ph;
	uintptr_t bias = 0;
	unsigned long i, n = getauxval(AT_PHNUM);

	ph = (const ElfW(Phdr) *)getauxval(AT_PHDR);
	for (i = 0; ph != NULL && i < n; i++)
		if (ph[i].p_type == PT_PHDR)
			bias = (uintptr_t)ph - ph[i].p_vaddr;
	for (i = 0; ph != NULL && i < n; i++)
		if (ph[i].p_type == PT_INTERP)
			return ((const char *)(bias + ph[i].p_vaddr));
	return (NULL);
}

/* From here on nothing can be executed but the workers' programs. */
int
landlock_exec_only(const struct ps_conf *conf)
{
	struct ruleset_attr attr = { .fs = FS_EXECUTE };
	const char *interp = interpreter();
	int abi = sandbox_landlock_abi(), rs;

	if (abi == 0)
		return (0);
	if ((rs = create(&attr, abi)) == -1)
		return (-1);
	if (interp != NULL && allow_path(rs, interp, FS_EXECUTE) == -1)
		goto fail;
	for (size_t i = 0; i < conf->nprocs; i++) {
		char path[PATH_MAX];

		if (worker_program(&conf->procs[i], path, sizeof(path)) == -1 ||
		    allow_path(rs, path, FS_EXECUTE) == -1) {
			log_warn("program of worker %s", conf->procs[i].title);
			goto fail;
		}
	}
	return (restrict_self(rs));
fail:
	close(rs);
	return (-1);
}
