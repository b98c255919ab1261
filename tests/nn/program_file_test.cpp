#include <doctest/doctest.h>

#include <cstring>
#include <nlohmann/json.hpp>
#include <random>

#include "autodiff/autodiff.hpp"
#include "autodiff/graph/apply.hpp"
#include "autodiff/interop/safetensors.hpp"
#include "autodiff/operator.hpp"
#include "nn/nn.hpp"
#include "tests/nn/files.hpp"

using namespace wengert;
using files::Folder;
using Json = nlohmann::json;

namespace {

/// The bytes of the elements: equal bits, NaN and -0 included.
std::string bits(const Tensor& x) {
  const Tensor y = contiguous(stop_gradient(x));
  return {reinterpret_cast<const char*>(y.impl().data),
          static_cast<std::size_t>(y.size()) * item_size(y.dtype())};
}

void check_same(const Tensor& a, const Tensor& b) {
  CHECK(a.dtype() == b.dtype());
  CHECK(a.shape() == b.shape());
  CHECK(bits(a) == bits(b));
}

/// The checksum as docs/program-files.md defines it.
std::string checksum(const std::string& program, const NamedTensors& tensors) {
  std::uint64_t hash = 0xcbf29ce484222325;
  const auto mix = [&](std::uint64_t word) { hash = (hash ^ word) * 0x100000001b3; };
  const auto add = [&](const std::string& bytes) {
    for (std::size_t at = 0; at < bytes.size(); at += 8) {
      std::uint64_t word = 0;
      for (std::size_t i = 0; i < 8 && at + i < bytes.size(); ++i)
        word |= std::uint64_t{static_cast<unsigned char>(bytes[at + i])} << (8 * i);
      mix(word);
    }
    mix(bytes.size());
  };
  add(program);
  for (const NamedTensor& t : tensors) {  // they come sorted by name
    add(t.name);
    add(describe(t.tensor));
    add(bits(t.tensor));
  }
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(hash));
  return text;
}

/// Writes a file again with its program changed and the checksum put right.
template <class Change>
void rewrite(const std::string& from, const std::string& to, const Change& change) {
  Metadata metadata;
  NamedTensors tensors = load_safetensors(from, &metadata);
  std::string* program = nullptr;
  std::string* sum = nullptr;
  for (MetadataEntry& entry : metadata) {
    if (entry.key == "program") program = &entry.value;
    if (entry.key == "checksum") sum = &entry.value;
  }
  REQUIRE(program != nullptr);
  REQUIRE(sum != nullptr);
  Json json = Json::parse(*program);
  change(json, tensors, metadata);
  *program = json.dump();
  *sum = checksum(*program, tensors);
  save_safetensors(tensors, to, metadata);
}

struct Network {
  nn::Sequential net{nn::Linear(6, 16), nn::BatchNorm1d(16), nn::Tanh(), nn::Dropout(0.2), nn::Linear(16, 4)};
  nn::Adam adam{net.parameters(), {.learning_rate = 0.02}};
  Tensor operator()(const Tensor& x, const Tensor& y) {
    const Tensor loss = nn::cross_entropy(net(x), y);
    adam.step(gradients(loss, net.parameters()));
    return loss;
  }
};

}  // namespace

TEST_SUITE_BEGIN("programs in files");

TEST_CASE("every sample of every operator gives the same bits when its program was saved and loaded") {
  const Folder folder;
  const std::string path = folder / "operator.wengert";
  std::size_t samples = 0;
  for (const OperatorDefinition* op : operators()) {
    if (!op->samples) continue;
    const Samples list = op->samples();
    for (const bool low : {false, true}) {
      Tensors inputs;
      for (const Sample& sample : list.list())
        for (const Tensor& x : sample.inputs)
          inputs.push_back(low && x.dtype() == DType::float64 ? cast(x, DType::float32) : x);
      auto f = capture([&](const Tensors& in) {
        Tensors results;
        std::size_t next = 0;
        for (const Sample& sample : list.list()) {
          Tensors own;
          for (std::size_t i = 0; i < sample.inputs.size(); ++i) own.push_back(in[next++]);
          results.push_back(apply_op(*op, own, sample.attribute_data(), {}));
        }
        return results;
      });
      random::seed(3);
      const Tensors expected = f(inputs);
      save_program(f, path);
      random::seed(3);
      const Tensors got = load_program(path)(inputs);
      INFO(op->name);
      REQUIRE(got.size() == expected.size());
      for (std::size_t i = 0; i < got.size(); ++i) check_same(got[i], expected[i]);
      samples += got.size();
    }
  }
  CHECK(samples > 400);
}

TEST_CASE("training goes on with equal bits from a step that was saved in the middle") {
  const Folder folder;
  const std::string path = folder / "step.wengert";
  random::seed(8);
  Network network;
  auto step = capture([&](const Tensor& x, const Tensor& y) { return network(x, y); });
  const auto batch = [](int i) {
    random::seed(100 + static_cast<std::uint64_t>(i));
    const std::int64_t rows = i % 4 == 3 ? 5 : 20;  // two signatures
    return std::pair{random::normal({rows, 6}), random::integers(0, 4, {rows})};
  };
  for (int i = 0; i < 10; ++i) {
    const auto [x, y] = batch(i);
    step(x, y);
  }
  save_program(step, path, {network.net.named_states(), network.adam.named_states()});
  const random::State drawn = random::state();
  std::vector<std::string> losses;
  for (int i = 10; i < 20; ++i) {
    const auto [x, y] = batch(i);
    losses.push_back(bits(step(x, y)));
  }
  NamedStates expected = network.net.named_states();
  for (const NamedState& s : network.adam.named_states()) expected.push_back(s);

  const LoadedProgram loaded = load_program(path);
  random::seed(77);
  Network other;  // another start; its slots take the place of the file's
  const LoadedProgram bound = load_program(path, {other.net.named_states(), other.adam.named_states()});
  for (const LoadedProgram* program : {&loaded, &bound}) {
    random::set_state(drawn);
    for (int i = 10; i < 20; ++i) {
      const auto [x, y] = batch(i);
      CHECK(bits((*program)(x, y)[0]) == losses[static_cast<std::size_t>(i - 10)]);
    }
    std::size_t found = 0;
    for (const NamedState& s : program->states())
      for (const NamedState& e : expected)
        if (e.name == s.name) {
          check_same(s.state.value(), e.state.value());
          ++found;
        }
    CHECK(found == program->states().size());
    CHECK(found >= 4 + 2 + 2 * 6 + 2);
  }
  CHECK(bound.state("0.weight") == other.net.named_states()[0].state);
  CHECK(other.net.parameters()[0].value().requires_grad());
  check_same(other.net.parameters()[3].value(), network.net.parameters()[3].value());
  CHECK_THROWS_WITH_AS(loaded.state("7.weight"), doctest::Contains("no state 7.weight among 0.weight"),
                       ValueError);
  CHECK_THROWS_WITH_AS(loaded(ones({2, 6}), zeros({2}, DType::int64)),
                       doctest::Contains("called with (float32[2, 6], int64[2])"), ValueError);
  // Saved again it is the same program.
  save_program(loaded, folder / "again.wengert");
  const auto [x, y] = batch(3);
  random::set_state(drawn);
  const Tensor loss = loaded(x, y)[0];
  random::set_state(drawn);
  check_same(load_program(folder / "again.wengert")(x, y)[0], loss);
}

TEST_CASE("a loaded program has no history, nests in captured functions, and checks finite values") {
  const Folder folder;
  const std::string path = folder / "f.wengert";
  State count(zeros({}));
  const nn::Parameter w(ones({3}));
  auto f = capture([&](const Tensor& x) {
    count.set(count.value() + 1.0);
    return log(x * w.value()) * count.value();
  });
  const Tensor x = tensor({1.0, 2.0, 3.0});
  f(x);
  CHECK(f(x).requires_grad());
  save_program(f, path, {{{"count", count}, {"w", w.state()}}});
  const LoadedProgram g = load_program(path);
  const Tensor expected = f(x);
  check_same(g(x)[0], expected);
  CHECK_THROWS_WITH_AS(gradients(sum(g(x)[0]), {x}), doctest::Contains("inside of the function"), GraphError);
  const Tensor v = variable(x);
  CHECK_THROWS_WITH_AS(gradients(sum(g(v)[0]), {v}), doctest::Contains("inside of the function"), GraphError);
  CHECK(g.state("count").value().item<float>() == 5);

  auto outer = capture([&](const Tensor& y) { return g(y)[0] + 1.0; });
  for (int i = 0; i < 2; ++i) {
    g.state("count").set(tensor(2.0));
    check_same(outer(x), expected + 1.0);
    CHECK(g.state("count").value().item<float>() == 3);
  }
  CheckFinite scope;
  CHECK_THROWS_WITH_AS(g(zeros({3})), doctest::Contains("log: finite inputs gave"), ValueError);
  CHECK_THROWS_WITH_AS(g(zeros({3})), doctest::Contains("(program_file_test.cpp:"), ValueError);
  CHECK(g.state("count").value().item<float>() == 3);
  CHECK(g(x)[0].requires_grad());
  CHECK(g.state("count").value().item<float>() == 4);
}

TEST_CASE("operators of one's own are found by name; unknown ones are refused") {
  const Folder folder;
  const std::string path = folder / "own.wengert";
  const Operator twice = elementwise({.name = "file_test_twice",
                                      .forward = [](auto x) { return x + x; },
                                      .derivative = [](auto, auto) { return 2.0; },
                                      .samples = [] { return Samples{ones({2})}; }});
  auto f = capture([&](const Tensor& x) { return twice(x); });
  f(ones({3}));
  save_program(f, path);
  CHECK(load_program(path)(ones({3}))[0].to_vector<float>() == std::vector<float>(3, 2));
  rewrite(path, path,
          [](Json& json, auto&, auto&) { json["programs"][0]["instructions"][0]["op"] = "thrice"; });
  CHECK_THROWS_WITH_AS(load_program(path),
                       doctest::Contains("own.wengert: instruction 0: there is no operator thrice"),
                       FileError);
}

TEST_CASE("damaged files are refused and change nothing") {
  const Folder folder;
  const std::string path = folder / "step.wengert", other = folder / "damaged.wengert";
  random::seed(5);
  Network network;
  auto step = capture([&](const Tensor& x, const Tensor& y) { return network(x, y); });
  const Tensor x = random::normal({4, 6}), y = random::integers(0, 4, {4});
  step(x, y);
  save_program(step, path, {network.net.named_states(), network.adam.named_states()});
  const std::string whole = files::read(path);
  const Tensor weight = network.net.parameters()[0].value();
  const std::string nothing = bits(zeros(weight.shape()));
  const State own(zeros(weight.shape()));
  std::mt19937_64 random(2024);
  int refused = 0;
  for (int i = 0; i < 400; ++i) {
    const files::Bytes bytes = files::damaged(whole, random);
    folder.write("damaged.wengert", bytes);
    try {
      load_program(other, {{{"0.weight", own}}});
      // Damage that says nothing: the same byte again, or a space.
      CHECK(bits(own.value()) == bits(weight));
      own.set(zeros(weight.shape()));
    } catch (const FileError& e) {
      CHECK(std::string(e.what()).find("damaged.wengert") != std::string::npos);
      CHECK(bits(own.value()) == nothing);
      ++refused;
    }
  }
  CHECK(refused > 380);
  for (std::size_t length = 0; length < whole.size(); length += whole.size() / 50) {
    folder.write("damaged.wengert", whole.substr(0, length));
    CHECK_THROWS_AS(load_program(other), FileError);
  }
}

TEST_CASE("programs that break a rule are refused with what is wrong") {
  const Folder folder;
  const std::string path = folder / "f.wengert", bad = folder / "bad.wengert";
  State s(ones({3}));
  auto f = capture([&](const Tensor& x) {
    s.set(s.value() * 0.5);
    return sum(x * s.value() + tensor({1.0, 2.0, 3.0}), 0, true);
  });
  f(ones({3}));
  save_program(f, path, {{{"s", s}}});
  const auto refuses = [&](const char* text, auto&& change) {
    rewrite(path, bad, change);
    CHECK_THROWS_WITH_AS(load_program(bad, {{{"s", s}}}), doctest::Contains(text), FileError);
    CHECK(s.value().to_vector<float>() == std::vector<float>(3, 0.5));
  };
  const auto program = [](auto&& change) {
    return [change](Json& json, NamedTensors&, Metadata&) { change(json["programs"][0]); };
  };
  const auto instruction = [&](auto&& change) {
    return program([change](Json& p) {
      for (Json& i : p["instructions"])
        if (i["op"] == "sum") change(i);
    });
  };
  refuses("has version 2", [](Json&, auto&, Metadata& metadata) {
    for (MetadataEntry& e : metadata)
      if (e.key == "version") e.value = std::string("2");
  });
  refuses("is not a saved program", [](Json&, auto&, Metadata& metadata) {
    for (MetadataEntry& e : metadata)
      if (e.key == "format") e.value = std::string("other");
  });
  refuses("does not take 2 inputs", instruction([](Json& i) { i["in"].push_back(0); }));
  refuses("value 100 is not there", instruction([](Json& i) { i["in"][0] = 100; }));
  refuses("value -1 is not there", instruction([](Json& i) { i["in"][0] = -1; }));
  refuses("attribute axes is missing", instruction([](Json& i) { i["attributes"].erase("axes"); }));
  refuses("attribute keepdims must be true or false",
          instruction([](Json& i) { i["attributes"]["keepdims"] = 1; }));
  refuses("has an axis 9", instruction([](Json& i) { i["attributes"]["axes"] = {9}; }));
  refuses("attributes that the operator does not have",
          instruction([](Json& i) { i["attributes"]["more"] = 1; }));
  refuses("needs attributes", instruction([](Json& i) { i.erase("attributes"); }));
  refuses("its shape rule gives", instruction([](Json& i) { i["attributes"]["keepdims"] = false; }));
  refuses("type 70 is not there", instruction([](Json& i) { i["type"] = 70; }));
  refuses("a state changes its type", program([](Json& p) { p["states"][0][1] = p["outputs"][0]; }));
  refuses("is used twice", program([](Json& p) { p["states"].push_back(p["states"][0]); }));
  refuses("has another length", program([](Json& p) { p["differentiable"].push_back(true); }));
  refuses("\"outputs\" must be a list", program([](Json& p) { p["outputs"] = 3; }));
  refuses("is not as the format says", program([](Json& p) { p.erase("outputs"); }));
  refuses("there is no tensor \"constants/0\"",
          [](Json&, NamedTensors& tensors, auto&) { tensors.erase(tensors.begin()); });
  refuses("the state s is float32[2]", [](Json&, NamedTensors& tensors, auto&) {
    for (NamedTensor& t : tensors)
      if (t.name == "states/s") t.tensor = ones({2});
  });
  refuses("are impossible", [](Json& json, auto&, auto&) {
    json["types"].push_back({"float32", {std::int64_t{1} << 62, 8}});
  });
  refuses("there is no program in it", [](Json& json, auto&, auto&) { json["programs"] = Json::array(); });
  rewrite(path, bad, [](auto&&...) {});
  load_program(bad, {{{"s", s}}});
}

TEST_CASE("a program with any number or name changed is refused or loaded, never more") {
  const Folder folder;
  const std::string path = folder / "all.wengert", bad = folder / "changed.wengert";
  std::mt19937_64 random(99);
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
  // Every operator of the table in one program.
  auto f = capture(
      [&](const Tensors&) {
        Tensors results;
        for (const OperatorDefinition* op : operators()) {
          if (!op->samples) continue;
          const Samples samples = op->samples();
          const Sample& sample = samples.list().front();
          results.push_back(apply_op(*op, sample.inputs, sample.attribute_data(), {}));
        }
        return results;
      },
      {.fold_constants = false});
  f(Tensors{});
  save_program(f, path);
  const std::int64_t extremes[] = {-1, 0, 1, 2, 3, 8, 9, 64, 1 << 20, INT64_MAX, INT64_MIN};
  int refused = 0, loaded = 0;
  for (int i = 0; i < 300; ++i) {
    rewrite(path, bad, [&](Json& json, auto&, auto&) {
      // A walk down to some leaf of an instruction, a type, or a list of the program.
      Json* at = below(4) == 0   ? &json["types"]
                 : below(4) == 0 ? &json["programs"][0]
                                 : &json["programs"][0]["instructions"];
      while (at->is_structured() && !at->empty()) {
        auto next = at->begin();
        std::advance(next, static_cast<std::ptrdiff_t>(below(at->size())));
        at = &*next;
      }
      if (at->is_number())
        *at = below(2) == 0 ? extremes[below(std::size(extremes))] : static_cast<std::int64_t>(below(200));
      else if (at->is_boolean())
        *at = !at->get<bool>();
      else if (at->is_string())
        *at = operators()[below(operators().size())]->name;
      else
        *at = extremes[below(std::size(extremes))];
    });
    try {
      load_program(bad);
      ++loaded;
    } catch (const FileError&) {
      ++refused;
    }
  }
  CHECK(refused > 90);
  CHECK(loaded > 5);
}

TEST_CASE("a file is replaced by a whole one or not at all") {
  const Folder folder;
  const std::string path = folder / "f.wengert";
  State a(ones({2})), b(ones({2}));
  auto f = capture([&](const Tensor& x) { return x * a.value() + b.value(); });
  CHECK_THROWS_WITH_AS(save_program(f, path), doctest::Contains("nothing has been captured yet"), GraphError);
  f(ones({2}));
  save_program(f, path);
  const std::string before = files::read(path);
  CHECK_THROWS_WITH_AS(save_program(f, path, {{{"a", a}, {"a", b}}}),
                       doctest::Contains("two states have the name 'a'"), ValueError);
  CHECK_THROWS_AS(save_program(f, path, {{{"\xff", a}}}), ValueError);
  CHECK_THROWS_AS(save_program(f, folder / "absent/f.wengert"), FileError);
  CHECK(files::read(path) == before);
  CHECK(load_program(path).states()[1].name == "state.1");
  CHECK_THROWS_WITH_AS(load_program(path, {{{"state.0", State(ones({3}))}}}),
                       doctest::Contains("the one to take its place"), FileError);
  CHECK_THROWS_WITH_AS(load_program(path, {{{"state.0", a}, {"state.1", a}}}),
                       doctest::Contains("bound to one state"), FileError);
  std::size_t entries = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder.path)) ++entries;
  CHECK(entries == 1);
}

TEST_SUITE_END();
