// Losses against PyTorch's. The values come from PyTorch 2.13.0 in float64 (F is torch.nn.functional): each
// row has the expression that was evaluated there, its value, and the gradient of sum(value * c) with
// c_i = cos(i).
#include "nn/losses.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "autodiff/autodiff.hpp"

using namespace wengert;
using nn::Reduction;

namespace {

Tensor f64(const Nested& values) { return tensor(values, DType::float64); }

void close(const Tensor& actual, const std::vector<double>& expected) {
  const std::vector<double> values = actual.to_vector<double>();
  REQUIRE(values.size() == expected.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    CAPTURE(i);
    CHECK(std::abs(values[i] - expected[i]) <= 1e-12 * std::max(1.0, std::abs(expected[i])));
  }
}

void matches(const char* source, const Tensor& x, const Tensor& y, const std::vector<double>& value,
             const std::vector<double>& gradient) {
  CAPTURE(source);
  close(y, value);
  std::vector<double> weights;
  for (std::int64_t i = 0; i < y.size(); ++i) weights.push_back(std::cos(static_cast<double>(i)));
  close(gradients(y, {x}, {.cotangent = from_span<double>(weights, y.shape())})[0], gradient);
}

}  // namespace

TEST_SUITE_BEGIN("losses");

TEST_CASE("regression losses are PyTorch's") {
  const Tensor p = variable(f64({{0.5, -1.25, 2.0}, {3.0, -0.75, 0.1}}));
  const Tensor t = f64({{0.4, 0.75, -1.5}, {2.5, -0.5, 1.6}});
  matches("F.mse_loss(p, t)", p, nn::mse_loss(p, t), {3.137083333333333},
          {0.033333333333333326, -0.6666666666666666, 1.1666666666666665, 0.16666666666666666,
           -0.08333333333333333, -0.5});
  matches("F.mse_loss(p, t, reduction='sum')", p, nn::mse_loss(p, t, {.reduction = Reduction::sum}),
          {18.822499999999998}, {0.19999999999999996, -4, 7, 1, -0.5, -3});
  matches("F.mse_loss(p, t, reduction='none')", p, nn::mse_loss(p, t, {.reduction = Reduction::none}),
          {0.009999999999999995, 4, 12.25, 0.25, 0.0625, 2.25},
          {0.19999999999999996, -2.161209223472559, -2.9130278558299967, -0.9899924966004454,
           0.32682181043180597, -0.8509865563896788});
  matches("F.l1_loss(p, t)", p, nn::l1_loss(p, t), {1.3083333333333333},
          {0.16666666666666666, -0.16666666666666666, 0.16666666666666666, 0.16666666666666666,
           -0.16666666666666666, -0.16666666666666666});
  matches("F.l1_loss(p, t, reduction='sum')", p, nn::l1_loss(p, t, {.reduction = Reduction::sum}), {7.85},
          {1, -1, 1, 1, -1, -1});
  matches("F.l1_loss(p, t, reduction='none')", p, nn::l1_loss(p, t, {.reduction = Reduction::none}),
          {0.09999999999999998, 2, 3.5, 0.5, 0.25, 1.5},
          {1, -0.5403023058681398, -0.4161468365471424, -0.9899924966004454, 0.6536436208636119,
           -0.28366218546322625});
  matches("F.huber_loss(p, t, delta=1.5)", p, nn::huber_loss(p, t, {.delta = 1.5}), {1.214375},
          {0.016666666666666663, -0.25, 0.25, 0.08333333333333333, -0.041666666666666664, -0.25});
  matches("F.huber_loss(p, t, delta=1.5, reduction='sum')", p,
          nn::huber_loss(p, t, {.delta = 1.5, .reduction = Reduction::sum}), {7.28625},
          {0.09999999999999998, -1.5, 1.5, 0.5, -0.25, -1.5});
  matches("F.huber_loss(p, t, delta=1.5, reduction='none')", p,
          nn::huber_loss(p, t, {.delta = 1.5, .reduction = Reduction::none}),
          {0.0049999999999999975, 1.875, 4.125, 0.125, 0.03125, 1.125},
          {0.09999999999999998, -0.8104534588022096, -0.6242202548207136, -0.4949962483002227,
           0.16341090521590299, -0.4254932781948394});
}

TEST_CASE("classification losses are PyTorch's") {
  const Tensor z = variable(f64({{1.0, -2.0, 0.5, 3.0}, {0.0, 0.25, -1.5, 2.0}, {-3.0, 1.0, 1.0, 0.5}}));
  const Tensor y = tensor({3, 0, 2});
  const Tensor yi = tensor({3, -100, 2});
  const Tensor w = f64({0.5, 2.0, 1.5, 0.25});
  const Tensor q = f64({{0.1, 0.2, 0.3, 0.4}, {1.0, 0.0, 0.0, 0.0}, {0.25, 0.25, 0.4, 0.1}});
  matches("F.nll_loss(z, y)", z, nn::nll_loss(z, y), {-1.3333333333333333},
          {0, 0, 0, -0.3333333333333333, -0.3333333333333333, 0, 0, 0, 0, 0, -0.3333333333333333, 0});
  matches("F.nll_loss(z, y, reduction='sum')", z, nn::nll_loss(z, y, {.reduction = Reduction::sum}), {-4},
          {0, 0, 0, -1, -1, 0, 0, 0, 0, 0, -1, 0});
  matches("F.nll_loss(z, y, reduction='none')", z, nn::nll_loss(z, y, {.reduction = Reduction::none}),
          {-3, 0, -1}, {0, 0, 0, -1, -0.5403023058681398, 0, 0, 0, 0, 0, 0.4161468365471424, 0});
  matches("F.nll_loss(z, yi, weight=w)", z, nn::nll_loss(z, yi, {.weight = w}), {-1.2857142857142858},
          {0, 0, 0, -0.14285714285714285, 0, 0, 0, 0, 0, 0, -0.8571428571428571, 0});
  matches("F.nll_loss(z, yi, weight=w, reduction='sum')", z,
          nn::nll_loss(z, yi, {.weight = w, .reduction = Reduction::sum}), {-2.25},
          {0, 0, 0, -0.25, 0, 0, 0, 0, 0, 0, -1.5, 0});
  matches("F.nll_loss(z, yi, weight=w, reduction='none')", z,
          nn::nll_loss(z, yi, {.weight = w, .reduction = Reduction::none}), {-0.75, 0, -1.5},
          {0, 0, 0, -0.25, 0, 0, 0, 0, 0, 0, 0.6242202548207136, 0});
  matches("F.cross_entropy(z, y)", z, nn::cross_entropy(z, y), {1.1531426046631112},
          {0.03685125012057974, 0.001834715709194557, 0.022351413046870494, -0.06103737887664477,
           -0.29965041058931224, 0.043249728911652685, 0.007515675946140615, 0.24888500573151895,
           0.0023259316045150975, 0.12699156271014722, -0.2063417706231861, 0.07702427630852385});
  matches("F.cross_entropy(z, y, reduction='sum')", z, nn::cross_entropy(z, y, {.reduction = Reduction::sum}),
          {3.459427813989334},
          {0.11055375036173923, 0.005504147127583671, 0.06705423914061148, -0.1831121366299343,
           -0.8989512317679367, 0.12974918673495806, 0.022547027838421847, 0.7466550171945568,
           0.0069777948135452935, 0.38097468813044166, -0.6190253118695583, 0.23107282892557154});
  matches("F.cross_entropy(z, y, reduction='none')", z,
          nn::cross_entropy(z, y, {.reduction = Reduction::none}),
          {0.20225344767935172, 2.292152024894449, 0.9650223414155334},
          {0.11055375036173923, 0.005504147127583671, 0.06705423914061148, -0.1831121366299343,
           -0.4857054233872207, 0.07010378477741369, 0.012182211131572463, 0.4034194274782346,
           -0.0029037872377319315, -0.15854141127001747, 0.25760542527712493, -0.09616022676937562});
  matches("F.cross_entropy(z, yi)", z, nn::cross_entropy(z, yi), {0.5836378945474425},
          {0.055276875180869614, 0.0027520735637918355, 0.03352711957030574, -0.09155606831496715, 0, 0, 0, 0,
           0.0034888974067726467, 0.19048734406522083, -0.30951265593477917, 0.11553641446278577});
  matches("F.cross_entropy(z, yi, reduction='sum')", z,
          nn::cross_entropy(z, yi, {.reduction = Reduction::sum}), {1.167275789094885},
          {0.11055375036173923, 0.005504147127583671, 0.06705423914061148, -0.1831121366299343, 0, 0, 0, 0,
           0.0069777948135452935, 0.38097468813044166, -0.6190253118695583, 0.23107282892557154});
  matches("F.cross_entropy(z, yi, reduction='none')", z,
          nn::cross_entropy(z, yi, {.reduction = Reduction::none}),
          {0.20225344767935172, 0, 0.9650223414155334},
          {0.11055375036173923, 0.005504147127583671, 0.06705423914061148, -0.1831121366299343, 0, 0, 0, 0,
           -0.0029037872377319315, -0.15854141127001747, 0.25760542527712493, -0.09616022676937562});
  matches("F.cross_entropy(z, y, ignore_index=0)", z, nn::cross_entropy(z, y, {.ignore_index = 0}),
          {0.5836378945474425},
          {0.055276875180869614, 0.0027520735637918355, 0.03352711957030574, -0.09155606831496715, 0, 0, 0, 0,
           0.0034888974067726467, 0.19048734406522083, -0.30951265593477917, 0.11553641446278577});
  matches("F.cross_entropy(z, y, weight=w)", z, nn::cross_entropy(z, y, {.weight = w}), {1.1751879495512723},
          {0.012283750040193248, 0.0006115719030648523, 0.0074504710156234975, -0.02034579295888159,
           -0.19976694039287482, 0.028833152607768454, 0.00501045063076041, 0.16592333715434596,
           0.004651863209030195, 0.25398312542029444, -0.4126835412463722, 0.1540485526170477});
  matches("F.cross_entropy(z, y, weight=w, reduction='sum')", z,
          nn::cross_entropy(z, y, {.weight = w, .reduction = Reduction::sum}), {2.6441728864903626},
          {0.027638437590434807, 0.0013760367818959178, 0.01676355978515287, -0.04577803415748358,
           -0.44947561588396834, 0.06487459336747903, 0.011273513919210923, 0.3733275085972784,
           0.01046669222031794, 0.5714620321956625, -0.9285379678043375, 0.3466092433883573});
  matches("F.cross_entropy(z, y, weight=w, reduction='none')", z,
          nn::cross_entropy(z, y, {.weight = w, .reduction = Reduction::none}),
          {0.05056336191983793, 1.1460760124472245, 1.4475335121233002},
          {0.027638437590434807, 0.0013760367818959178, 0.01676355978515287, -0.04577803415748358,
           -0.24285271169361036, 0.035051892388706846, 0.0060911055657862315, 0.2017097137391173,
           -0.0043556808565978974, -0.2378121169050262, 0.38640813791568746, -0.14424034015406345});
  matches("F.cross_entropy(z, y, label_smoothing=0.1)", z, nn::cross_entropy(z, y, {.label_smoothing = 0.1}),
          {1.263559271329778},
          {0.028517916787246415, -0.006498617624138776, 0.014018079713537163, -0.03603737887664475,
           -0.2746504105893122, 0.03491639557831936, -0.0008176573871927156, 0.24055167239818567,
           -0.006007401728818235, 0.1186582293768139, -0.1813417706231861, 0.06869094297519052});
  matches("F.cross_entropy(z, y, label_smoothing=0.1, reduction='sum')", z,
          nn::cross_entropy(z, y, {.label_smoothing = 0.1, .reduction = Reduction::sum}), {3.790677813989334},
          {0.08555375036173923, -0.01949585287241633, 0.04205423914061148, -0.10811213662993435,
           -0.8239512317679367, 0.10474918673495806, -0.002452972161578155, 0.7216550171945568,
           -0.01802220518645471, 0.35597468813044164, -0.5440253118695584, 0.20607282892557155});
  matches("F.cross_entropy(z, y, label_smoothing=0.1, reduction='none')", z,
          nn::cross_entropy(z, y, {.label_smoothing = 0.1, .reduction = Reduction::none}),
          {0.43975344767935176, 2.273402024894449, 1.0775223414155335},
          {0.08555375036173923, -0.01949585287241633, 0.04205423914061148, -0.10811213662993435,
           -0.44518275044711025, 0.05659622713071021, -0.0013253465151310292, 0.3899118698315312,
           0.007499883675946629, -0.1481377403563389, 0.22639441253608927, -0.08575655585569707});
  matches("F.cross_entropy(z, yi, weight=w, label_smoothing=0.1)", z,
          nn::cross_entropy(z, yi, {.weight = w, .label_smoothing = 0.1}), {1.0823915652743747},
          {0.01378338846132921, -0.027529572150850237, -0.008736161876955684, 0.022482345566476714, 0, 0, 0,
           0, -0.0013363350301569517, 0.28845393690854615, -0.4758317773771683, 0.18871417549877922});
  matches("F.cross_entropy(z, yi, weight=w, label_smoothing=0.1, reduction='sum')", z,
          nn::cross_entropy(z, yi, {.weight = w, .label_smoothing = 0.1, .reduction = Reduction::sum}),
          {1.894185239230156},
          {0.024120929807326122, -0.04817675126398791, -0.015288283284672449, 0.03934410474133428, 0, 0, 0, 0,
           -0.0023385863027746653, 0.5047943895899558, -0.8327056104100444, 0.3302498071228636});
  matches("F.cross_entropy(z, yi, weight=w, label_smoothing=0.1, reduction='none')", z,
          nn::cross_entropy(z, yi, {.weight = w, .label_smoothing = 0.1, .reduction = Reduction::none}),
          {0.4357464545437853, 0, 1.4584387846863707},
          {0.024120929807326122, -0.04817675126398791, -0.015288283284672449, 0.03934410474133428, 0, 0, 0, 0,
           0.0009731952918921549, -0.21006858833460582, 0.3465278055471972, -0.13743241250448363});
  matches("F.cross_entropy(z, q)", z, nn::cross_entropy(z, q), {2.1531426046631115},
          {0.0035179167872464137, -0.06483195095747211, -0.0776485869531295, 0.13896262112335525,
           -0.29965041058931224, 0.043249728911652685, 0.007515675946140615, 0.24888500573151895,
           -0.08100740172881823, 0.043658229376813885, -0.006341770623186117, 0.04369094297519051});
  matches("F.cross_entropy(z, q, reduction='sum')", z, nn::cross_entropy(z, q, {.reduction = Reduction::sum}),
          {6.459427813989334},
          {0.010553750361739223, -0.19449585287241633, -0.2329457608593885, 0.41688786337006567,
           -0.8989512317679367, 0.12974918673495806, 0.022547027838421847, 0.7466550171945568,
           -0.2430222051864547, 0.13097468813044166, -0.01902531186955836, 0.13107282892557154});
  matches("F.cross_entropy(z, q, reduction='none')", z,
          nn::cross_entropy(z, q, {.reduction = Reduction::none}),
          {2.152253447679352, 2.292152024894449, 2.0150223414155333},
          {0.010553750361739223, -0.19449585287241633, -0.2329457608593885, 0.41688786337006567,
           -0.4857054233872207, 0.07010378477741369, 0.012182211131572463, 0.4034194274782346,
           0.10113292189905367, -0.05450470213323184, 0.007917323348839522, -0.054545543114661366});
  matches("F.cross_entropy(z, q, weight=w, label_smoothing=0.2)", z,
          nn::cross_entropy(z, q, {.weight = w, .label_smoothing = 0.2}), {2.2250214399965094},
          {0.01564522408042032, -0.13814235034444053, -0.12236919429004361, 0.2448663205540638,
           -0.12103587648595375, -0.0068428743749460634, -0.020396648482988874, 0.1482753993438887,
           -0.03884647459619211, -0.012689396880613149, -0.03102273021394652, 0.08255860169075184});
  matches("F.cross_entropy(z, q, weight=w, label_smoothing=0.2, reduction='sum')", z,
          nn::cross_entropy(z, q, {.weight = w, .label_smoothing = 0.2, .reduction = Reduction::sum}),
          {6.675064319989528},
          {0.04693567224126096, -0.41442705103332156, -0.36710758287013084, 0.7345989616621915,
           -0.3631076294578613, -0.02052862312483819, -0.06118994544896663, 0.4448261980316661,
           -0.11653942378857633, -0.03806819064183943, -0.09306819064183948, 0.24767580507225553});
  matches("F.cross_entropy(z, q, weight=w, label_smoothing=0.2, reduction='none')", z,
          nn::cross_entropy(z, q, {.weight = w, .label_smoothing = 0.2, .reduction = Reduction::none}),
          {3.522281615775344, 1.46644311524785, 1.6863395889663344},
          {0.04693567224126096, -0.41442705103332156, -0.36710758287013084, 0.7345989616621915,
           -0.1961878894743965, -0.011091662410648087, -0.03306106862202235, 0.24034062050706698,
           0.04849751254264283, 0.015841957108675035, 0.03873003311876791, -0.10306950277008581});
}

TEST_CASE("classes on axis 1 of higher dimensions, and a single row, are PyTorch's") {
  // k = torch.arange(24).mul(0.7).sin().reshape(2, 3, 4)
  std::vector<double> values;
  for (int i = 0; i < 24; ++i) values.push_back(std::sin(0.7 * i));
  const Tensor k = variable(from_span<double>(values, {2, 3, 4}));
  const Tensor ky = tensor({{0, 2, 1, 1}, {2, 2, -100, 0}});
  const Tensor w3 = f64({0.5, 2.0, 1.5});
  const Tensor z1 = variable(f64({1.0, -2.0, 0.5, 3.0}));
  matches("F.cross_entropy(k, ky, weight=w3, label_smoothing=0.1)", k,
          nn::cross_entropy(k, ky, {.weight = w3, .label_smoothing = 0.1}), {1.6294479369414554},
          {-0.028164843973682428,
           0.08026504881236035,
           0.10671618064795954,
           0.08707440724427372,
           0.022280091896891716,
           0.02330693634105308,
           -0.17955502780948543,
           -0.18246331877856053,
           0.0058847520767907075,
           -0.10357198515341343,
           0.07283884716152585,
           0.0953889115342868,
           0.06597075818323964,
           0.04885907431673433,
           0,
           -0.040771792319793936,
           0.0038055360127587303,
           0.012808215695893332,
           0,
           0.032299125054005735,
           -0.06977629419599837,
           -0.06166729001262767,
           0,
           0.008472667265788207});
  matches("F.cross_entropy(k, torch.softmax(2 * k.detach(), 1), weight=w3)", k,
          nn::cross_entropy(k, softmax(2.0 * stop_gradient(k), 1), {.weight = w3}), {1.0079769976142157},
          {0.044387520809725085,  0.011510050099883214,   0.01676999736347703,   0.03143513577452945,
           -0.06187972561140492,  -0.0035274887958451837, 0.004993200199071345,  0.006538763564301755,
           0.017492204801679824,  -0.007982561304038027,  -0.021763197562548384, -0.037973899338831205,
           0.03170428472716932,   0.0359286500113951,     0.03375400752304879,   0.02971013102049484,
           0.0066077330178667786, 0.010621993351711245,   -0.015424030484945046, -0.06294370885635389,
           -0.03831201774503609,  -0.04655064336310635,   -0.018329977038103747, 0.03323357783585906});
  matches("F.nll_loss(k, ky, reduction='none')", k, nn::nll_loss(k, ky, {.reduction = Reduction::none}),
          {0, -0.016813900484349713, 0.8715757724135877, 0.9824526126243326, -0.9906073556948704,
           -0.8457468311429343, 0, 0.87969575997167},
          {-1,
           0,
           0,
           0,
           0,
           0,
           0.4161468365471424,
           0.9899924966004454,
           0,
           -0.5403023058681398,
           0,
           0,
           0,
           0,
           0,
           -0.7539022543433046,
           0,
           0,
           0,
           0,
           0.6536436208636119,
           -0.28366218546322625,
           0,
           0});
  matches("F.cross_entropy(z1, torch.tensor(2), label_smoothing=0.1)", z1,
          nn::cross_entropy(z1, tensor(2), {.label_smoothing = 0.1}), {2.689753447679352},
          {0.08555375036173923, -0.01949585287241633, -0.8579457608593886, 0.7918878633700657});
}

TEST_CASE("binary cross-entropy with logits is PyTorch's") {
  const Tensor bz = variable(f64({{1.5, -2.0, 0.0}, {20.0, -30.0, 0.75}}));
  const Tensor by = f64({{1.0, 0.0, 0.5}, {1.0, 0.0, 0.25}});
  const Tensor pw = f64({3.0, 0.5, 2.0});
  const Tensor bw = f64({{1.0}, {0.25}});
  matches("F.binary_cross_entropy_with_logits(bz, by)", bz, nn::binary_cross_entropy_with_logits(bz, by),
          {0.3284765796269694},
          {-0.030404253967726058, 0.019867153670352924, 0, -3.435256153612916e-10, 1.559603828139883e-14,
           0.07152978319589882});
  matches("F.binary_cross_entropy_with_logits(bz, by, reduction='sum')", bz,
          nn::binary_cross_entropy_with_logits(bz, by, {.reduction = Reduction::sum}), {1.9708594777618165},
          {-0.18242552380635635, 0.11920292202211755, 0, -2.06115369216775e-09, 9.357622968839299e-14,
           0.429178699175393});
  matches("F.binary_cross_entropy_with_logits(bz, by, reduction='none')", bz,
          nn::binary_cross_entropy_with_logits(bz, by, {.reduction = Reduction::none}),
          {0.2014132779827524, 0.1269280110429727, 0.6931471805599453, 2.061153620314381e-09,
           9.237055564881302e-14, 0.9493710061148999},
          {-0.18242552380635635, 0.06440561363477017, 0, 2.0405266895863767e-09, -6.116550560028622e-14,
           0.12174176776235651});
  matches("F.binary_cross_entropy_with_logits(bz, by, weight=bw, pos_weight=pw)", bz,
          nn::binary_cross_entropy_with_logits(bz, by, {.weight = bw, .pos_weight = pw}),
          {0.33873513446465703},
          {-0.09121276190317817, 0.019867153670352924, -0.041666666666666664, -2.5764420226911017e-10,
           3.899009570349708e-15, 0.014540557248718384});
  matches("F.binary_cross_entropy_with_logits(bz, by, weight=bw, pos_weight=pw, reduction='sum')", bz,
          nn::binary_cross_entropy_with_logits(bz, by,
                                               {.weight = bw, .pos_weight = pw, .reduction = Reduction::sum}),
          {2.0324108067879423},
          {-0.547276571419069, 0.11920292202211755, -0.25, -1.5458652136146611e-09, 2.3394057422098247e-14,
           0.0872433434923103});
  matches("F.binary_cross_entropy_with_logits(bz, by, weight=bw, pos_weight=pw, reduction='none')", bz,
          nn::binary_cross_entropy_with_logits(
              bz, by, {.weight = bw, .pos_weight = pw, .reduction = Reduction::none}),
          {0.6042398339482572, 0.1269280110429727, 1.0397207708399179, 1.5458652152357856e-09,
           2.3092638912203256e-14, 0.2615221894109062},
          {-0.547276571419069, 0.06440561363477017, 0.1040367091367856, 1.5303949622341593e-09,
           -1.5291376400071555e-14, 0.02474763748214768});
}

TEST_CASE("the mean over no labels that count is NaN") {
  const Tensor z = f64({{1.0, 2.0}});
  CHECK(std::isnan(nn::cross_entropy(z, tensor({-100})).item<double>()));
}

TEST_CASE("logits of any size give the right loss and gradient") {
  for (const double size : {1e4, 1e8, 1e20}) {
    CAPTURE(size);
    const Tensor z = variable(tensor({{size, 0.0, -size}}));
    const Tensor right = nn::cross_entropy(z, tensor({0}));
    const Tensor wrong = nn::cross_entropy(z, tensor({2}));
    CHECK(right.item<float>() == 0.0f);
    CHECK(wrong.item<double>() == doctest::Approx(2 * size));
    CHECK(gradients(wrong, {z})[0].to_vector<float>() == std::vector<float>{1, 0, -1});

    const Tensor b = variable(tensor({size, -size, size, -size}));
    const Tensor losses =
        nn::binary_cross_entropy_with_logits(b, tensor({1.0, 0.0, 0.0, 1.0}), {.reduction = Reduction::none});
    const auto s = static_cast<float>(size);
    CHECK(losses.to_vector<float>() == std::vector<float>{0, 0, s, s});
    CHECK(gradients(losses, {b}, {.cotangent = ones({4})})[0].to_vector<float>() ==
          std::vector<float>{0, 0, 1, -1});
  }
  CHECK(nn::cross_entropy(tensor({{-30.0, 30.0}}), tensor({0})).item<float>() == 60.0f);
  const float masked = nn::cross_entropy(tensor({{0.0, -INFINITY, 0.0}}), tensor({0})).item<float>();
  CHECK(masked == doctest::Approx(std::log(2.0)));
}

TEST_CASE("an ignored row has a zero gradient even where its loss is infinite") {
  const Tensor z = variable(f64({{0.0, -INFINITY}, {1.0, 2.0}}));
  const Tensor loss = nn::cross_entropy(z, tensor({1, 0}), {.ignore_index = 1});
  CHECK(loss.item<double>() == doctest::Approx(std::log1p(std::exp(1.0))));
  const std::vector<double> g = gradients(loss, {z})[0].to_vector<double>();
  CHECK(g[0] == 0.0);
  CHECK(g[1] == 0.0);
  CHECK(g[2] == doctest::Approx(1.0 / (1.0 + std::exp(1.0)) - 1.0));
}

TEST_CASE("float32 losses stay float32") {
  const Tensor z = tensor({{1.0, 2.0}});
  CHECK(nn::cross_entropy(z, tensor({1}), {.label_smoothing = 0.1}).dtype() == DType::float32);
  CHECK(nn::cross_entropy(z, tensor({-100}), {.weight = tensor({1.0, 2.0})}).dtype() == DType::float32);
  CHECK(nn::mse_loss(z, z).dtype() == DType::float32);
  CHECK(nn::binary_cross_entropy_with_logits(z, z).dtype() == DType::float32);
}

TEST_CASE("labels given as a strided view count as their elements") {
  const Tensor z = f64({{1.0, -2.0, 0.5}, {0.0, 0.25, -1.5}});
  const Tensor both = tensor({{2, 7}, {0, 9}});
  const Tensor labels = slice(both, {Slice(), 0});
  CHECK(nn::cross_entropy(z, labels).item<double>() == nn::cross_entropy(z, tensor({2, 0})).item<double>());
}

TEST_CASE("wrong arguments are errors that name the loss and the line") {
  const Tensor z = f64({{1.0, 2.0, 3.0}, {0.0, 0.0, 0.0}});
  CHECK_THROWS_WITH_AS(nn::mse_loss(z, f64({1.0, 2.0, 3.0})),
                       doctest::Contains("mse_loss: the shapes differ: the prediction is float64[2, 3], the "
                                         "target is float64[3] (losses_test.cpp:"),
                       ShapeError);
  CHECK_THROWS_AS(nn::huber_loss(z, z, {.delta = 0.0}), ValueError);
  CHECK_THROWS_WITH_AS(nn::cross_entropy(z, tensor({0, 3})),
                       doctest::Contains("cross_entropy: label 3 at position 1 is not one of 3 classes"),
                       IndexError);
  CHECK_THROWS_AS(nn::cross_entropy(z, tensor({0, -1})), IndexError);
  CHECK_THROWS_AS(nn::cross_entropy(z, tensor({0, 1, 2})), ShapeError);
  CHECK_THROWS_AS(nn::cross_entropy(z, tensor({true, false})), DTypeError);
  CHECK_THROWS_AS(nn::cross_entropy(z, f64({{0.5, 0.5}})), ShapeError);
  CHECK_THROWS_AS(nn::cross_entropy(z, tensor({0, 1}), {.weight = f64({1.0, 2.0})}), ShapeError);
  CHECK_THROWS_AS(nn::cross_entropy(z, tensor({0, 1}), {.label_smoothing = 1.5}), ValueError);
  CHECK_THROWS_AS(nn::nll_loss(f64(1.0), tensor(0)), ShapeError);
  CHECK_THROWS_AS(nn::binary_cross_entropy_with_logits(z, f64({0.0, 1.0, 0.0})), ShapeError);
}

TEST_CASE("accuracy is the share of rows whose largest entry is at the label") {
  const Tensor z = f64({{1.0, 2.0, 3.0}, {5.0, 0.0, 0.0}, {0.0, 4.0, 1.0}, {0.0, 0.0, 9.0}});
  CHECK(nn::accuracy(z, tensor({2, 0, 0, 2})) == 0.75);
  CHECK(std::isnan(nn::accuracy(zeros({0, 3}), zeros({0}, DType::int64))));
  CHECK_THROWS_AS(nn::accuracy(z, tensor({{2, 0, 0, 2}})), ShapeError);
}

TEST_SUITE_END();
