#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "autodiff/autodiff.hpp"
#include "autodiff/kernels/workers.hpp"
#include "autodiff/program/program.hpp"
#include "autodiff/program/program_file.hpp"
#include "autodiff/program/trace.hpp"
#include "tests/autodiff/side_by_side.hpp"

using namespace wengert;

namespace {

std::vector<std::vector<float>> numbers(const Tensors& tensors) {
  std::vector<std::vector<float>> all;
  for (const Tensor& t : tensors) all.push_back(cast(t, DType::float32).to_vector<float>());
  return all;
}

/// Loops of every kind, large enough to be shared: rows, one element a row, sums over each and over all.
Tensors focal(const Tensor& x0, const Tensor& bias, const Tensor& labels) {
  const Tensor x = variable(x0), b = variable(bias);
  const Tensor log_p = log_softmax(tanh(x + b), -1);
  const Tensor per_row = take_along_axis(log_p, labels, -1) * square(1.0 - exp(max(log_p, -1)));
  const Tensor loss = -sum(per_row) + 0.01 * sum(exp(-x * x) * sigmoid(x));
  const Tensors g = gradients(loss, {x, b});
  return {loss, per_row, g[0], g[1], x > 0.5};
}

struct Case {
  std::int64_t rows, columns;
};
struct Product {
  std::int64_t m, n, k;
};

template <class F>
void run(std::int64_t count, int threads, F&& task) {
  kernels::run_tasks(
      count, threads,
      [](void* f, int worker, kernels::TaskQueue& tasks) {
        for (std::int64_t i; (i = tasks.take()) >= 0;)
          (*static_cast<std::remove_reference_t<F>*>(f))(i, worker);
      },
      &task);
}

}  // namespace

TEST_SUITE_BEGIN("threads");

TEST_CASE("a captured program gives the same bits on every number of threads") {
  // Rows that end on cache lines, rows that don't, rows shorter than a line, rows longer than a tile, one
  // row.
  for (const Case& c : {Case{3001, 133}, {4096, 64}, {40000, 3}, {70001, 1}, {999, 1001}, {1, 8000}}) {
    const std::int64_t rows = c.rows, columns = c.columns;
    CAPTURE(rows);
    CAPTURE(columns);
    const Tensor x = random::normal({rows, columns}), b = random::normal({columns}),
                 y = random::integers(0, columns, {rows});
    auto f = capture(focal);
    const auto expected = [&] {
      const Threads scope(1);
      return numbers(f(x, b, y));
    }();
    for (const int threads : {2, 3, 7}) {
      const Threads scope(threads);
      for (int time = 0; time < 5; ++time) CHECK((numbers(f(x, b, y)) == expected));
    }
  }
}

TEST_CASE("a chunk writes no element of the next one, whatever the length of a row") {
  for (const DType dtype : {DType::float32, DType::float64})
    for (const std::int64_t columns : {1, 3, 10, 20, 24, 1001}) {
      CAPTURE(columns);
      const Tensor x = random::normal({150000 / columns, columns}, 0.0, 1.0, dtype);
      auto f = [](const Tensor& v) { return Tensors{softmax(v), log_softmax(v)}; };
      auto g = capture(f);
      const auto expected = [&] {
        const Threads scope(1);
        return numbers(g(x));
      }();
      const Threads scope(4);
      for (int time = 0; time < 20; ++time) CHECK(numbers(g(x)) == expected);
    }
}

TEST_CASE(
    "products that don't depend on each other run side by side, with equal bits on every number of threads") {
  // The backward pass of a layer in the middle: dx = g w^T and dw = x^T g, of values that die with them.
  const auto backward = [](const Tensor& x0, const Tensor& w0, const Tensor& g0) {
    const Tensor x = matmul(x0, x0), w = matmul(w0, w0), g = matmul(g0, g0);
    const Tensor dw = matmul(transpose(x), g), dx = matmul(g, transpose(w));
    return Tensors{relu(dx) * tanh(x0), 0.5 * dw, sum(g, 0)};
  };
  // How many products run beside others. No one's result may lie where another one reads or writes.
  const auto groups = [&](std::int64_t size) {
    program::Trace trace;
    Tensors in;
    for (int i = 0; i < 3; ++i) in.push_back(trace.argument(zeros({size, size})));
    for (const Tensor& result : backward(in[0], in[1], in[2])) trace.output(result);
    trace.close();
    const program::Program program(std::move(trace).finish());
    const program::Plan& plan = program.plan();
    const auto overlap = [&](std::uint32_t one, std::uint32_t other) {
      const program::Buffer &a = plan.buffers[one], &b = plan.buffers[other];
      if (a.home != program::Home::arena || b.home != program::Home::arena) return one == other;
      const auto end = [](const program::Buffer& x) { return x.offset + static_cast<std::int64_t>(x.bytes); };
      return a.offset < end(b) && b.offset < end(a);
    };
    std::size_t together = 0;
    for (const program::Group& group : plan.groups) {
      std::vector<std::pair<std::size_t, const RowOp*>> all;  // with the number of their task
      for (const program::GroupTask& task : group.tasks) {
        together += task.duration > 5000;
        for (std::uint32_t i = task.index; i < task.end; ++i) all.emplace_back(together, &plan.flat[i].op);
      }
      for (const auto& [task, writer] : all)
        for (const auto& [other_task, other] : all)
          if (task != other_task)
            for (const std::uint32_t used : {other->out, other->in[0], other->in[1]})
              CHECK_FALSE(overlap(writer->out, used));
    }
    return together;
  };
  CHECK(groups(20) == 0);  // not worth a thread
  CHECK(groups(100) == 5);
  CHECK(groups(400) == 0);  // cut into pieces each
  for (const std::int64_t size : {64, 100, 125}) {
    const Tensor x = random::normal({size, size}), w = random::normal({size, size}),
                 g = random::normal({size, size});
    auto f = capture(backward);
    const auto expected = [&] {
      const Threads scope(1);
      return numbers(f(x, w, g));
    }();
    CHECK((expected == numbers(backward(x, w, g))));
    for (const int threads : {2, 3}) {
      const Threads scope(threads);
      for (int time = 0; time < 20; ++time) CHECK((numbers(f(x, w, g)) == expected));
    }
  }
}

TEST_CASE("updates of many parameters are one group, with equal bits on every number of threads") {
  // Matrices that are worth a thread together, one that is worth several, rows, and a number.
  const std::vector<Shape> shapes = {{90, 90}, {90}, {80, 100}, {7}, {120, 100}, {60, 90}, {300, 700}, {1}};
  const auto train = [&](int threads, bool captured, std::size_t& grouped) {
    const Threads scope(threads);
    std::vector<State> weights, moments;
    Tensors gradients;
    random::Generator g(3);
    for (const Shape& shape : shapes) {
      weights.emplace_back(g.normal(shape));
      moments.emplace_back(zeros(shape));
      gradients.push_back(g.normal(shape));
    }
    const auto update = [&](const Tensor& rate) {
      Tensors old;
      for (std::size_t k = 0; k < shapes.size(); ++k) {
        const Tensor w = weights[k].value(), step = gradients[k] + 0.1 * tanh(w);
        moments[k].set(0.9 * moments[k].value() + 0.1 * step);
        weights[k].set(w - rate * moments[k].value() / (1.0 + abs(step)));
      }
      return old;
    };
    const Tensor rate = tensor(0.1f);
    if (captured) {
      auto step = capture(update);
      for (int time = 0; time < 10; ++time) step(rate);
      grouped = step.statistics().steps_grouped;
      CHECK(step.report().find("8 steps in 1 group side by side") != std::string::npos);
    } else {
      for (int time = 0; time < 10; ++time) update(rate);
    }
    Tensors all;
    for (const State& w : weights) all.push_back(w.value());
    return numbers(all);
  };
  std::size_t grouped = 0;
  const auto expected = train(1, true, grouped);
  CHECK(grouped == shapes.size());
  CHECK((train(1, false, grouped) == expected));
  for (const int threads : {2, 3, 7})
    for (int time = 0; time < 5; ++time) CHECK((train(threads, true, grouped) == expected));
}

TEST_CASE("loops, sums and calls of one stage run side by side, with equal bits on every number of threads") {
  const auto f = [](const Tensors& in) {
    Tensors all;
    const Tensor y = in[3];
    for (int k = 0; k < 3; ++k) {
      const Tensor part = in[static_cast<std::size_t>(k)];
      all.push_back(tanh(part * double(k)) * exp(-part) + y);
      all.push_back(sum(part * double(k) * sigmoid(part) * y, 0));
      all.push_back(contiguous(transpose(part)));
      all.push_back(max(part, 0));
      all.push_back(softmax(part * double(k) + y));
    }
    return all;
  };
  const Tensors in{random::normal({120, 250}), random::normal({110, 250}), random::normal({100, 250}),
                   random::normal({250})};
  auto program = capture(f);
  const auto expected = [&] {
    const Threads scope(1);
    return numbers(program(in));
  }();
  CHECK((expected == numbers(f(in))));
  std::size_t calls = 0, loops = 0;
  for (const auto& kept : program.core().kept())
    for (const program::Group& group : kept.program->plan().groups)
      for (const program::GroupTask& task : group.tasks) {
        calls += task.kind == program::PlannedStep::Kind::call;
        loops += task.kind == program::PlannedStep::Kind::loop;
      }
  CHECK(calls >= 3);
  CHECK(loops >= 3);
  for (const int threads : {2, 3, 7}) {
    const Threads scope(threads);
    for (int time = 0; time < 20; ++time) CHECK((numbers(program(in)) == expected));
  }
}

TEST_CASE("nobody runs beside an update of what he reads") {
  const Tensor x = random::normal({200, 3000}), y = random::normal({3000});
  for (const bool reads : {true, false}) {
    State w(random::normal({3000}));
    const auto f = [&](const Tensor& large, const Tensor& row) {
      const Tensor old = w.value(), first = exp(large);
      w.set(old * 0.5 + row);
      return first * (reads ? old : row);
    };
    auto program = capture(f, side_by_side());
    const Threads scope(2);
    program(x, y);
    for (int time = 0; time < 20; ++time) {
      const Tensor before = w.value() + 0.0, got = program(x, y);
      CHECK((numbers({got}) == numbers({exp(x) * (reads ? before : y)})));
    }
    for (const auto& kept : program.core().kept()) {
      CHECK(kept.program->plan().in_place[0]);
      CHECK(kept.program->plan().groups.empty() == reads);
    }
  }
}

TEST_CASE("every task of a job runs once, on whichever thread is there") {
  for (const int threads : {1, 2, 5}) {
    std::vector<std::atomic<int>> times(1000);
    for (int round = 0; round < 50; ++round) run(1000, threads, [&](std::int64_t i, int) { ++times[i]; });
    for (const auto& n : times) CHECK(n == 50);
  }
}

TEST_CASE("a task may have tasks: its own thread runs them") {
  std::atomic<int> inner{0};
  run(8, 3, [&](std::int64_t, int) {
    run(4, 3, [&](std::int64_t, int worker) {
      CHECK(worker == 0);
      ++inner;
    });
  });
  CHECK(inner == 32);
}

TEST_CASE("of several exceptions the one of the lowest task arrives, and the next job is a new start") {
  for (int round = 0; round < 50; ++round) {
    std::string text;
    try {
      run(100, 3, [](std::int64_t i, int) {
        if (i >= 20) throw std::runtime_error(std::to_string(i));
      });
    } catch (const std::runtime_error& e) {
      text = e.what();
    }
    CHECK(text == "20");
    std::atomic<int> done{0};
    run(10, 3, [&](std::int64_t, int) { ++done; });
    CHECK(done == 10);
  }
}

TEST_CASE("an error on another thread arrives at the caller, with its line, and states stay as they were") {
  const Threads scope(3);
  State weight{random::normal({3000, 133})};
  const Tensor good = random::integers(0, 133, {3000});
  const Tensor bad = where(arange(3000) == 2999, 133, good);
  auto step = capture([&](const Tensor& labels) {
    const Tensor w = weight.value();
    const Tensor loss = sum(take_along_axis(exp(w), labels, -1) * 2.0);
    weight.set(w * 0.5);
    return loss;
  });
  step(good);
  const auto before = numbers({weight.value()});
  CHECK_THROWS_WITH_AS(step(bad), doctest::Contains("threads_test.cpp"), IndexError);
  CHECK((numbers({weight.value()}) == before));
  step(good);
  CHECK((numbers({weight.value()}) != before));
}

TEST_CASE("matrix products with 48 rows a thread give the same bits on every number of threads") {
  for (const bool ta : {false, true})
    for (const bool tb : {false, true})
      for (const Product& p : {Product{128, 512, 784},
                               {512, 512, 128},
                               {257, 301, 403},
                               {300, 3000, 65},
                               {1000, 70, 120},
                               {2000, 17, 301}})
        for (const DType dtype : {DType::float32, DType::float64}) {
          const std::int64_t m = p.m, n = p.n, k = p.k;
          CAPTURE(m);
          CAPTURE(n);
          const Tensor a = cast(random::normal(ta ? Shape{k, m} : Shape{m, k}), dtype);
          const Tensor b = cast(random::normal(tb ? Shape{n, k} : Shape{k, n}), dtype);
          const auto product_bits = [&] {
            return cast(matmul(ta ? transpose(a) : a, tb ? transpose(b) : b), DType::float64)
                .to_vector<double>();
          };
          const auto expected = [&] {
            const Threads scope(1);
            return product_bits();
          }();
          for (const int threads : {2, 3, 4, 6}) {
            if (m < 48 * threads) continue;
            const Threads scope(threads);
            CHECK((product_bits() == expected));
          }
        }
}

TEST_CASE("a product is right however many threads there are for its few rows") {
  for (const Product& p : {Product{2, 5000, 700}, {64, 1280, 784}, {40, 3001, 65}, {95, 401, 300}}) {
    const std::int64_t m = p.m, n = p.n, k = p.k;
    const Tensor a = random::normal({m, k}), b = random::normal({k, n});
    const Threads one(1);
    const Tensor expected = matmul(a, b);
    for (const int threads : {2, 3, 8, 200}) {
      const Threads scope(threads);
      CHECK(max(abs(matmul(a, b) - expected)).item<float>() < 1e-3f);
    }
  }
}

TEST_CASE("programs that run in several threads at once share the workers") {
  const Threads scope(2);
  const Tensor x = random::normal({2000, 133}), b = random::normal({133}),
               y = random::integers(0, 133, {2000});
  auto f = capture(focal);
  const float expected = f(x, b, y)[0].item<float>();
  std::vector<int> wrong(3, 0);
  std::vector<std::thread> callers;
  for (std::size_t t = 0; t < wrong.size(); ++t)
    callers.emplace_back([&, t] {
      for (int i = 0; i < 5; ++i) wrong[t] += f(x, b, y)[0].item<float>() != expected;
    });
  for (std::thread& t : callers) t.join();
  CHECK((wrong == std::vector<int>(3, 0)));
}

TEST_CASE("the number of threads may change between two runs of a program") {
  const Tensor x = random::normal({2000, 133}), b = random::normal({133}),
               y = random::integers(0, 133, {2000});
  auto f = capture(focal);
  std::vector<std::vector<std::vector<float>>> all;
  for (const int threads : {1, 4, 2, 1, 5}) {
    const Threads scope(threads);
    all.push_back(numbers(f(x, b, y)));
  }
  for (const auto& one : all) CHECK((one == all[0]));
}

#ifndef WENGERT_SANITIZED
TEST_CASE("the child of a fork has workers of its own, and ends like any process") {
  const Threads scope(3);
  const Tensor x = random::normal({2000, 133}), b = random::normal({133}),
               y = random::integers(0, 133, {2000});
  auto f = capture(focal);
  const float expected = f(x, b, y)[0].item<float>();
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    std::atomic<int> done{0};
    run(100, 3, [&](std::int64_t, int) { ++done; });
    // Leaves through the handlers of exit, where the workers are joined.
    std::exit(done == 100 && f(x, b, y)[0].item<float>() == expected ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(f(x, b, y)[0].item<float>() == expected);
}
#endif

TEST_CASE("there is at least one thread") {
  CHECK(num_threads() >= 1);
  CHECK_THROWS_WITH_AS(set_num_threads(0), doctest::Contains("set_num_threads"), ValueError);
}

TEST_SUITE_END();
