// The half of MountObject that deals with nodes and replies: entering, opening, making, settling, listing.

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bypass.h"
#include "identity.h"
#include "locks.h"
#include "mount_object.h"
#include "proc_path.h"

namespace lamina {

Napi::Value MountObject::makeRootNode(Info info) {
  Place* root = place(info, 0);
  if (!root) return number(info, -EBADF);
  struct statx st;
  int error = statAt(root->fd, "", &st);
  if (error) return number(info, error);
  uint32_t flags = (mount_->roots[root->root].nodeFlags & kInherited) | uintArg(info, 1) | typeFlag(st.stx_mode);
  Node* made = mount_->nodes.create(mount_->keyOf(st, 0), root, nullptr, flags);
  made->ino = mount_->shownIno(st);
  made->stamp = stampOf(st);
  made->nlookup = 1;
  return number(info, static_cast<double>(made->id));
}

Napi::Value MountObject::enter(Info info) {
  Node* parent = node(info, 0);
  Place* dir = place(info, 1);
  if (!parent || !dir) return number(info, -ESTALE);
  std::string name = bytesArg(info, 2);
  struct statx st;
  int error = statAt(mount_->places.fdBriefly(dir), name.c_str(), &st);
  if (error) return number(info, error);
  Node* found = mount_->enter(parent, dir, name, st, uintArg(info, 3), static_cast<uint64_t>(bigArg(info, 5)));
  mount_->entered.push_back(found);
  uint32_t offset = uintArg(info, 4);
  if (offset + sizeof(EntryOut) <= reply_.size) {
    mount_->fillEntry(found, st, reinterpret_cast<EntryOut*>(reply_.data + offset));
  }
  return number(info, static_cast<double>(found->id));
}

Napi::Value MountObject::negative(Info info) {
  if (reply_.size >= sizeof(EntryOut)) mount_->fillNegative(reinterpret_cast<EntryOut*>(reply_.data));
  return number(info, sizeof(EntryOut));
}

Napi::Value MountObject::addMountpoint(Info info) {
  Node* parent = node(info, 0);
  uint32_t root = uintArg(info, 2);
  if (!parent || root >= mount_->roots.size()) return number(info, -ESTALE);
  int error = 0;
  Node* made = mount_->addMountpoint(parent, bytesArg(info, 1), static_cast<uint16_t>(root), &error);
  return number(info, made ? static_cast<double>(made->id) : error);
}

Napi::Value MountObject::forgetEntered(Info info) {
  mount_->forgetEntered();
  return info.Env().Undefined();
}

Napi::Value MountObject::isMountpoint(Info info) {
  Node* parent = node(info, 0);
  const Mountpoint* point = parent ? mount_->mountpointAt(parent, bytesArg(info, 1)) : nullptr;
  return number(info, point ? static_cast<double>(point->root->id) : 0);
}

Napi::Value MountObject::openEntered(Info info) {
  Node* found = node(info, 0);
  return number(info, found ? lamina::openEntered(*mount_, found, uintArg(info, 1), reply_.data) : -ESTALE);
}

Napi::Value MountObject::adopt(Info info) {
  Node* found = node(info, 0);
  if (found) {
    mount_->places.adopt(found->place, intArg(info, 1));
  } else {
    ::close(intArg(info, 1));
  }
  return info.Env().Undefined();
}

namespace {

using Info = const Napi::CallbackInfo&;

/** uid, gid, group, umask of the caller, as on disk. */
Identity identityArg(const MountOptions& options, Info info, size_t at) {
  return {options.uids.disk(uintArg(info, at)), options.gids.disk(uintArg(info, at + 1)),
          options.gids.disk(uintArg(info, at + 2)), uintArg(info, at + 3)};
}

}  // namespace

Napi::Value MountObject::make(Info info) {
  std::string target = bytesArg(info, 4);
  Creation what{uintArg(info, 2), uintArg(info, 3), target, identityArg(mount_->options, info, 5)};
  return number(info, makeObject(intArg(info, 0), bytesArg(info, 1).c_str(), what));
}

Napi::Value MountObject::makeTmpfile(Info info) {
  Identity by = identityArg(mount_->options, info, 3);
  if (by.uid == kNoId || by.gid == kNoId) return number(info, -EOVERFLOW);
  ActAs caller(by);
  int fd = open(procPath(intArg(info, 0), "").c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC | (uintArg(info, 2) & O_EXCL),
                uintArg(info, 1) & 07777);
  return number(info, fd < 0 ? -errno : fd);
}

Napi::Value MountObject::enterTmpfile(Info info) {
  Node* parent = node(info, 0);
  if (!parent) return number(info, -ESTALE);
  int error = 0;
  Node* made = mount_->enterUnnamed(parent, intArg(info, 1), &error);
  if (!made) return number(info, error);
  struct statx st;
  if (mount_->statNode(made, &st) == 0) mount_->fillEntry(made, st, reinterpret_cast<EntryOut*>(reply_.data));
  return number(info, static_cast<double>(made->id));
}

Napi::Value MountObject::nodeAt(Info info) {
  Place* dir = place(info, 0);
  Node* found = dir ? mount_->known(dir, bytesArg(info, 1)) : nullptr;
  return number(info, found ? static_cast<double>(found->id) : 0);
}

Napi::Value MountObject::shownIno(Info info) {
  Place* dir = place(info, 0);
  struct statx st;
  std::string name = bytesArg(info, 1);
  if (!dir || statAt(mount_->places.fdBriefly(dir), name.c_str(), &st))
    return Napi::BigInt::New(info.Env(), uint64_t{0});
  return Napi::BigInt::New(info.Env(), mount_->shownIno(st));
}

Napi::Value MountObject::settleUnnamed(Info info) {
  Node* found = node(info, 0);
  if (!found) return number(info, -ESTALE);
  int error = 0;
  Node* settled = mount_->settleUnnamed(found, intArg(info, 1), &error);
  return number(info, settled ? static_cast<double>(settled->id) : error);
}

Napi::Value MountObject::keepBeforeUnlink(Info info) {
  Place* dir = place(info, 0);
  if (!dir) return number(info, 0);
  int error = 0;
  Node* kept = mount_->keepBeforeUnlink(mount_->places.fd(dir), dir, bytesArg(info, 1), &error);
  return number(info, kept ? static_cast<double>(kept->id) : error);
}

Napi::Value MountObject::afterUnlink(Info info) {
  Place* dir = place(info, 1);
  if (dir) mount_->afterUnlink(mount_->nodes.find(idArg(info, 0)), dir, bytesArg(info, 2));
  return info.Env().Undefined();
}

Napi::Value MountObject::moveNode(Info info) {
  Node* moved = node(info, 0);
  Node* parent = node(info, 1);
  Place* dir = place(info, 2);
  if (!moved || !parent || !dir) return number(info, -ESTALE);
  mount_->places.move(moved->place, dir, bytesArg(info, 3));
  mount_->nodes.setParent(moved, parent);
  return number(info, 0);
}

Napi::Value MountObject::settleOnUpper(Info info) {
  Node* found = node(info, 0);
  Place* dir = place(info, 1);
  if (!found || !dir) return number(info, -ESTALE);
  int error = 0;
  Node* settled = mount_->settleOnUpper(found, dir, bytesArg(info, 2), uintArg(info, 3), uintArg(info, 4), &error);
  return number(info, settled ? static_cast<double>(settled->id) : error);
}

Napi::Value MountObject::nodeFlags(Info info) {
  Node* found = node(info, 0);
  return number(info, found ? static_cast<double>(found->flags) : -ESTALE);
}

Napi::Value MountObject::setNodeFlags(Info info) {
  Node* found = node(info, 0);
  if (!found) return number(info, -ESTALE);
  found->flags = (found->flags & ~uintArg(info, 2)) | uintArg(info, 1);
  return number(info, 0);
}

Napi::Value MountObject::setNlinkDelta(Info info) {
  Node* found = node(info, 0);
  if (found) found->nlinkDelta = intArg(info, 1);
  return info.Env().Undefined();
}

Napi::Value MountObject::nodeParent(Info info) {
  Node* found = node(info, 0);
  return number(info, found && found->parent ? static_cast<double>(found->parent->id) : 0);
}

Napi::Value MountObject::nodeName(Info info) {
  Node* found = node(info, 0);
  return found ? bytes(info.Env(), found->place->name.data(), found->place->name.size()) : info.Env().Undefined();
}

Napi::Value MountObject::nodeFd(Info info) {
  Node* found = node(info, 0);
  return number(info, found ? mount_->nodeFd(found) : -ESTALE);
}

Napi::Value MountObject::evictBackingId(Info info) {
  Node* found = mount_->nodes.find(idArg(info, 0));
  return Napi::Boolean::New(info.Env(), !found || mount_->evictBackingId(found));
}

namespace {

Napi::Value idList(Info info, const std::vector<uint64_t>& ids) {
  auto list = Napi::Array::New(info.Env(), ids.size());
  for (uint32_t i = 0; i < ids.size(); i++) list.Set(i, static_cast<double>(ids[i]));
  return list;
}

}  // namespace

Napi::Value MountObject::takeDropped(Info info) { return idList(info, mount_->nodes.takeDropped()); }

Napi::Value MountObject::takeRegistered(Info info) {
  std::vector<uint64_t> ids;
  ids.swap(mount_->registered);
  return idList(info, ids);
}

Napi::Value MountObject::stats(Info info) {
  const Counters& counters = mount_->counters;
  auto out = Napi::Object::New(info.Env());
  auto requests = Napi::Array::New(info.Env(), kOpcodeCount);
  for (uint32_t i = 0; i < kOpcodeCount; i++) requests.Set(i, static_cast<double>(counters.requests[i]));
  out.Set("requests", requests);
  const struct {
    const char* name;
    uint64_t value;
  } values[] = {{"decisions", counters.decisions},
                {"errors", counters.errors},
                {"bytesRead", counters.bytesRead},
                {"bytesWritten", counters.bytesWritten},
                {"spins", counters.spins},
                {"sleeps", counters.sleeps},
                {"nodes", mount_->nodes.size()},
                {"places", mount_->places.size()},
                {"openFds", mount_->fds.count()},
                {"handles", mount_->handles.size()},
                {"locks", mount_->locks ? mount_->locks->count(mount_.get()) : 0},
                {"passthrough", mount_->options.passthrough}};
  for (const auto& value : values) out.Set(value.name, static_cast<double>(value.value));
  return out;
}

Napi::Value MountObject::direntStart(Info info) {
  size_t room = std::min<size_t>(uintArg(info, 0), reply_.size);
  dirents_ = std::make_unique<DirentWriter>(reply_.data, room, info[1].ToBoolean().Value());
  direntTag_ = bigArg(info, 2);
  return info.Env().Undefined();
}

/** (name, place, off, type, parent nodeid, flags, withEntry): 1 added, 0 full, -errno when the object is gone. */
Napi::Value MountObject::direntAdd(Info info) {
  std::string name = bytesArg(info, 0);
  if (!dirents_ || !dirents_->fits(name.size())) return number(info, 0);
  Place* dir = place(info, 1);
  Node* parent = node(info, 4);
  if (!dir || !parent) return number(info, -ESTALE);
  bool dots = name == "." || name == "..";
  int64_t off = static_cast<int64_t>(idArg(info, 2)) | direntTag_;
  uint32_t type = uintArg(info, 3);
  if (dots) {
    Node* shown = name == ".." && parent->parent ? parent->parent : parent;
    dirents_->add(name, shown->ino, off, DT_DIR);
    return number(info, 1);
  }
  struct statx st;
  std::string at = info[8].IsString() ? bytesArg(info, 8) : name;
  int error = statAt(mount_->places.fdBriefly(dir), at.c_str(), &st);
  if (error) return number(info, error);
  if (!dirents_->plus() || !info[6].ToBoolean().Value()) {
    Node* known = mount_->nodes.find(mount_->keyOf(st, 0));
    uint64_t kept = static_cast<uint64_t>(bigArg(info, 7));
    uint64_t ino = known ? known->ino : kept ? kept : mount_->shownIno(st);
    dirents_->add(name, ino, off, type ? type : IFTODT(st.stx_mode));
    return number(info, 1);
  }
  Node* found = mount_->enter(parent, dir, at, st, uintArg(info, 5), static_cast<uint64_t>(bigArg(info, 7)));
  mount_->entered.push_back(found);
  EntryOut* out = dirents_->add(name, found->ino, off, IFTODT(st.stx_mode));
  mount_->fillEntry(found, st, out);
  return number(info, static_cast<double>(found->id));
}

Napi::Value MountObject::direntLength(Info info) { return number(info, dirents_ ? dirents_->used() : 0); }

}  // namespace lamina
