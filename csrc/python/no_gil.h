// Work without the GIL, in an interpreter that may end meanwhile.
#pragma once

#include <pybind11/pybind11.h>

namespace pyembed {

// Gives the GIL back for its life. Before Python 3.14, a thread that asks for it while the interpreter ends
// is torn down where it stands, which C++ takes for the end of the program. A daemon thread therefore never
// comes back from a call once the interpreter begins to end: see `await_returns`.
class NoGil {
  public:
    NoGil() : state_(PyEval_SaveThread()) {}
    ~NoGil();
    NoGil(const NoGil&) = delete;
    NoGil& operator=(const NoGil&) = delete;

  private:
    PyThreadState* const state_;
};

// From now on other threads stay in their calls; waits for those that are on their way out of one. Called
// with the GIL when the interpreter begins to end.
void await_returns();

}  // namespace pyembed
