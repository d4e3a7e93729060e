// Texts as numbers, and word vectors learned from them.
#include <cmath>

#include "base/fork.h"
#include "python/bind.h"
#include "python/locked.h"
#include "python/texts.h"
#include "words/token_reader.h"
#include "words/trainer.h"

namespace pyembed {
namespace {

// A one-dimensional array in C order of just this dtype, read where it lies.
template <class T>
struct Numbers {
    py::array array;
    const T* data;
    i64 size;

    Numbers(py::handle object, const char* name) : array(py::reinterpret_borrow<py::array>(object)) {
        if (!py::isinstance<py::array_t<T>>(object) || array.ndim() != 1 ||
            (array.flags() & py::array::c_style) == 0)
            throw py::type_error(std::string(name) + " must be an array of " +
                                 py::str(py::dtype::of<T>()).template cast<std::string>() +
                                 " with one axis, in C order");
        data = static_cast<const T*>(array.data());
        size = array.size();
    }
};

// (bytes that were read, numbers)
py::tuple feed(TokenReader& reader, const py::buffer& buffer, bool is_last, Strings& keys) {
    const py::buffer_info info = buffer.request();
    const i64 used = keys.writing([&](TextIndex& index) {
        return reader.feed(static_cast<const char*>(info.ptr), info.size * info.itemsize, is_last, index);
    });
    return py::make_tuple(used, array_of(std::move(reader.numbers())));
}

py::object fault_of(const TokenReader& reader) {
    if (!reader.fault()) return py::none();
    return py::make_tuple(reader.fault()->line, reader.fault()->what);
}

void count(py::handle numbers, py::array_t<i64>& counts) {
    const Numbers<std::int32_t> read(numbers, "numbers");
    i64* const out = counts.mutable_data();
    for (i64 i = 0; i < read.size; ++i)
        if (read.data[i] >= counts.size()) throw py::value_error("counts has no place for a number");
    const NoGil no_gil;
    add_counts(read.data, read.size, out);
}

// float32 (rows, dim) in C order, that is written.
struct Table {
    py::array array;
    Rows<float> rows;

    Table(py::handle object, const char* name) {
        const AnyRows any = matrix_argument(object, name, true);
        const auto* const found = std::get_if<Rows<float>>(&any);
        if (found == nullptr) throw py::type_error(std::string(name) + " must have dtype float32");
        rows = *found;
        array = py::reinterpret_borrow<py::array>(object);
    }
};

// What a corpus's numbers stand for: the word of each, and the share of its places that is kept.
std::vector<Token> tokens_of(const Numbers<std::int32_t>& words, const Numbers<u32>& kept, i64 rows) {
    if (words.size != kept.size) throw py::value_error("words and kept must have one element for each token");
    std::vector<Token> tokens;
    tokens.reserve(static_cast<std::size_t>(words.size));
    for (i64 t = 0; t < words.size; ++t) {
        if (words.data[t] < no_word || words.data[t] >= rows)
            throw py::value_error("words has a number that is no row");
        tokens.push_back({words.data[t], kept.data[t]});
    }
    return tokens;
}

// A trainer, and the arrays that it works on.
class BoundTrainer {
  public:
    BoundTrainer(py::handle numbers, py::handle words, py::handle kept, py::handle inputs, py::handle outputs,
                 py::handle noise, py::object frozen, int window, int negative, bool means_inputs,
                 const Schedule& schedule)
        : numbers_(numbers, "numbers"),
          inputs_(inputs, "inputs"),
          outputs_(outputs, "outputs"),
          tokens_(tokens_of({words, "words"}, {kept, "kept"}, inputs_.rows.rows)) {
        if (!frozen.is_none()) frozen_.emplace(frozen, "frozen");
        const Numbers<double> weights(noise, "noise");
        if (weights.size != outputs_.rows.rows || inputs_.rows.dim != outputs_.rows.dim)
            throw py::value_error("noise and outputs must have one row for each word, of inputs' width");
        if (frozen_ && frozen_->size != inputs_.rows.rows)
            throw py::value_error("frozen must have one element for each word");
        noise_.emplace(std::vector<double>(weights.data, weights.data + weights.size));
        Model model{inputs_.rows, outputs_.rows, {}, {}, window, means_inputs};
        model.input_rows.is_frozen = frozen_ ? frozen_->data : nullptr;
        model.targets.noise = &*noise_;
        model.targets.negative = negative;
        trainer_.emplace(model, Corpus{numbers_.data, numbers_.size, tokens_.data()}, schedule);
    }

    bool run(double seconds, int threads) {
        const NoGil no_gil;
        return trainer_->run(seconds, is_forked_child() ? 1 : threads);
    }
    i64 places() const { return trainer_->places(); }
    std::vector<std::pair<double, i64>> losses() const {
        std::vector<std::pair<double, i64>> told;
        for (const Loss& loss : trainer_->losses()) told.emplace_back(loss.sum, loss.predictions);
        return told;
    }

  private:
    Numbers<std::int32_t> numbers_;
    Table inputs_;
    Table outputs_;
    std::vector<Token> tokens_;
    std::optional<Numbers<bool>> frozen_;
    std::optional<AliasTable> noise_;
    std::optional<Trainer> trainer_;
};

std::unique_ptr<BoundTrainer> make_trainer(py::handle numbers, py::handle words, py::handle kept,
                                           py::handle inputs, py::handle outputs, py::handle noise,
                                           py::object frozen, int window, int negative, bool means_inputs,
                                           i64 epochs, float learning_rate, float least_rate, u64 seed,
                                           i64 block, i64 learners, bool in_rounds) {
    const Schedule schedule{epochs, learning_rate, least_rate, seed, block, learners, in_rounds};
    return std::make_unique<BoundTrainer>(numbers, words, kept, inputs, outputs, noise, std::move(frozen),
                                          window, negative, means_inputs, schedule);
}

}  // namespace

void bind_word2vec(py::module_& module) {
    py::class_<TokenReader>(module, "TokenReader")
        .def(py::init<>())
        .def("feed", feed, py::arg("data"), py::arg("is_last"), py::arg("index"))
        .def_property_readonly("fault", fault_of);
    py::class_<BoundTrainer>(module, "Trainer")
        .def(py::init(&make_trainer), py::kw_only(), py::arg("numbers"), py::arg("words"), py::arg("kept"),
             py::arg("inputs"), py::arg("outputs"), py::arg("noise"), py::arg("frozen"), py::arg("window"),
             py::arg("negative"), py::arg("means_inputs"), py::arg("epochs"), py::arg("learning_rate"),
             py::arg("least_rate"), py::arg("seed"), py::arg("block"), py::arg("learners"),
             py::arg("in_rounds"))
        .def("run", &BoundTrainer::run, py::arg("seconds"), py::arg("threads"))
        .def_property_readonly("places", &BoundTrainer::places)
        .def_property_readonly("losses", &BoundTrainer::losses);
    module.def("add_counts", count, py::arg("numbers"), py::arg("counts"));
}

}  // namespace pyembed
