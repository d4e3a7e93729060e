// Memory of no file.
#pragma once

#include <cstddef>

#include "storage/storage.h"

namespace pyembed {

// Zeroed; where large, pages are taken from the system as they are touched.
class AnonymousMemory : public Storage {
  public:
    // `promised`: the system is asked for all of it now, where it keeps count. Throws std::bad_alloc.
    AnonymousMemory(std::size_t bytes, bool promised);
    ~AnonymousMemory() override;
    AnonymousMemory(const AnonymousMemory&) = delete;
    AnonymousMemory& operator=(const AnonymousMemory&) = delete;

    void* data() const { return data_; }

  private:
    void* data_;
    std::size_t bytes_;
};

}  // namespace pyembed
