// Extended attributes. In the union the overlay's own attributes are invisible and cannot be forged: a user's
// "trusted.overlay.x" is kept as "trusted.overlay.overlay.x", as kernel overlayfs does (overlayfs.rst "Nesting").

#include <errno.h>
#include <linux/capability.h>
#include <sys/xattr.h>

#include <string>
#include <utility>

#include "bypass.h"
#include "caller.h"
#include "proc_path.h"

namespace lamina {
namespace {

constexpr std::string_view kOwned[] = {"trusted.overlay.", "user.overlay.", "user.fuseoverlayfs."};
constexpr std::string_view kEscape = "overlay.";

std::string_view ownedPrefix(std::string_view name) {
  for (std::string_view prefix : kOwned) {
    if (name.substr(0, prefix.size()) == prefix) return prefix;
  }
  return {};
}

std::string storedName(const Node* node, std::string_view name) {
  std::string_view prefix = node->has(kNodeRoute) ? std::string_view{} : ownedPrefix(name);
  std::string stored(name);
  if (!prefix.empty()) stored.insert(prefix.size(), kEscape);
  return stored;
}

/** The name a user sees for a stored one; empty for what is ours. */
std::string shownName(const Node* node, std::string_view stored) {
  std::string_view prefix = node->has(kNodeRoute) ? std::string_view{} : ownedPrefix(stored);
  if (prefix.empty()) return std::string(stored);
  if (stored.substr(prefix.size(), kEscape.size()) != kEscape) return {};
  return std::string(prefix) + std::string(stored.substr(prefix.size() + kEscape.size()));
}

int targetPath(Mount& mount, Node* node, std::string* path) {
  Location at = mount.locate(node);
  if (at.fd < 0) return at.fd;
  *path = procPath(at.fd, at.name);
  // The magic link itself must be followed; a name below a directory must not.
  return *at.name ? 1 : 0;
}

}  // namespace

int opGetxattr(Request& request) {
  auto* in = request.as<GetxattrIn>();
  Node* node = request.node();
  std::string_view name = request.name(sizeof(GetxattrIn));
  if (!in || name.empty()) return -EINVAL;
  if (!node) return -ESTALE;
  std::string path, stored = storedName(node, name);
  int last = targetPath(request.mount, node, &path);
  if (last < 0) return last;
  size_t room = std::min<size_t>(in->size, request.capacity);
  ssize_t n = last ? lgetxattr(path.c_str(), stored.c_str(), request.out, room)
                   : getxattr(path.c_str(), stored.c_str(), request.out, room);
  if (n < 0) return -errno;
  if (in->size) return static_cast<int>(n);
  auto* out = request.reply<GetxattrIn>();
  out->size = static_cast<uint32_t>(n);
  return sizeof *out;
}

int opListxattr(Request& request) {
  auto* in = request.as<GetxattrIn>();
  Node* node = request.node();
  if (!in) return -EINVAL;
  if (!node) return -ESTALE;
  std::string path;
  int last = targetPath(request.mount, node, &path);
  if (last < 0) return last;
  std::string list(XATTR_LIST_MAX, '\0');
  ssize_t n =
      last ? llistxattr(path.c_str(), list.data(), list.size()) : listxattr(path.c_str(), list.data(), list.size());
  if (n < 0) return -errno;
  std::string shown;
  bool asked = false, trusted = false;
  // Linux lists trusted.* to those who may read it (simple_xattr_list, ovl_can_list).
  auto mayTrust = [&] {
    if (!std::exchange(asked, true)) trusted = Caller(request.in).hasEverywhere(CAP_SYS_ADMIN);
    return trusted;
  };
  for (const char* at = list.data(); at < list.data() + n; at += strlen(at) + 1) {
    std::string name = shownName(node, at);
    bool hidden = name.empty() || (name.rfind("trusted.", 0) == 0 && !mayTrust());
    if (!hidden) shown.append(name.c_str(), name.size() + 1);
  }
  if (!in->size) {
    auto* out = request.reply<GetxattrIn>();
    out->size = static_cast<uint32_t>(shown.size());
    return sizeof *out;
  }
  if (shown.size() > in->size) return -ERANGE;
  memcpy(request.out, shown.data(), shown.size());
  return static_cast<int>(shown.size());
}

int opSetxattr(Request& request) {
  auto* in = request.as<SetxattrIn>();
  Node* node = request.node();
  std::string_view name = request.name(sizeof(SetxattrIn));
  size_t value = sizeof(SetxattrIn) + name.size() + 1;
  if (!in || name.empty() || value + in->size > request.size) return -EINVAL;
  if (!node) return -ESTALE;
  int error = checkAttributeName(request, node, name);
  if (!error) error = checkWritable(request, node);
  if (error) return error;
  std::string path, stored = storedName(node, name);
  int last = targetPath(request.mount, node, &path);
  if (last < 0) return last;
  const uint8_t* data = request.body + value;
  int done = last ? lsetxattr(path.c_str(), stored.c_str(), data, in->size, in->flags)
                  : setxattr(path.c_str(), stored.c_str(), data, in->size, in->flags);
  if (done < 0) return -errno;
  // The flag comes with a default ACL too, which has no say in the mode (Linux: posix_acl_update_mode).
  bool kill = (in->setxattrFlags & kSetxattrAclKillSgid) && name == "system.posix_acl_access";
  return kill ? killSgid(request, node) : 0;
}

int opRemovexattr(Request& request) {
  Node* node = request.node();
  std::string_view name = request.name(0);
  if (name.empty()) return -EINVAL;
  if (!node) return -ESTALE;
  // A chown(2) that will be refused has come for the capabilities first (Linux: notify_change).
  int error = name == "security.capability" ? checkOwnerCall(request, node) : checkAttributeName(request, node, name);
  if (!error) error = checkWritable(request, node);
  if (error) return error;
  std::string path, stored = storedName(node, name);
  int last = targetPath(request.mount, node, &path);
  if (last < 0) return last;
  int done = last ? lremovexattr(path.c_str(), stored.c_str()) : removexattr(path.c_str(), stored.c_str());
  return done < 0 ? -errno : 0;
}

}  // namespace lamina
