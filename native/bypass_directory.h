// What the ops on names have in common: the directory they change, and how the union differs from a route there.
#pragma once

#include <string_view>

#include "request.h"

namespace lamina {

/** The directory of a namespace op and where it lives. */
struct Directory {
  Node* node = nullptr;
  int fd = -1;
};

/** A name that only layer formats use, in a directory of the union. */
bool isUnionName(const Node* directory, std::string_view name);

/** Finds the directory a write op changes; 0, or what the op answers instead. */
int writableDirectory(Request& request, uint64_t nodeid, Directory* out);

/** Answers with the entry of a node whose lookup count was just raised. */
int replyEntry(Request& request, Node* node, const struct statx& st);

/** Enters the object `name` and answers with its entry. */
int enterAndReply(Request& request, const Directory& dir, std::string_view name);

/** EEXIST; over a leftover whiteout of the union kDecide: TypeScript knows what to do with it. */
int existsOrWhiteout(const Directory& dir, std::string_view name);

/** Whether TypeScript must be asked about `name`: a whiteout, or a directory whose namespace it holds. */
bool isUnionChild(Request& request, int dirfd, const char* name);

}  // namespace lamina
