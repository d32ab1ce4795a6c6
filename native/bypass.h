// Ops that need no decision: everything on an inode whose backing is settled, and the whole namespace of directories
// that live in one place only (a route, a directory of one layer). Each returns a payload length, -errno, or one of
// request.h's codes. Loop thread only.
#pragma once

#include "identity.h"
#include "request.h"

namespace lamina {

/** Runs the op of `request`, or says that TypeScript must. */
int bypass(Request& request);

// bypass_names.cc
int opLookup(Request& request);
int opMake(Request& request);
int opCreate(Request& request);
int opTmpfile(Request& request);
int opRemove(Request& request);
int opRename(Request& request);
int opLink(Request& request);
int opReadlink(Request& request);
// bypass_readdir.cc
int opOpendir(Request& request);
int opReaddir(Request& request, bool plus);
// bypass_attr.cc
int opGetattr(Request& request);
int opSetattr(Request& request);
int opStatx(Request& request);
int opStatfs(Request& request);
// bypass_file.cc
int opOpen(Request& request);
int opRelease(Request& request);
int opRead(Request& request);
int opWrite(Request& request);
int opFsync(Request& request, bool directory);
int opLseek(Request& request);
int opFallocate(Request& request);
int opCopyFileRange(Request& request);
int opIoctl(Request& request);
// bypass_lock.cc
int opLock(Request& request);
int opFlush(Request& request);
int opInterrupt(Request& request);
// bypass_xattr.cc
int opGetxattr(Request& request);
int opSetxattr(Request& request);
int opListxattr(Request& request);
int opRemovexattr(Request& request);

/** 0, or -EPERM where an immutable or append-only object (chattr i, a) refuses the op. */
int checkFlags(Request& request, Node* node);

/** Whether a write op may go on: 0, -EROFS, or kNeedsUpper with the node noted in the request. */
int checkWritable(Request& request, Node* node);

/** Takes back an open that nobody was told of. */
void takeBackOpen(Mount& mount, Node* node, const OpenOut& open);

/** Opens a node that CREATE or TMPFILE has entered, behind its entry at the start of `reply`. The answer's length, or
 * -errno. */
int openEntered(Mount& mount, Node* node, uint32_t flags, uint8_t* reply);

/** Clears setuid, and setgid unless it means nothing to the caller's group, as a write or a chown does. 0 or -errno. */
int killSuidgid(Request& request, Node* node);

/** 0, or -EPERM when the caller is in a chown(2) that would clear setuid or setgid of a file that is not its own. */
int checkOwnerCall(Request& request, Node* node);

/** 0 for an attribute that the caller may set as far as the kernel cannot tell: system.* is left to the filesystem
 * (Linux: xattr_permission), and that of a volume (system.nfs4_acl) takes us for root. -EOPNOTSUPP for who does not own
 * the file. */
int checkAttributeName(Request& request, Node* node, std::string_view name);

/** Who the caller of a creation in `directory` is on disk. */
Identity identityOf(const Request& request, const Node* directory, uint32_t umask);

/** Clears setgid, as an ACL set by a stranger to the group does. 0 or -errno. */
int killSgid(Request& request, Node* node);

/** What to make under a name. `type` bits of mode choose; a symlink has a target, a device an rdev. */
struct Creation {
  uint32_t mode = 0;
  uint32_t rdev = 0;  // wire form
  std::string_view target{};
  Identity by{};
};

/**
 * Makes `name` in the directory `dirfd` with the caller's identity. A regular file is left open for reading.
 * Returns its fd, 0 for other types, or -errno.
 */
int makeObject(int dirfd, const char* name, const Creation& what);

/** Whether a lower file may have been copied up under another of its names. */
bool isIndexedLink(const Mount& mount, const Node* directory, const struct statx& st);

/** True when the directory `name` carries overlay attributes that only TypeScript can honour. */
bool hasUnionMarks(const Mount& mount, int dirfd, const char* name);

}  // namespace lamina
