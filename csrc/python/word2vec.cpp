// Texts as numbers, and word vectors learned from them.
#include <algorithm>

#include "base/fork.h"
#include "python/bind.h"
#include "python/locked.h"
#include "python/texts.h"
#include "words/huffman.h"
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
    BoundTrainer(py::handle numbers, py::handle words, py::handle kept, py::handle inputs, py::handle outputs)
        : numbers_(numbers, "numbers"), inputs_(inputs, "inputs"), outputs_(outputs, "outputs") {
        const Numbers<std::int32_t> rows(words, "words");
        tokens_ = tokens_of(rows, {kept, "kept"}, inputs_.rows.rows);
        for (const Token& token : tokens_) words_ = std::max<i64>(words_, token.word + 1);
        if (inputs_.rows.dim != outputs_.rows.dim)
            throw py::value_error("outputs must have as many columns as inputs");
        model_.inputs = inputs_.rows;
        model_.outputs = outputs_.rows;
    }

    // Negatives are drawn in proportion to weights, one for each row of the outputs.
    void draw_negatives(py::handle weights, int negative) {
        const Numbers<double> given(weights, "weights");
        if (given.size != outputs_.rows.rows || given.size < words_ || negative < 1)
            throw py::value_error("weights must have one element for each word");
        noise_.emplace(std::vector<double>(given.data, given.data + given.size));
        model_.targets = Targets();
        model_.targets.noise = &*noise_;
        model_.targets.negative = negative;
    }

    // Outputs are the inner nodes of a tree.
    void climb_tree(py::handle counts) {
        const Numbers<i64> given(counts, "counts");
        if (given.size < words_) throw py::value_error("counts must have one element for each word");
        tree_ = huffman_tree(given.data, given.size);
        for (const std::int32_t node : tree_.nodes)
            if (node >= outputs_.rows.rows)
                throw py::value_error("outputs must have a row for each inner node");
        model_.targets = Targets();
        model_.targets.nodes = tree_.nodes.data();
        model_.targets.turns = tree_.turns.data();
        model_.targets.starts = tree_.starts.data();
        for (std::size_t word = 0; word + 1 < tree_.starts.size(); ++word)
            model_.targets.most_turns =
                std::max(model_.targets.most_turns, tree_.starts[word + 1] - tree_.starts[word]);
    }

    void freeze(py::handle frozen) {
        frozen_.emplace(frozen, "frozen");
        if (frozen_->size < words_) throw py::value_error("frozen must have one element for each word");
        model_.input_rows.is_frozen = frozen_->data;
    }

    // Word w is the mean of inputs rows[starts[w]] … rows[starts[w + 1] - 1]; with CBOW, all of a window's
    // rows are alike.
    void compose(py::handle rows, py::handle starts) {
        rows_.emplace(rows, "rows");
        starts_.emplace(starts, "starts");
        const auto ascend = [&](i64 w) { return starts_->data[w] < starts_->data[w + 1]; };
        bool is_right = starts_->size > words_ && starts_->data[0] == 0;
        for (i64 w = 0; is_right && w + 1 < starts_->size; ++w) is_right = ascend(w);
        if (!is_right || starts_->data[starts_->size - 1] != rows_->size)
            throw py::value_error("starts must ascend from 0 to the number of rows, one for each word");
        for (i64 r = 0; r < rows_->size; ++r)
            if (rows_->data[r] < 0 || rows_->data[r] >= inputs_.rows.rows)
                throw py::value_error("rows has a number that is no row");
        model_.input_rows.rows = rows_->data;
        model_.input_rows.starts = starts_->data;
    }

    void begin(int window, bool means_inputs, i64 batch, i64 epochs, float learning_rate, float least_rate,
               u64 seed, i64 block, i64 learners, bool in_rounds) {
        if (model_.targets.noise == nullptr && model_.targets.nodes == nullptr)
            throw py::value_error("there is nothing to predict");
        model_.window = window;
        model_.means_inputs = means_inputs;
        model_.batch = batch;
        model_.input_rows.is_sum = means_inputs;
        const Schedule schedule{epochs, learning_rate, least_rate, seed, block, learners, in_rounds};
        trainer_.emplace(model_, Corpus{numbers_.data, numbers_.size, tokens_.data()}, schedule);
    }

    bool run(double seconds, int threads) {
        if (!trainer_) throw py::value_error("training has not begun");
        const NoGil no_gil;
        return trainer_->run(seconds, is_forked_child() ? 1 : threads);
    }
    i64 places() const { return trainer_ ? trainer_->places() : 0; }
    std::vector<std::pair<double, i64>> losses() const {
        std::vector<std::pair<double, i64>> told;
        if (!trainer_) return told;
        for (const Loss& loss : trainer_->losses()) told.emplace_back(loss.sum, loss.predictions);
        return told;
    }

  private:
    const Numbers<std::int32_t> numbers_;
    const Table inputs_;
    const Table outputs_;
    std::vector<Token> tokens_;
    i64 words_ = 0;  // rows that the corpus speaks of are below it
    std::optional<AliasTable> noise_;
    HuffmanTree tree_;
    std::optional<Numbers<bool>> frozen_;
    std::optional<Numbers<i64>> rows_;
    std::optional<Numbers<i64>> starts_;
    Model model_{};
    std::optional<Trainer> trainer_;
};

}  // namespace

void bind_word2vec(py::module_& module) {
    py::class_<TokenReader>(module, "TokenReader")
        .def(py::init<>())
        .def("feed", feed, py::arg("data"), py::arg("is_last"), py::arg("index"))
        .def_property_readonly("fault", fault_of);
    py::class_<BoundTrainer>(module, "Trainer")
        .def(py::init<py::handle, py::handle, py::handle, py::handle, py::handle>(), py::kw_only(),
             py::arg("numbers"), py::arg("words"), py::arg("kept"), py::arg("inputs"), py::arg("outputs"))
        .def("draw_negatives", &BoundTrainer::draw_negatives, py::arg("weights"), py::arg("negative"))
        .def("climb_tree", &BoundTrainer::climb_tree, py::arg("counts"))
        .def("freeze", &BoundTrainer::freeze, py::arg("frozen"))
        .def("compose", &BoundTrainer::compose, py::arg("rows"), py::arg("starts"))
        .def("begin", &BoundTrainer::begin, py::kw_only(), py::arg("window"), py::arg("means_inputs"),
             py::arg("batch"), py::arg("epochs"), py::arg("learning_rate"), py::arg("least_rate"),
             py::arg("seed"), py::arg("block"), py::arg("learners"), py::arg("in_rounds"))
        .def("run", &BoundTrainer::run, py::arg("seconds"), py::arg("threads"))
        .def_property_readonly("places", &BoundTrainer::places)
        .def_property_readonly("losses", &BoundTrainer::losses);
    module.def("add_counts", count, py::arg("numbers"), py::arg("counts"));
}

}  // namespace pyembed
