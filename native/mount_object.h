// The JavaScript face of a Mount: what the union and the session call. Types: src/native/mount.ts. JS thread only,
// which is the loop's thread.
#pragma once

#include <napi.h>

#include <memory>
#include <vector>

#include "dirent_writer.h"
#include "mount.h"
#include "napi_args.h"

namespace lamina {

class MountObject : public Napi::ObjectWrap<MountObject> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit MountObject(const Napi::CallbackInfo& info);
  ~MountObject() override;

  Mount& mount() { return *mount_; }

 private:
  using Info = const Napi::CallbackInfo&;
  Napi::Value bindReply(Info info);
  Napi::Value setOptions(Info info);
  Napi::Value attach(Info info);
  Napi::Value detach(Info info);
  // places
  Napi::Value addRoot(Info info);
  Napi::Value seal(Info info);
  Napi::Value placeChild(Info info);
  Napi::Value placeOfNode(Info info);
  Napi::Value placeDrop(Info info);
  Napi::Value placeFd(Info info);
  Napi::Value placeFdBriefly(Info info);
  Napi::Value setFdLimit(Info info);
  Napi::Value placeMove(Info info);
  // nodes
  Napi::Value makeRootNode(Info info);
  Napi::Value enter(Info info);
  Napi::Value negative(Info info);
  Napi::Value addMountpoint(Info info);
  Napi::Value forgetEntered(Info info);
  Napi::Value isMountpoint(Info info);
  Napi::Value openEntered(Info info);
  Napi::Value adopt(Info info);
  Napi::Value make(Info info);
  Napi::Value makeTmpfile(Info info);
  Napi::Value enterTmpfile(Info info);
  Napi::Value nodeAt(Info info);
  Napi::Value keepBeforeUnlink(Info info);
  Napi::Value afterUnlink(Info info);
  Napi::Value moveNode(Info info);
  Napi::Value settleOnUpper(Info info);
  Napi::Value settleUnnamed(Info info);
  Napi::Value shownIno(Info info);
  Napi::Value nodeFlags(Info info);
  Napi::Value setNodeFlags(Info info);
  Napi::Value setNlinkDelta(Info info);
  Napi::Value nodeParent(Info info);
  Napi::Value nodeName(Info info);
  Napi::Value nodeFd(Info info);
  Napi::Value evictBackingId(Info info);
  Napi::Value takeDropped(Info info);
  Napi::Value takeRegistered(Info info);
  Napi::Value stats(Info info);
  // work beside the loop
  Napi::Value copyBeside(Info info);
  Napi::Value syncBeside(Info info);
  Napi::Value offloadResult(Info info);
  Napi::Value parkUntil(Info info);
  // directory replies
  Napi::Value direntStart(Info info);
  Napi::Value direntAdd(Info info);
  Napi::Value direntLength(Info info);

  Place* place(Info info, size_t i);
  Node* node(Info info, size_t i);
  Napi::Value keepPlace(Info info, Place* place);
  void dropPlaces();

  std::unique_ptr<Mount> mount_;
  std::vector<Place*> places_;  // place ids of TypeScript; each holds a reference
  std::vector<uint32_t> freePlaces_;
  Napi::Reference<Napi::Uint8Array> replyArray_;
  Span reply_;
  std::unique_ptr<DirentWriter> dirents_;
  int64_t direntTag_ = 0;
};

}  // namespace lamina
