{
  "variables": {"sanitize%": "none"},
  "target_defaults": {
    "conditions": [
      # What is undefined is a trap, which AddressSanitizer reports; the runtime of UndefinedBehaviorSanitizer beside it has no log_path.
      ["sanitize=='address'", {"cflags_cc": ["-fsanitize=address,undefined", "-fsanitize-undefined-trap-on-error"], "ldflags": ["-fsanitize=address"]}],
      ["sanitize=='thread'", {"cflags_cc": ["-fsanitize=thread"], "ldflags": ["-fsanitize=thread"]}]
    ]
  },
  "targets": [
    {
      "target_name": "lamina",
      "sources": [
        "native/addon.cc",
        "native/backing.cc",
        "native/blocking.cc",
        "native/bypass.cc",
        "native/bypass_attr.cc",
        "native/bypass_directory.cc",
        "native/bypass_file.cc",
        "native/bypass_lock.cc",
        "native/bypass_long.cc",
        "native/bypass_names.cc",
        "native/bypass_rename.cc",
        "native/bypass_readdir.cc",
        "native/bypass_xattr.cc",
        "native/caller.cc",
        "native/copy_data.cc",
        "native/device.cc",
        "native/dir_stream.cc",
        "native/direct_io.cc",
        "native/fd_budget.cc",
        "native/handle.cc",
        "native/identity.cc",
        "native/idle_hold.cc",
        "native/locks.cc",
        "native/loop.cc",
        "native/loop_object.cc",
        "native/mount.cc",
        "native/mount_object.cc",
        "native/mount_object_nodes.cc",
        "native/node.cc",
        "native/offload.cc",
        "native/place.cc",
        "native/processes.cc",
        "native/request.cc",
        "native/syscalls.cc",
        "native/syscalls_xattr.cc",
        "native/wait.cc"
      ],
      "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")", "native"],
      "defines": ["NAPI_VERSION=8", "NODE_ADDON_API_DISABLE_CPP_EXCEPTIONS", "_GNU_SOURCE"],
      "cflags_cc!": ["-fno-rtti", "-std=gnu++17"],
      "cflags_cc": ["-std=c++20", "-fno-exceptions", "-fvisibility=hidden", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter", "-Wno-missing-field-initializers", "-O2"],
      "ldflags": ["-Wl,--gc-sections"]
    },
    {
      "target_name": "lamina-init",
      "type": "executable",
      "sources": ["native/init.cc"],
      "defines": ["_GNU_SOURCE"],
      "cflags_cc!": ["-fno-rtti", "-std=gnu++17", "-fsanitize=address,undefined", "-fsanitize=thread"],
      "cflags_cc": ["-std=c++20", "-fno-exceptions", "-Wall", "-Wextra", "-Werror", "-Os"],
      "ldflags!": ["-fsanitize=address", "-fsanitize=thread"],
      "ldflags": ["-Wl,--gc-sections", "-static"],
      # AddressSanitizer has no static runtime: the trap ends the container.
      "conditions": [["sanitize=='address'", {"cflags_cc": ["-fsanitize=undefined"]}]]
    },
    {
      "target_name": "lamina-alone",
      "type": "executable",
      "sources": ["native/alone.cc"],
      "defines": ["_GNU_SOURCE"],
      "cflags_cc!": ["-fno-rtti", "-std=gnu++17"],
      "cflags_cc": ["-std=c++20", "-fno-exceptions", "-Wall", "-Wextra", "-Werror", "-Os"],
      "ldflags": ["-Wl,--gc-sections"],
      "conditions": [["sanitize=='none'", {"ldflags": ["-static"]}]]
    },
    {
      "target_name": "lamina-within",
      "type": "executable",
      "sources": ["native/within.cc"],
      "defines": ["_GNU_SOURCE"],
      "cflags_cc!": ["-fno-rtti", "-std=gnu++17"],
      "cflags_cc": ["-std=c++20", "-fno-exceptions", "-Wall", "-Wextra", "-Werror", "-Os"],
      "ldflags": ["-Wl,--gc-sections"],
      "conditions": [["sanitize=='none'", {"ldflags": ["-static"]}]]
    }
  ]
}
