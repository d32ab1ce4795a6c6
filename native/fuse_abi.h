// The FUSE wire as Linux speaks it (protocol 7.45): opcodes, flags, structures. The names and layouts are those of
// include/uapi/linux/fuse.h; src/abi/ holds the same table for TypeScript and a test compares the two.
#pragma once

#include <stdint.h>

namespace lamina {

enum Opcode : uint32_t {
  kLookup = 1,
  kForget = 2,
  kGetattr = 3,
  kSetattr = 4,
  kReadlink = 5,
  kSymlink = 6,
  kMknod = 8,
  kMkdir = 9,
  kUnlink = 10,
  kRmdir = 11,
  kRename = 12,
  kLink = 13,
  kOpen = 14,
  kRead = 15,
  kWrite = 16,
  kStatfs = 17,
  kRelease = 18,
  kFsync = 20,
  kSetxattr = 21,
  kGetxattr = 22,
  kListxattr = 23,
  kRemovexattr = 24,
  kFlush = 25,
  kInit = 26,
  kOpendir = 27,
  kReaddir = 28,
  kReleasedir = 29,
  kFsyncdir = 30,
  kGetlk = 31,
  kSetlk = 32,
  kSetlkw = 33,
  kAccess = 34,
  kCreate = 35,
  kInterrupt = 36,
  kDestroy = 38,
  kIoctl = 39,
  kNotifyReply = 41,
  kBatchForget = 42,
  kFallocate = 43,
  kReaddirplus = 44,
  kRename2 = 45,
  kLseek = 46,
  kCopyFileRange = 47,
  kSyncfs = 50,
  kTmpfile = 51,
  kStatx = 52,
  kCopyFileRange64 = 53,
  kOpcodeCount = 64,
};

constexpr uint64_t kRootId = 1;

struct InHeader {
  uint32_t len, opcode;
  uint64_t unique, nodeid;
  uint32_t uid, gid, pid;
  uint16_t totalExtLen, padding;
};
/** In `error` of a message that answers no request. */
constexpr int32_t kNotifyInvalInode = 2;

struct OutHeader {
  uint32_t len;
  int32_t error;
  uint64_t unique;
};
struct Attr {
  uint64_t ino, size, blocks, atime, mtime, ctime;
  uint32_t atimensec, mtimensec, ctimensec, mode, nlink, uid, gid, rdev, blksize, flags;
};
struct EntryOut {
  uint64_t nodeid, generation, entryValid, attrValid;
  uint32_t entryValidNsec, attrValidNsec;
  Attr attr;
};
struct AttrOut {
  uint64_t attrValid;
  uint32_t attrValidNsec, dummy;
  Attr attr;
};
struct SetattrIn {
  uint32_t valid, padding;
  uint64_t fh, size, lockOwner, atime, mtime, ctime;
  uint32_t atimensec, mtimensec, ctimensec, mode, unused4, uid, gid, unused5;
};
struct MknodIn {
  uint32_t mode, rdev, umask, padding;
};
struct MkdirIn {
  uint32_t mode, umask;
};
struct Rename2In {
  uint64_t newdir;
  uint32_t flags, padding;
};
struct OpenIn {
  uint32_t flags, openFlags;
};
struct CreateIn {
  uint32_t flags, mode, umask, openFlags;
};
struct OpenOut {
  uint64_t fh;
  uint32_t openFlags;
  int32_t backingId;
};
struct ReleaseIn {
  uint64_t fh;
  uint32_t flags, releaseFlags;
  uint64_t lockOwner;
};
struct FlushIn {
  uint64_t fh;
  uint32_t unused, padding;
  uint64_t lockOwner;
};
struct FileLock {
  uint64_t start, end;
  uint32_t type, pid;
};
struct LkIn {
  uint64_t fh, owner;
  FileLock lk;
  uint32_t lkFlags, padding;
};
struct InterruptIn {
  uint64_t unique;
};
struct ReadIn {
  uint64_t fh, offset;
  uint32_t size, readFlags;
  uint64_t lockOwner;
  uint32_t flags, padding;
};
struct WriteIn {
  uint64_t fh, offset;
  uint32_t size, writeFlags;
  uint64_t lockOwner;
  uint32_t flags, padding;
};
struct WriteOut {
  uint32_t size, padding;
};
struct StatfsOut {
  uint64_t blocks, bfree, bavail, files, ffree;
  uint32_t bsize, namelen, frsize, padding, spare[6];
};
struct FsyncIn {
  uint64_t fh;
  uint32_t flags, padding;
};
struct SetxattrIn {
  uint32_t size, flags, setxattrFlags, padding;
};
struct GetxattrIn {
  uint32_t size, padding;
};
struct ForgetIn {
  uint64_t nlookup;
};
struct BatchForgetIn {
  uint32_t count, dummy;
};
struct ForgetOne {
  uint64_t nodeid, nlookup;
};
struct FallocateIn {
  uint64_t fh, offset, length;
  uint32_t mode, padding;
};
struct LseekIn {
  uint64_t fh, offset;
  uint32_t whence, padding;
};
struct LseekOut {
  uint64_t offset;
};
struct CopyFileRangeIn {
  uint64_t fhIn, offIn, nodeidOut, fhOut, offOut, len, flags;
};
struct IoctlIn {
  uint64_t fh;
  uint32_t flags, cmd;
  uint64_t arg;
  uint32_t inSize, outSize;
};
struct IoctlOut {
  int32_t result;
  uint32_t flags, inIovs, outIovs;
};
struct Dirent {
  uint64_t ino, off;
  uint32_t namelen, type;
};
struct StatxIn {
  uint32_t getattrFlags, reserved;
  uint64_t fh;
  uint32_t sxFlags, sxMask;
};
struct SxTime {
  int64_t sec;
  uint32_t nsec;
  int32_t reserved;
};
struct FuseStatx {
  uint32_t mask, blksize;
  uint64_t attributes;
  uint32_t nlink, uid, gid;
  uint16_t mode, spare0;
  uint64_t ino, size, blocks, attributesMask;
  SxTime atime, btime, ctime, mtime;
  uint32_t rdevMajor, rdevMinor, devMajor, devMinor;
  uint64_t spare2[14];
};
struct StatxOut {
  uint64_t attrValid;
  uint32_t attrValidNsec, flags;
  uint64_t spare[2];
  FuseStatx stat;
};
struct ExtHeader {
  uint32_t size, type;
};

static_assert(sizeof(InHeader) == 40 && sizeof(OutHeader) == 16 && sizeof(Attr) == 88);
static_assert(sizeof(EntryOut) == 128 && sizeof(AttrOut) == 104 && sizeof(SetattrIn) == 88);
static_assert(sizeof(ReadIn) == 40 && sizeof(WriteIn) == 40 && sizeof(StatfsOut) == 80 && sizeof(OpenOut) == 16);
static_assert(sizeof(CopyFileRangeIn) == 56 && sizeof(IoctlIn) == 32 && sizeof(FuseStatx) == 256 &&
              sizeof(StatxOut) == 288);

// setattr valid bits
constexpr uint32_t kFattrMode = 1, kFattrUid = 2, kFattrGid = 4, kFattrSize = 8, kFattrAtime = 16, kFattrMtime = 32,
                   kFattrFh = 64, kFattrAtimeNow = 128, kFattrMtimeNow = 256, kFattrKillSuidgid = 1 << 11;
// open reply flags
constexpr uint32_t kFopenDirectIo = 1, kFopenKeepCache = 2, kFopenCacheDir = 8, kFopenNoflush = 32,
                   kFopenPassthrough = 128;
// Among the flags of OPEN and RELEASE: for execve (Linux: __FMODE_EXEC).
constexpr uint32_t kOpenExec = 0x20;
constexpr uint32_t kOpenKillSuidgid = 1, kWriteCache = 1, kWriteKillSuidgid = 4, kSetxattrAclKillSgid = 1, kLkFlock = 1;
constexpr uint32_t kExtGroups = 32;

struct BackingMap {
  int32_t fd;
  uint32_t flags;
  uint64_t padding;
};
constexpr unsigned long kIocBackingOpen = 0x4010E501, kIocBackingClose = 0x4004E502;

}  // namespace lamina
