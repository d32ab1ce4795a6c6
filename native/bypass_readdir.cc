#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "bypass.h"
#include "dir_stream.h"
#include "dirent_writer.h"

namespace lamina {

int opOpendir(Request& request) {
  if (request.mount.options.cacheDirs) return -ENOSYS;
  Node* node = request.node();
  if (!node) return -ESTALE;
  auto* out = request.reply<OpenOut>();
  out->openFlags = node->has(kNodeRoute) ? 0 : kFopenCacheDir | kFopenKeepCache;
  return sizeof *out;
}

namespace {

bool isDots(std::string_view name) { return name == "." || name == ".."; }

/** What stat shows for an entry of a directory that lives in one place. */
uint64_t inoOf(Mount& mount, const Node* directory, const RawDirent* entry) {
  if (!isDots(entry->name)) return mount.shownIno(directory, entry->ino);
  return entry->name[1] && directory->parent ? directory->parent->ino : directory->ino;
}

DirStream* streamOf(Request& request, Node* node, int* error) {
  DirStream* stream = request.mount.streams.find(node->id);
  if (stream) return stream;
  int fd = openObject(request.mount, node, O_RDONLY | O_DIRECTORY);
  if (fd < 0) {
    *error = fd;
    return nullptr;
  }
  return request.mount.streams.add(node->id, fd);
}

/** Whether the union hides this entry of a directory of one layer. */
bool isHidden(const Node* directory, int dirfd, const RawDirent* entry) {
  if (directory->has(kNodeRoute)) return false;
  if (isWhiteoutName(entry->name)) return true;
  struct statx st;
  return entry->type == DT_CHR && statAt(dirfd, entry->name, &st) == 0 && isWhiteout(st);
}

/** Fills the entry part of a READDIRPLUS record, or leaves it zero: the kernel then looks the name up when it needs to.
 */
void fillPlus(Request& request, Node* directory, int dirfd, const RawDirent* entry, EntryOut* out) {
  if (isDots(entry->name) || request.mount.mountpointAt(directory, entry->name)) return;
  struct statx st;
  if (statAt(dirfd, entry->name, &st) != 0) return;
  bool marked = S_ISDIR(st.stx_mode) && hasUnionMarks(request.mount, dirfd, entry->name);
  if (marked || isIndexedLink(request.mount, directory, st)) return;
  Node* node = request.mount.enter(directory, directory->place, entry->name, st, 0, 0);
  request.mount.entered.push_back(node);
  request.mount.fillEntry(node, st, out);
}

}  // namespace

int opReaddir(Request& request, bool plus) {
  auto* in = request.as<ReadIn>();
  Node* node = request.node();
  if (!in) return -EINVAL;
  if (!node) return -ESTALE;
  if (node->has(kNodeUnion)) return kDecide;
  int error = 0;
  DirStream* stream = streamOf(request, node, &error);
  if (!stream) return error;
  int dirfd = request.mount.nodeFd(node);
  if (dirfd < 0) return dirfd;
  error = stream->seek(static_cast<int64_t>(in->offset));
  if (error) return error;
  DirentWriter writer(request.out, std::min<size_t>(in->size, request.capacity), plus);
  // An entry of a route is good for one lookup: to give it now would be a stat for nothing.
  bool filled = plus && !node->has(kNodeRoute);
  while (const RawDirent* entry = stream->peek(&error)) {
    std::string_view name = entry->name;
    if (!writer.fits(name.size())) return static_cast<int>(writer.used());
    if (!isHidden(node, dirfd, entry)) {
      EntryOut* out = writer.add(name, inoOf(request.mount, node, entry), entry->off, entry->type);
      if (filled) fillPlus(request, node, dirfd, entry, out);
    }
    stream->take();
  }
  if (!writer.used()) request.mount.streams.close(node->id);
  return error && !writer.used() ? error : static_cast<int>(writer.used());
}

}  // namespace lamina
