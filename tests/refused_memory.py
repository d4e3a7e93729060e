"""A library that refuses the compiled core an allocation, to be preloaded: see LIBRARY."""

import os
import subprocess
from pathlib import Path

LIBRARY = r"""
#include <dlfcn.h>
#include <sys/mman.h>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <new>

static std::atomic<long> countdown{0};  // the allocation that is refused, from 1; 0 and below: none

extern "C" void refuse(long which) { countdown = which; }
extern "C" long left() { return countdown; }

// pybind11 allocates less within Python's constructors, where to be refused ends the process.
static bool is_refused(std::size_t bytes) {
    return bytes >= 256 && countdown > 0 && --countdown == 0;
}

static void* taken(std::size_t bytes) {
    void* data = is_refused(bytes) ? nullptr : std::malloc(bytes > 0 ? bytes : 1);
    if (data == nullptr) throw std::bad_alloc();
    return data;
}

void* operator new(std::size_t bytes) { return taken(bytes); }
void* operator new[](std::size_t bytes) { return taken(bytes); }
void operator delete(void* data) noexcept { std::free(data); }
void operator delete[](void* data) noexcept { std::free(data); }
void operator delete(void* data, std::size_t) noexcept { std::free(data); }
void operator delete[](void* data, std::size_t) noexcept { std::free(data); }

extern "C" void* aligned_alloc(std::size_t alignment, std::size_t bytes) {
    void* data = nullptr;
    return is_refused(bytes) || posix_memalign(&data, alignment, bytes) != 0 ? nullptr : data;
}

extern "C" void* mmap(void* at, std::size_t bytes, int access, int flags, int file, off_t offset) {
    using Function = void* (*)(void*, std::size_t, int, int, int, off_t);
    static const Function map = reinterpret_cast<Function>(dlsym(RTLD_NEXT, "mmap"));
    if (!is_refused(bytes)) return map(at, bytes, access, flags, file, offset);
    errno = ENOMEM;
    return MAP_FAILED;
}
"""


def preloaded(folder):
    """Return the environment with the library, or None where it cannot be compiled."""
    source, library = Path(folder, "refuse.cpp"), Path(folder, "refuse.so")
    source.write_text(LIBRARY)
    compiler = os.environ.get("CXX", "c++")
    command = [compiler, "-std=c++17", "-O1", "-shared", "-fPIC", source, "-o", library, "-ldl"]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return {**os.environ, "LD_PRELOAD": str(library)}
