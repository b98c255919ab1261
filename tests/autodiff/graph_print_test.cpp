#include <doctest/doctest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "autodiff/autodiff.hpp"
#include "autodiff/graph/operator.hpp"

using namespace wengert;
namespace fs = std::filesystem;

namespace {

// The expected text has LINE+n where a line of this file stands, n counted from `base`.
std::string with_lines(std::string text, unsigned base) {
  for (std::size_t at; (at = text.find("LINE+")) != std::string::npos;) {
    const std::size_t end = text.find_first_not_of("0123456789", at + 5);
    text.replace(at, end - at, std::to_string(base + static_cast<unsigned>(std::stoi(text.substr(at + 5)))));
  }
  return text;
}

}  // namespace

TEST_CASE("a graph is listed with inputs first, constants, attributes and the user's lines") {
  const unsigned base = __LINE__;
  const Tensor x = variable(zeros({2, 3}));
  const Tensor b = ones({3});
  const Tensor y = tanh(x * 2.0 + b);
  const Tensor loss = mean(square(y), {0, 1});
  std::ostringstream out;
  out << graph(loss);
  CHECK(out.str() == with_lines("%0 = variable : float32[2, 3] (graph_print_test.cpp:LINE+1)\n"
                                "%1 = constant 2.0 : float32[]\n"
                                "%2 = multiply(%0, %1) : float32[2, 3] (graph_print_test.cpp:LINE+3)\n"
                                "%3 = constant : float32[3]\n"
                                "%4 = add(%2, %3) : float32[2, 3] (graph_print_test.cpp:LINE+3)\n"
                                "%5 = tanh(%4) : float32[2, 3] (graph_print_test.cpp:LINE+3)\n"
                                "%6 = square(%5) : float32[2, 3] (graph_print_test.cpp:LINE+4)\n"
                                "%7 = mean(%6, axes=[0, 1], keepdims=false) : float32[] "
                                "(graph_print_test.cpp:LINE+4)\n"
                                "return %7\n",
                                base));
}

TEST_CASE("several results share one list, and a tensor that is used twice stands in it once") {
  const Tensor x = variable(zeros({2}));
  const Tensor y = x * x;
  const Tensor z = y - x;
  const Graph both = graph({z, y});
  CHECK(both.size() == 3);
  CHECK(std::ranges::equal(both.inputs(1), std::vector<std::uint32_t>{0, 0}));
  CHECK(std::ranges::equal(both.inputs(2), std::vector<std::uint32_t>{1, 0}));
  CHECK(std::ranges::equal(both.results(), std::vector<std::uint32_t>{2, 1}));
  CHECK(both[1].op == find_operator("multiply"));
  CHECK(both[1].shape == Shape{2});
  CHECK(both[0].variable);
  const std::string text = to_string(both);
  CHECK(text.substr(text.find("return")) == "return %2, %1\n");
}

TEST_CASE("a leaf alone, and what was not recorded, is a graph of one node") {
  const Tensor x = variable(zeros({2}));
  CHECK(to_string(graph(tensor({1.0, 2.0}))) == "%0 = constant : float32[2]\nreturn %0\n");
  CHECK(to_string(graph(full({}, true))) == "%0 = constant True : bool[]\nreturn %0\n");
  CHECK(to_string(graph(no_grad([&] { return exp(x); }))) == "%0 = constant : float32[2]\nreturn %0\n");
  CHECK(to_string(graph(Tensors{})) == "return\n");
  CHECK_THROWS_AS(graph(Tensor()), GraphError);
}

TEST_CASE("printing a graph changes nothing: values freed early stay freed, gradients are the same") {
  const Tensor x = variable(tensor({0.5, -1.0}));
  Tensor loss = sum(exp(x * 3.0) + x);
  const std::string before = to_string(graph(loss));
  const auto g = gradients(loss, {x});
  CHECK(to_string(graph(loss)) == before);
  CHECK(gradients(loss, {x})[0].to_vector<float>() == g[0].to_vector<float>());
  const Graph kept = graph(loss);
  loss = Tensor();
  CHECK(to_string(kept) == before);
}

TEST_CASE("a chain of a million nodes is listed on an ordinary stack") {
  constexpr std::size_t n = 1000000;
  Tensor x = variable(zeros({}));
  for (std::size_t i = 0; i < n; ++i) x = -x;
  const Graph chain = graph(x);
  CHECK(chain.size() == n + 1);
  CHECK(chain.inputs(n)[0] == n - 1);
  const std::string text = to_string(chain);
  CHECK(std::count(text.begin(), text.end(), '\n') == static_cast<std::ptrdiff_t>(n + 2));
  CHECK(text.ends_with("return %1000000\n"));
}

TEST_CASE("threads list the same graph at once") {
  const Tensor x = variable(zeros({4}));
  Tensor y = x;
  for (int i = 0; i < 200; ++i) y = y * 1.5 + x;
  const std::string expected = to_string(graph(y));
  std::string texts[4];
  std::vector<std::thread> team;
  for (std::string& text : texts) team.emplace_back([&text, y] { text = to_string(graph(y)); });
  for (std::thread& t : team) t.join();
  for (const std::string& text : texts) CHECK(text == expected);
}

TEST_CASE("a graph built by hand has to name inputs that stand in front") {
  Graph g;
  const std::uint32_t leaf = g.add({.variable = true, .shape = {2}}, {});
  const std::uint32_t inputs[] = {leaf, leaf};
  g.add_result(g.add({.op = find_operator("add"), .shape = {2}}, inputs));
  CHECK(to_string(g) == "%0 = variable : float32[2]\n%1 = add(%0, %0) : float32[2]\nreturn %1\n");
  const std::uint32_t later[] = {2};
  CHECK_THROWS_WITH_AS(g.add({}, later), doctest::Contains("input %2 of a node is not in front of it"),
                       GraphError);
}

TEST_CASE("the drawing names every node and every argument, and Graphviz accepts it") {
  const unsigned base = __LINE__;
  const Tensor x = variable(zeros({2}));
  const Tensor loss = sum(x - 1.0, 0);
  const std::string dot = graph(loss).dot();
  CHECK(dot ==
        with_lines(
            "digraph {\n"
            "  node [shape=box, style=\"rounded,filled\", fillcolor=white, fontname=\"Helvetica\", "
            "fontsize=11]\n"
            "  edge [arrowsize=0.6, fontname=\"Helvetica\", fontsize=9]\n"
            "  n0 [label=\"%0 variable\\nfloat32[2]\\ngraph_print_test.cpp:LINE+1\", fillcolor=lightblue]\n"
            "  n1 [label=\"%1 constant\\n1.0\\nfloat32[]\", fillcolor=gray92]\n"
            "  n2 [label=\"%2 subtract\\nfloat32[2]\\ngraph_print_test.cpp:LINE+2\"]\n"
            "  n0 -> n2 [label=\"0\"]\n"
            "  n1 -> n2 [label=\"1\"]\n"
            "  n3 [label=\"%3 sum\\naxes=[0], keepdims=false\\nfloat32[]\\ngraph_print_test.cpp:LINE+2\", "
            "penwidth=2]\n"
            "  n2 -> n3\n"
            "}\n",
            base));

  if (std::system("dot -V > /dev/null 2>&1") != 0) {
    MESSAGE("skipped: Graphviz's dot is not installed, its opinion was not asked");
    return;
  }
  Graph quoted;
  quoted.add({.where = {"a \"quoted\" \\ name.cpp", 3}, .text = "a \"text\" \\"}, {});
  for (const std::string& drawing : {dot, quoted.dot()}) {
    const fs::path file = fs::temp_directory_path() / ("wengert-" + std::to_string(std::rand()) + ".dot");
    std::ofstream(file) << drawing;
    CHECK(std::system(("dot -Tsvg -o " + file.string() + ".svg " + file.string()).c_str()) == 0);
    std::stringstream svg;
    svg << std::ifstream(file.string() + ".svg").rdbuf();
    CHECK(svg.str().find("</svg>") != std::string::npos);
    fs::remove(file);
    fs::remove(file.string() + ".svg");
  }
}
