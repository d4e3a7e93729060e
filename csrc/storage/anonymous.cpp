#include "storage/anonymous.h"

#include <cstring>

#include "base/memory.h"

namespace pyembed {

AnonymousMemory::AnonymousMemory(std::size_t bytes, bool promised) : bytes_(bytes) {
    if (bytes >= huge_page) {
        data_ = map_pages(bytes, promised);
    } else {
        data_ = allocate(bytes);
        std::memset(data_, 0, bytes);
    }
}

AnonymousMemory::~AnonymousMemory() {
    if (bytes_ >= huge_page)
        unmap_pages(data_, bytes_);
    else
        release(data_);
}

}  // namespace pyembed
