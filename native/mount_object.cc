#include "mount_object.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bypass.h"
#include "identity.h"
#include "proc_path.h"

namespace lamina {

MountObject::MountObject(Info info)
    : Napi::ObjectWrap<MountObject>(info), mount_(std::make_unique<Mount>(std::max<uint32_t>(uintArg(info, 0), 64))) {}

MountObject::~MountObject() { dropPlaces(); }

void MountObject::dropPlaces() {
  for (Place* held : places_) {
    if (held) mount_->places.drop(held);
  }
  places_.clear();
  freePlaces_.clear();
}

Place* MountObject::place(Info info, size_t i) {
  uint32_t id = uintArg(info, i);
  return id < places_.size() ? places_[id] : nullptr;
}

Node* MountObject::node(Info info, size_t i) {
  Node* found = mount_->nodes.find(idArg(info, i));
  return found ? mount_->live(found) : nullptr;
}

/** Takes over the caller's reference; the id is TypeScript's until placeDrop. */
Napi::Value MountObject::keepPlace(Info info, Place* place) {
  if (freePlaces_.empty()) {
    places_.push_back(place);
    return number(info, places_.size() - 1);
  }
  uint32_t id = freePlaces_.back();
  freePlaces_.pop_back();
  places_[id] = place;
  return number(info, id);
}

Napi::Value MountObject::bindReply(Info info) {
  replyArray_ = Napi::Persistent(info[0].As<Napi::Uint8Array>());
  reply_ = spanArg(info, 0);
  return info.Env().Undefined();
}

Napi::Value MountObject::setOptions(Info info) {
  auto given = info[0].As<Napi::Object>();
  MountOptions& options = mount_->options;
  auto flag = [&](const char* name, bool* out) {
    if (given.Has(name)) *out = given.Get(name).ToBoolean().Value();
  };
  flag("passthrough", &options.passthrough);
  flag("userXattr", &options.userXattr);
  flag("linkIndex", &options.linkIndex);
  flag("cacheDirs", &options.cacheDirs);
  flag("skipSync", &options.skipSync);
  flag("locks", &options.locks);
  auto ids = [&](const char* name, const char* squash, IdMap* out) {
    auto flat = given.Get(name);
    for (uint32_t i = 0; flat.IsArray() && i + 2 < flat.As<Napi::Array>().Length(); i += 3) {
      auto at = [&](uint32_t j) { return flat.As<Napi::Array>().Get(i + j).ToNumber().Uint32Value(); };
      out->add({at(0), at(1), at(2)});
    }
    if (given.Get(squash).IsNumber()) out->squashTo(given.Get(squash).ToNumber().Uint32Value());
  };
  ids("uidMap", "squashUid", &options.uids);
  ids("gidMap", "squashGid", &options.gids);
  if (given.Has("maxWrite")) options.maxWrite = given.Get("maxWrite").ToNumber().Uint32Value();
  if (given.Has("attrTimeout")) options.attrTimeout = given.Get("attrTimeout").ToNumber().DoubleValue();
  if (given.Has("entryTimeout")) options.entryTimeout = given.Get("entryTimeout").ToNumber().DoubleValue();
  return info.Env().Undefined();
}

Napi::Value MountObject::attach(Info info) {
  mount_->device.reset(intArg(info, 0));
  return info.Env().Undefined();
}

Napi::Value MountObject::detach(Info info) {
  dropPlaces();
  mount_ = std::make_unique<Mount>(0);  // whoever still holds this object finds nothing in it
  return info.Env().Undefined();
}

Napi::Value MountObject::addRoot(Info info) {
  int fd = intArg(info, 0);
  auto index = static_cast<uint16_t>(mount_->roots.size());
  Place* root = mount_->places.addRoot(fd, index);
  mount_->roots.push_back({root, uintArg(info, 1)});
  struct statx st;
  if (statAt(fd, "", &st) == 0) mount_->shownIno(st);  // numbers its filesystem
  mount_->places.ref(root);
  return keepPlace(info, root);
}

Napi::Value MountObject::seal(Info info) {
  for (Root& root : mount_->roots) {
    if (!(root.nodeFlags & kNodeRoute)) root.nodeFlags |= kNodeReadOnly;
  }
  mount_->nodes.forEach([](Node* node) {
    if (!node->has(kNodeRoute)) node->flags |= kNodeReadOnly;
  });
  return info.Env().Undefined();
}

Napi::Value MountObject::placeChild(Info info) {
  Place* parent = place(info, 0);
  if (!parent) return number(info, -EBADF);
  return keepPlace(info, mount_->places.child(parent, bytesArg(info, 1)));
}

Napi::Value MountObject::placeOfNode(Info info) {
  Node* found = node(info, 0);
  if (!found) return number(info, -ESTALE);
  mount_->places.ref(found->place);
  return keepPlace(info, found->place);
}

Napi::Value MountObject::placeDrop(Info info) {
  uint32_t id = uintArg(info, 0);
  Place* found = place(info, 0);
  if (!found) return number(info, -EBADF);
  places_[id] = nullptr;
  freePlaces_.push_back(id);
  mount_->places.drop(found);
  return number(info, 0);
}

Napi::Value MountObject::placeFd(Info info) {
  Place* found = place(info, 0);
  return number(info, found ? mount_->places.fd(found) : -EBADF);
}

Napi::Value MountObject::placeFdBriefly(Info info) {
  Place* found = place(info, 0);
  return number(info, found ? mount_->places.fdBriefly(found) : -EBADF);
}

Napi::Value MountObject::setFdLimit(Info info) {
  mount_->fds.setLimit(uintArg(info, 0));
  return info.Env().Undefined();
}

Napi::Value MountObject::placeMove(Info info) {
  Place* moved = place(info, 0);
  Place* parent = place(info, 1);
  if (!moved || !parent) return number(info, -EBADF);
  mount_->places.move(moved, parent, bytesArg(info, 2));
  return number(info, 0);
}

Napi::Value MountObject::copyBeside(Info info) {
  return number(info, mount_->offloads.copy(mount_->blocking, intArg(info, 0), intArg(info, 1), bigArg(info, 2)));
}

Napi::Value MountObject::syncBeside(Info info) {
  return number(info, mount_->offloads.sync(mount_->blocking, intArg(info, 0)));
}

Napi::Value MountObject::offloadResult(Info info) { return number(info, mount_->offloads.result(uintArg(info, 0))); }

Napi::Value MountObject::parkUntil(Info info) {
  mount_->offloads.awaited = uintArg(info, 0);
  return number(info, kParked);
}

Napi::Function MountObject::define(Napi::Env env) {
  return DefineClass(env, "Mount",
                     {
                         InstanceMethod<&MountObject::bindReply>("bindReply"),
                         InstanceMethod<&MountObject::setOptions>("setOptions"),
                         InstanceMethod<&MountObject::attach>("attach"),
                         InstanceMethod<&MountObject::detach>("detach"),
                         InstanceMethod<&MountObject::addRoot>("addRoot"),
                         InstanceMethod<&MountObject::seal>("seal"),
                         InstanceMethod<&MountObject::placeChild>("placeChild"),
                         InstanceMethod<&MountObject::placeOfNode>("placeOfNode"),
                         InstanceMethod<&MountObject::placeDrop>("placeDrop"),
                         InstanceMethod<&MountObject::placeFd>("placeFd"),
                         InstanceMethod<&MountObject::placeFdBriefly>("placeFdBriefly"),
                         InstanceMethod<&MountObject::setFdLimit>("setFdLimit"),
                         InstanceMethod<&MountObject::placeMove>("placeMove"),
                         InstanceMethod<&MountObject::makeRootNode>("makeRootNode"),
                         InstanceMethod<&MountObject::enter>("enter"),
                         InstanceMethod<&MountObject::negative>("negative"),
                         InstanceMethod<&MountObject::addMountpoint>("addMountpoint"),
                         InstanceMethod<&MountObject::forgetEntered>("forgetEntered"),
                         InstanceMethod<&MountObject::isMountpoint>("isMountpoint"),
                         InstanceMethod<&MountObject::openEntered>("openEntered"),
                         InstanceMethod<&MountObject::adopt>("adopt"),
                         InstanceMethod<&MountObject::make>("make"),
                         InstanceMethod<&MountObject::makeTmpfile>("makeTmpfile"),
                         InstanceMethod<&MountObject::enterTmpfile>("enterTmpfile"),
                         InstanceMethod<&MountObject::nodeAt>("nodeAt"),
                         InstanceMethod<&MountObject::keepBeforeUnlink>("keepBeforeUnlink"),
                         InstanceMethod<&MountObject::afterUnlink>("afterUnlink"),
                         InstanceMethod<&MountObject::moveNode>("moveNode"),
                         InstanceMethod<&MountObject::settleOnUpper>("settleOnUpper"),
                         InstanceMethod<&MountObject::settleUnnamed>("settleUnnamed"),
                         InstanceMethod<&MountObject::shownIno>("shownIno"),
                         InstanceMethod<&MountObject::nodeFlags>("nodeFlags"),
                         InstanceMethod<&MountObject::setNodeFlags>("setNodeFlags"),
                         InstanceMethod<&MountObject::setNlinkDelta>("setNlinkDelta"),
                         InstanceMethod<&MountObject::nodeParent>("nodeParent"),
                         InstanceMethod<&MountObject::nodeName>("nodeName"),
                         InstanceMethod<&MountObject::nodeFd>("nodeFd"),
                         InstanceMethod<&MountObject::evictBackingId>("evictBackingId"),
                         InstanceMethod<&MountObject::takeDropped>("takeDropped"),
                         InstanceMethod<&MountObject::takeRegistered>("takeRegistered"),
                         InstanceMethod<&MountObject::stats>("stats"),
                         InstanceMethod<&MountObject::copyBeside>("copyBeside"),
                         InstanceMethod<&MountObject::syncBeside>("syncBeside"),
                         InstanceMethod<&MountObject::offloadResult>("offloadResult"),
                         InstanceMethod<&MountObject::parkUntil>("parkUntil"),
                         InstanceMethod<&MountObject::direntStart>("direntStart"),
                         InstanceMethod<&MountObject::direntAdd>("direntAdd"),
                         InstanceMethod<&MountObject::direntLength>("direntLength"),
                     });
}

}  // namespace lamina
