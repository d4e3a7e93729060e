// Memory of no file.
#pragma once

#include <cstddef>

#include "storage/storage.h"

namespace pyembed {

// Zeroed, lazily where large: pages that are never touched cost nothing.
class AnonymousMemory : public Storage {
  public:
    // Throws std::bad_alloc.
    explicit AnonymousMemory(std::size_t bytes);
    ~AnonymousMemory() override;
    AnonymousMemory(const AnonymousMemory&) = delete;
    AnonymousMemory& operator=(const AnonymousMemory&) = delete;

    void* data() const { return data_; }

  private:
    void* data_;
    std::size_t bytes_;
};

}  // namespace pyembed
