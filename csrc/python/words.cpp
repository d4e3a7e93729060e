// Readers and writers of word vectors, and words of texts.
#include <limits>

#include "element/element.h"
#include "python/bind.h"
#include "python/locked.h"
#include "python/texts.h"
#include "words/reader.h"
#include "words/subwords.h"
#include "words/utf8.h"
#include "words/writer.h"

namespace pyembed {
namespace {

Faults faults_argument(const std::string& name) {
    for (std::size_t i = 0; i < std::size(faults_names); ++i)
        if (name == faults_names[i]) return static_cast<Faults>(i);
    throw py::value_error("errors='" + name + "' is none of 'strict', 'replace', 'skip'");
}

py::str shown(const std::vector<char>& text) {
    return py::reinterpret_steal<py::str>(
        PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "replace"));
}

// A reader of one dtype, and the words that it keeps alone.
template <class T>
class BoundReader {
  public:
    BoundReader(std::unique_ptr<Reader<T>> reader, std::shared_ptr<Strings> keep)
        : reader_(std::move(reader)), keep_(std::move(keep)) {}

    i64 feed(const py::buffer& buffer, bool is_last) {
        const py::buffer_info info = buffer.request();
        const auto* const data = static_cast<const char*>(info.ptr);
        const auto work = [&] { return reader_->feed(data, info.size * info.itemsize, is_last); };
        if (keep_) return keep_->reading([&](const TextIndex&) { return work(); });
        const NoGil no_gil;
        return work();
    }

    bool is_done() const { return reader_->is_done(); }
    i64 count() const { return reader_->rows().count(); }
    i64 entries() const { return reader_->entries(); }
    i64 fault_count() const { return reader_->fault_count(); }

    // (line, column, what is wrong, what stands there) of the first ones
    py::list faults() const {
        py::list told;
        for (const Fault& fault : reader_->faults())
            told.append(py::make_tuple(fault.line, fault.column, fault.what, shown(fault.text)));
        return told;
    }

    void drop_repeated(py::handle rows) {
        const IdsArgument first_rows = ids_argument(rows, "rows");
        if (first_rows.ids.type != IdType::int64 || first_rows.ids.count != count())
            throw py::value_error("rows must be int64, one for each word");
        const NoGil no_gil;
        reader_->drop_repeated(static_cast<const i64*>(first_rows.ids.data));
    }

    // bytes, starts: once, for they leave the reader
    py::tuple take_words() {
        ReadWords words = std::exchange(reader_->words(), ReadWords());
        return py::make_tuple(bytes_array(std::move(words.bytes)), array_of(std::move(words.starts)));
    }
    // Rows of the words in an index, which gets them all.
    py::array_t<i64> insert_into(Strings& keys) const {
        const Texts texts = reader_->words().texts();
        py::array_t<i64> rows(texts.count);
        i64* const out = rows.mutable_data();
        keys.writing([&](TextIndex& index) { index.insert(texts, out); });
        return rows;
    }

    py::array matrix(i64 dim) const {
        const Shape shape{count(), dim};
        if (count() == 0) return py::array_t<T>(shape);
        auto kept = std::make_unique<std::shared_ptr<Reader<T>>>(reader_);
        const py::capsule owner(kept.get(),
                                [](void* held) { delete static_cast<std::shared_ptr<Reader<T>>*>(held); });
        (void)kept.release();
        return py::array_t<T>(shape, reinterpret_cast<const T*>(reader_->rows().data()), owner);
    }

  private:
    std::shared_ptr<Reader<T>> reader_;
    std::shared_ptr<Strings> keep_;
};

// first: the number of the first line of a text, or the offset of the first row of a binary file
template <class T>
std::unique_ptr<BoundReader<T>> make_reader(bool is_text, i64 dim, i64 first, std::optional<i64> limit,
                                            const std::string& errors, std::shared_ptr<Strings> keep,
                                            i64 file_bytes) {
    constexpr i64 most = std::numeric_limits<std::int32_t>::max();
    if (dim < 1 || dim > most) throw py::value_error("dim=" + std::to_string(dim) + " is no length of a row");
    const ReadingOptions options{dim, limit.value_or(std::numeric_limits<i64>::max()),
                                 faults_argument(errors), keep ? &keep->index : nullptr, file_bytes};
    std::unique_ptr<Reader<T>> reader;
    if (is_text)
        reader = std::make_unique<TextReader<T>>(options, first);
    else
        reader = std::make_unique<BinaryReader<T>>(options, first);
    return std::make_unique<BoundReader<T>>(std::move(reader), std::move(keep));
}

template <class T>
void bind_reader(py::module_& module, const char* name) {
    using Bound = BoundReader<T>;
    py::class_<Bound>(module, name)
        .def(py::init(&make_reader<T>), py::kw_only(), py::arg("is_text"), py::arg("dim"), py::arg("first"),
             py::arg("limit"), py::arg("errors"), py::arg("keep"), py::arg("file_bytes"))
        .def("feed", &Bound::feed, py::arg("data"), py::arg("is_last"))
        .def_property_readonly("is_done", &Bound::is_done)
        .def_property_readonly("entries", &Bound::entries)
        .def_property_readonly("fault_count", &Bound::fault_count)
        .def("__len__", &Bound::count)
        .def("faults", &Bound::faults)
        .def("drop_repeated", &Bound::drop_repeated, py::arg("rows"))
        .def("insert_into", &Bound::insert_into, py::arg("index"))
        .def("take_words", &Bound::take_words)
        .def("matrix", &Bound::matrix, py::arg("dim"));
}

// bytes, starts, offsets (texts,): the words of each text, and where its first is
py::tuple split(py::handle object) {
    const TextsArgument argument = texts_argument(object, "texts");
    const Texts texts = argument.texts();
    ByteList bytes;
    std::vector<i64> starts = {0};
    std::vector<i64> offsets;
    {
        const NoGil no_gil;
        offsets.reserve(static_cast<std::size_t>(texts.count));
        for (i64 t = 0; t < texts.count; ++t) {
            offsets.push_back(static_cast<i64>(starts.size()) - 1);
            split_words(texts.begin(t), texts.begin(t) + texts.length(t), bytes, starts);
        }
    }
    return py::make_tuple(bytes_array(bytes.take()), array_of(std::move(starts)),
                          array_of(std::move(offsets)));
}

// buckets, offsets (words,): the n-grams of each word, and where its first is
py::tuple ngrams(py::handle bytes, py::handle starts, i64 shortest, i64 longest, i64 buckets) {
    const BytesArgument words = bytes_argument(bytes, starts);
    std::vector<i64> found;
    std::vector<i64> ends = {0};
    {
        const NoGil no_gil;
        append_ngrams(words.texts(), {shortest, longest, buckets}, found, ends);
    }
    return py::make_tuple(array_of(std::move(found)), array_of(std::move(ends)));
}

// bytes, starts, counts, is_label of the entries that are whole, and the bytes that these take
py::tuple dictionary(const py::buffer& buffer, i64 count) {
    const py::buffer_info info = buffer.request();
    ReadWords words;
    std::vector<i64> counts;
    std::vector<bool> labels;
    i64 length;
    {
        const NoGil no_gil;
        length = read_dictionary(static_cast<const char*>(info.ptr), info.size * info.itemsize, count, words,
                                 counts, labels);
    }
    py::array_t<bool> is_label(static_cast<py::ssize_t>(labels.size()));
    std::copy(labels.begin(), labels.end(), is_label.mutable_data());
    return py::make_tuple(bytes_array(std::move(words.bytes)), array_of(std::move(words.starts)),
                          array_of(std::move(counts)), is_label, length);
}

// The lines of rows of a matrix, whose words are texts.
py::bytes lines(py::handle bytes, py::handle starts, py::handle matrix) {
    const BytesArgument words = bytes_argument(bytes, starts);
    const AnyRows rows = matrix_argument(matrix, "matrix", false);
    return std::visit(
        [&](auto view) {
            if (view.rows != words.texts().count)
                throw py::value_error("matrix must have a row for each word");
            std::vector<char> made;
            {
                const NoGil no_gil;
                made = lines_of_rows(words.texts(), read_only(view));
            }
            return py::bytes(made.data(), made.size());
        },
        rows);
}

// Where the first byte stands that is no part of valid UTF-8, or -1.
i64 first_invalid(py::handle bytes, py::handle starts) {
    const BytesArgument words = bytes_argument(bytes, starts);
    const Texts texts = words.texts();
    const NoGil no_gil;
    for (i64 t = 0; t < texts.count; ++t) {
        const char* const end = texts.begin(t) + texts.length(t);
        if (first_invalid_utf8(texts.begin(t), end) != end) return t;
    }
    return -1;
}

py::list strings(py::handle bytes, py::handle starts) {
    return list_of(bytes_argument(bytes, starts).texts());
}

py::tuple utf8(py::handle words) {
    TextsArgument texts = texts_argument(words, "words");
    return py::make_tuple(bytes_array(std::move(texts.bytes)), array_of(std::move(texts.starts)));
}

}  // namespace

void bind_words(py::module_& module) {
    bind_reader<float>(module, "Reader_float32");
    bind_reader<double>(module, "Reader_float64");
    module.def("split_texts", split, py::arg("texts"));
    module.def("ngrams", ngrams, py::arg("bytes"), py::arg("starts"), py::arg("shortest"), py::arg("longest"),
               py::arg("buckets"));
    module.def("read_dictionary", dictionary, py::arg("data"), py::arg("count"));
    module.def("lines_of_rows", lines, py::arg("bytes"), py::arg("starts"), py::arg("matrix"));
    module.def("first_invalid", first_invalid, py::arg("bytes"), py::arg("starts"));
    module.def("strings", strings, py::arg("bytes"), py::arg("starts"));
    module.def("utf8", utf8, py::arg("words"));
}

}  // namespace pyembed
