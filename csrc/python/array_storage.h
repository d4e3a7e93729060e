// A NumPy array's memory as a table's storage.
#pragma once

#include "python/arguments.h"
#include "storage/storage.h"

namespace pyembed {

// Keeps the array alive. Given up with or without the GIL.
class ArrayStorage : public Storage {
  public:
    explicit ArrayStorage(py::array array) : array_(std::move(array)) {}
    ~ArrayStorage() override {
        const py::gil_scoped_acquire gil;
        array_.release().dec_ref();
    }
    ArrayStorage(const ArrayStorage&) = delete;
    ArrayStorage& operator=(const ArrayStorage&) = delete;

    const py::array& array() const { return array_; }

    static std::shared_ptr<Storage> of(py::handle array) {
        return std::make_shared<ArrayStorage>(py::reinterpret_borrow<py::array>(array));
    }

  private:
    py::array array_;
};

// All storage that Python's tables and states have is of this kind.
inline const py::array& array_of(const std::shared_ptr<Storage>& storage) {
    return static_cast<const ArrayStorage&>(*storage).array();
}

}  // namespace pyembed
