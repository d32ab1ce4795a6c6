#include "node.h"

namespace lamina {

Nodes::Nodes(Places& places) : places_(places), byId_(1024), byKey_(1024) {}

Nodes::~Nodes() {
  for (Node* node : byId_) {
    while (node) {
      Node* next = node->nextById;
      places_.drop(node->place);
      delete node;
      node = next;
    }
  }
}

size_t Nodes::keySlot(const NodeKey& key) const {
  uint64_t h = (key.ino + (uint64_t{key.dev} << 40) + key.salt) * 0x9E3779B97F4A7C15ull;
  return (h >> 32) & (byKey_.size() - 1);
}

Node* Nodes::find(uint64_t id) const {
  for (Node* node = byId_[id & (byId_.size() - 1)]; node; node = node->nextById) {
    if (node->id == id) return node;
  }
  return nullptr;
}

Node* Nodes::find(const NodeKey& key) const {
  for (Node* node = byKey_[keySlot(key)]; node; node = node->nextByKey) {
    if (node->keyIno == key.ino && node->keyDev == key.dev && node->keySalt == key.salt) return node;
  }
  return nullptr;
}

void Nodes::grow() {
  std::vector<Node*> all;
  all.reserve(count_);
  for (Node* node : byId_) {
    for (; node; node = node->nextById) all.push_back(node);
  }
  std::vector<bool> keyed(all.size());
  for (size_t i = 0; i < all.size(); i++) keyed[i] = find({all[i]->keyIno, all[i]->keyDev, all[i]->keySalt}) == all[i];
  byId_.assign(byId_.size() * 2, nullptr);
  byKey_.assign(byKey_.size() * 2, nullptr);
  for (size_t i = 0; i < all.size(); i++) {
    Node* node = all[i];
    Node*& slot = byId_[node->id & (byId_.size() - 1)];
    node->nextById = slot;
    slot = node;
    node->nextByKey = nullptr;
    if (keyed[i]) {
      Node*& keySlotHead = byKey_[keySlot({node->keyIno, node->keyDev, node->keySalt})];
      node->nextByKey = keySlotHead;
      keySlotHead = node;
    }
  }
}

Node* Nodes::create(const NodeKey& key, Place* place, Node* parent, uint32_t flags) {
  if (count_ >= byId_.size()) grow();
  auto* node = new Node;
  node->id = nextId_++;
  node->flags = flags;
  node->place = place;
  places_.ref(place);
  node->parent = parent;
  if (parent) parent->refs++;
  Node*& slot = byId_[node->id & (byId_.size() - 1)];
  node->nextById = slot;
  slot = node;
  count_++;
  rekey(node, key);
  return node;
}

void Nodes::unkey(Node* node) {
  Node** link = &byKey_[keySlot({node->keyIno, node->keyDev, node->keySalt})];
  while (*link && *link != node) link = &(*link)->nextByKey;
  if (*link) *link = node->nextByKey;
  node->nextByKey = nullptr;
}

void Nodes::rekey(Node* node, const NodeKey& key) {
  unkey(node);
  node->keyIno = key.ino;
  node->keyDev = key.dev;
  node->keySalt = key.salt;
  Node*& slot = byKey_[keySlot(key)];
  node->nextByKey = slot;
  slot = node;
}

void Nodes::setPlace(Node* node, Place* place) {
  places_.ref(place);
  places_.drop(node->place);
  node->place = place;
}

void Nodes::setParent(Node* node, Node* parent) {
  if (node->parent == parent) return;
  if (parent) parent->refs++;
  Node* old = node->parent;
  node->parent = parent;
  if (old) {
    old->refs--;
    release(old);
  }
}

bool Nodes::forget(Node* node, uint64_t nlookup) {
  node->nlookup -= nlookup < node->nlookup ? nlookup : node->nlookup;
  return release(node);
}

bool Nodes::release(Node* first) {
  bool gone = false;
  std::vector<Node*> pending{first};
  while (!pending.empty()) {
    Node* node = pending.back();
    pending.pop_back();
    if (node->nlookup || node->refs || node->opens) continue;
    if (node == first) gone = true;
    unkey(node);
    Node** link = &byId_[node->id & (byId_.size() - 1)];
    while (*link != node) link = &(*link)->nextById;
    *link = node->nextById;
    count_--;
    if (node->forward) node->forward->flags &= ~kNodeHeir;
    for (Node* held : {node->parent, node->forward}) {
      if (held && --held->refs == 0) pending.push_back(held);  // pushed by its last holder only
    }
    if (node->backingId) orphanBackingIds.push_back(node->backingId);
    if (node->flags & kNodeUnion) dropped_.push_back(node->id);
    places_.drop(node->place);
    delete node;
  }
  return gone;
}

}  // namespace lamina
