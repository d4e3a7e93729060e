#include "words/batch.h"

#include <algorithm>

#include "base/kernel.h"

namespace pyembed {
namespace {

// Windows draw their negatives from words that are drawn for the whole batch, one for so many negatives: each
// is read and written once for all of them.
constexpr i64 negatives_of_a_draw = 4;

}  // namespace

void Copies::clear() {
    map_.clear();
    rows_.clear();
    starts_.assign(1, 0);
    factors_.clear();
    shares_.clear();
    sizes_.clear();
}

void Copies::add_slot(int word, const InputRows& rows) {
    float size = 1.0f;
    if (rows.rows == nullptr) {
        rows_.push_back(word);
    } else {
        const i64* const begin = rows.rows + rows.starts[word];
        const i64* const end = rows.rows + rows.starts[word + 1];
        rows_.insert(rows_.end(), begin, end);
        size = static_cast<float>(end - begin);
    }
    starts_.push_back(static_cast<i64>(rows_.size()));
    factors_.push_back(rows.is_sum ? 1.0f : 1.0f / size);
    shares_.push_back(rows.is_sum ? 1.0f / size : 1.0f);
    sizes_.push_back(rows.is_sum ? size : 1.0f);
}

void Copies::read(Rows<const float> table, const InputRows& rows) {
    for (const int word : map_.words()) add_slot(word, rows);
    const i64 count = map_.size();
    const i64 dim = padded(table.dim);
    if (count > room_) {
        room_ = count + count / 4;
        memory_ = Buffer::of<float>(2 * room_ * dim);
    }
    const Rows<float> before{memory_.as<float>(), count, dim, dim};
    const Rows<float> now{before.data + room_ * dim, count, dim, dim};
    slots_ = {count,          rows_.data(), starts_.data(), factors_.data(),
              shares_.data(), uses_.data(), before,         now};
    kernel<ReadSlots>()(table, slots_);
}

void Copies::add_changes(Rows<float> table, const Round& round, u32 part, u32 parts) const {
    kernel<AddChanges>()(table, slots_, round, part, parts);
}

WindowRoom::WindowRoom(i64 most_inputs, i64 most_outputs, i64 dim)
    : margins_(size(most_inputs * most_outputs + lanes_of_copies)),
      slopes_(margins_.size()),
      copies_(size(std::max<i64>(most_inputs, 2) * dim)),
      inputs_(size(most_inputs)),
      trained_(size(most_inputs)),
      outputs_(size(most_outputs)) {}

WindowScratch WindowRoom::scratch() {
    return {margins_.data(), slopes_.data(),  copies_.data(),
            inputs_.data(),  trained_.data(), outputs_.data()};
}

Batch::Batch(const Model& model)
    : model_(model),
      room_(2 * static_cast<i64>(model.window), model.targets.most(), padded(model.inputs.dim)) {}

i64 Batch::take(const Block& block, i64 first, i64 last, u64 key) {
    inputs_.clear();
    outputs_.clear();
    windows_.clear();
    input_slots_.clear();
    output_slots_.clear();
    weights_.clear();
    RandomSequence random(key);
    if (model_.targets.noise != nullptr) draw_pool(std::min(model_.batch, last - first), random);
    slots_of_places_.assign(block.words().size(), no_word);
    i64 centre = first;
    for (; centre < last && static_cast<i64>(windows_.size()) < model_.batch; ++centre)
        if (block.words()[static_cast<std::size_t>(centre)] != no_word) add_window(block, centre, random);
    return centre;
}

void Batch::draw_pool(i64 windows, RandomSequence& random) {
    const Targets& targets = model_.targets;
    const i64 draws = std::max(windows / negatives_of_a_draw, negatives_of_a_draw) * targets.negative;
    pool_.resize(static_cast<std::size_t>(draws));
    for (int& slot : pool_) slot = outputs_.map().slot_of(targets.noise->draw(random.next()));
}

void Batch::add_window(const Block& block, i64 centre, RandomSequence& random) {
    Window window{};
    window.first_input = static_cast<i64>(input_slots_.size());
    window.first_output = static_cast<i64>(output_slots_.size());
    if (!add_inputs(block, centre, window)) return;
    add_outputs(block.words()[static_cast<std::size_t>(centre)], window, random);
    if (window.outputs > 0) windows_.push_back(window);
}

bool Batch::add_inputs(const Block& block, i64 centre, Window& window) {
    const std::vector<int>& words = block.words();
    const bool* const is_frozen = model_.input_rows.is_frozen;
    const auto add = [&](i64 place) {
        const auto at = static_cast<std::size_t>(place);
        int& slot = slots_of_places_[at];
        if (slot == no_word) slot = inputs_.map().slot_of(words[at]);
        const auto begin = input_slots_.begin() + window.first_input;
        if (std::find(begin, input_slots_.end(), slot) != input_slots_.end()) window.repeats_inputs = true;
        const bool is_trained = is_frozen == nullptr || !is_frozen[words[at]];
        input_slots_.insert(is_trained ? begin + window.trained_inputs : input_slots_.end(), slot);
        window.trained_inputs += is_trained;
        ++window.inputs;
    };
    const int reach = block.reach(centre);
    const auto size = static_cast<i64>(words.size());
    const auto word_at = [&](i64 place) { return words[static_cast<std::size_t>(place)]; };
    i64 left = centre;
    while (left > 0 && centre - left < reach && word_at(left - 1) != no_word) --left;
    for (i64 place = left; place < centre; ++place) add(place);
    for (i64 place = centre + 1; place < size && place - centre <= reach && word_at(place) != no_word;
         ++place)
        add(place);
    return window.inputs > 0;
}

void Batch::add_outputs(int word, Window& window, RandomSequence& random) {
    const Targets& targets = model_.targets;
    const auto add = [&](int slot, float weight) {
        output_slots_.push_back(slot);
        weights_.push_back(weight);
    };
    if (targets.nodes != nullptr) {
        for (i64 turn = targets.starts[word]; turn < targets.starts[word + 1]; ++turn)
            add(outputs_.map().slot_of(targets.nodes[turn]), targets.turns[turn]);
    } else {
        const int centre = outputs_.map().slot_of(word);
        add(centre, 1.0f);
        add_negatives(centre, window.first_output, random);
    }
    window.outputs = static_cast<int>(static_cast<i64>(output_slots_.size()) - window.first_output);
}

// A word that is drawn twice counts twice; the centre itself is no negative.
void Batch::add_negatives(int centre, i64 first, RandomSequence& random) {
    for (int n = 0; n < model_.targets.negative; ++n) {
        const u32 draw = scaled(static_cast<u32>(random.next() >> 32), static_cast<u32>(pool_.size()));
        const int slot = pool_[draw];
        if (slot == centre) continue;
        const auto found = std::find(output_slots_.begin() + first, output_slots_.end(), slot);
        if (found != output_slots_.end()) {
            weights_[static_cast<std::size_t>(found - output_slots_.begin())] -= 1.0f;
        } else {
            output_slots_.push_back(slot);
            weights_.push_back(-1.0f);
        }
    }
}

void Batch::count_uses() {
    inputs_.use_none();
    outputs_.use_none();
    for (const Window& window : windows_) {
        const int* const inputs = input_slots_.data() + window.first_input;
        const int* const outputs = output_slots_.data() + window.first_output;
        const int compared = model_.means_inputs ? 1 : window.inputs;
        for (int i = 0; i < window.inputs; ++i) inputs_.use(inputs[i], window.outputs);
        for (int o = 0; o < window.outputs; ++o) outputs_.use(outputs[o], compared);
    }
}

void Batch::read() {
    count_uses();
    inputs_.read(read_only(model_.inputs), model_.input_rows);
    outputs_.read(read_only(model_.outputs), InputRows());
}

void Batch::learn(float learning_rate, Loss& loss) {
    const Windows windows{static_cast<i64>(windows_.size()),
                          windows_.data(),
                          input_slots_.data(),
                          output_slots_.data(),
                          weights_.data(),
                          inputs_.sizes(),
                          learning_rate};
    const auto learn = model_.means_inputs ? kernel<LearnMeanInput>() : kernel<LearnEachInput>();
    learn(windows, inputs_.now(), outputs_.now(), room_.scratch(), loss);
}

void Batch::add_changes(const Round& of_inputs, const Round& of_outputs, u32 part, u32 parts) const {
    inputs_.add_changes(model_.inputs, of_inputs, part, parts);
    outputs_.add_changes(model_.outputs, of_outputs, part, parts);
}

}  // namespace pyembed
