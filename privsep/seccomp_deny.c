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
 * What no process of ours ever needs, from the launcher down: a worker in
 * set-up, which has not closed its own sandbox yet, does not have it either.
 * The launcher spawns workers, and a filter survives exec, so an allow-list
 * could not be narrower than the union of all set-ups.
 */

#include <sys/socket.h>

#include <errno.h>

#include <seccomp.h>

#include "internal.h"

#define D(name) SCMP_SYS(name)

static const int denied[] = {
	/* Other processes' memory and fds. */
	D(kcmp),
	D(pidfd_getfd),
	D(process_madvise),
	D(process_vm_readv),
	D(process_vm_writev),
	D(ptrace),
	/* Kernel code and large attack surfaces. */
	D(bpf),
	D(create_module),
	D(delete_module),
	D(finit_module),
	D(init_module),
	D(io_uring_enter),
	D(io_uring_register),
	D(io_uring_setup),
	D(kexec_file_load),
	D(kexec_load),
	D(perf_event_open),
	D(userfaultfd),
	/* Mounts and namespaces. */
	D(fsconfig),
	D(fsmount),
	D(fsopen),
	D(fspick),
	D(mount),
	D(mount_setattr),
	D(move_mount),
	D(open_tree),
	D(pivot_root),
	D(setns),
	D(umount2),
	D(unshare),
	/* The machine. */
	D(acct),
	D(adjtimex),
	D(clock_adjtime),
	D(clock_settime),
	D(ioperm),
	D(iopl),
	D(quotactl),
	D(reboot),
	D(sethostname),
	D(setdomainname),
	D(settimeofday),
	D(swapoff),
	D(swapon),
	D(syslog),
	D(vhangup),
	/* Keys, handles, personalities. */
	D(add_key),
	D(keyctl),
	D(name_to_handle_at),
	D(open_by_handle_at),
	D(personality),
	D(request_key),
};

int
seccomp_deny_list(void)
{
	scmp_filter_ctx ctx;
	size_t i;
	int rc = 0;

	if ((ctx = seccomp_init(SCMP_ACT_ALLOW)) == NULL) {
		errno = ENOMEM;
		return (-1);
	}
	(void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if ((rc = seccomp_attr_set(
		 ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS)) < 0)
		goto out;
	for (i = 0; i < PS_NITEMS(denied); i++) {
		if (denied[i] < 0)
			continue;
		rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), denied[i], 0);
		if (rc < 0 && rc != -EDOM)
			goto out;
	}
	/* AF_NETLINK and below stay: getaddrinfo(3) in set-up asks it. */
	if ((rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EACCES),
		 SCMP_SYS(socket), 1, SCMP_CMP64(0, SCMP_CMP_GT, AF_NETLINK))) <
	    0)
		goto out;
	rc = seccomp_load(ctx);
out:
	seccomp_release(ctx);
	if (rc < 0) {
		errno = -rc;
		return (-1);
	}
	return (0);
}
